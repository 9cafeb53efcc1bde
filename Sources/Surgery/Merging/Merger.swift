internal import Formats
internal import Models
internal import OrderedCollections

/// Makes a merge's tensors.
struct Merger {
    /// A layer of a model that goes into one of the result.
    struct LayerSource: Sendable {
        /// The model's place among all.
        let model: Int
        let layer: Int
    }

    /// What goes into a tensor, and what is said of it.
    private struct Place {
        let slice: MergeConfiguration.Slice
        /// The models of the slice's sources, by their places among all.
        let models: [Int]
        /// How far along the slice's layers it is.
        let t: Double
    }

    private let configuration: MergeConfiguration
    private let models: [MergeModel]
    private let vocabulary: MergeVocabulary
    private let seed: UInt64
    /// Of each model the tensors that its family does not round.
    private let kept: [Set<String>]
    /// For each layer of the result what goes into it.
    private(set) var layers: [[LayerSource]] = []
    private var places: [Place] = []
    /// The conditions whose filter is in the name of a tensor that they could be for.
    private var used: Set<Int> = []
    private(set) var warnings: [String] = []
    /// Whether random numbers went into it.
    private(set) var isRandom = false

    init(
        _ configuration: MergeConfiguration, _ models: [MergeModel], _ vocabulary: MergeVocabulary,
        seed: UInt64
    ) {
        self.configuration = configuration
        self.models = models
        self.vocabulary = vocabulary
        self.seed = seed
        let type = configuration.outputType ?? configuration.type
        kept = models.map { model in Set(type.map { model.checkpoint.tensorsKept(for: $0) } ?? []) }
    }

    /// The runs of layers, as in `a 0-15, b 16-31`.
    var description: String {
        configuration.slices.map { slice in
            slice.sources.map { source in
                let range = source.layers ?? 0..<layers.count
                return "\(Path.name(source.model.name)) \(range.lowerBound)-\(range.upperBound - 1)"
            }.joined(separator: " + ")
        }.joined(separator: ", ")
    }

    private func place(of model: MergeConfiguration.Model) -> Int {
        models.firstIndex { $0.model == model } ?? 0
    }

    // MARK: Layers

    /// Finds out what each layer is made of.
    private mutating func layOut() throws(UserFacingError) {
        for slice in configuration.slices {
            let indices = slice.sources.map { place(of: $0.model) }
            let ranges = zip(slice.sources, indices).map { $0.layers ?? 0..<models[$1].count }
            for (source, (index, range)) in zip(slice.sources, zip(indices, ranges)) {
                guard range.upperBound <= models[index].count else {
                    throw error(
                        source.line,
                        "layers \(range.lowerBound) to \(range.upperBound - 1) are asked of \(source.model.name), which has "
                            + "layers 0 to \(models[index].count - 1)")
                }
                guard range.count == ranges[0].count else {
                    throw error(
                        source.line,
                        "\(source.model.name) has \(range.count) layers, and \(slice.sources[0].model.name) has "
                            + "\(ranges[0].count); give slices")
                }
            }
            for layer in 0..<ranges[0].count {
                layers.append(
                    zip(indices, ranges).map { LayerSource(model: $0, layer: $1.lowerBound + layer) })
                let t = ranges[0].count > 1 ? Double(layer) / Double(ranges[0].count - 1) : 1
                places.append(Place(slice: slice, models: indices, t: t))
            }
        }
    }

    /// The base's layers that the configuration follows; nil when they stay as they are.
    func plan() throws(UserFacingError) -> LayerPlan? {
        let base = models[0]
        // Where the base has a part in a layer, that is its own; else that of the first model.
        let sources = layers.map { $0.first { $0.model == 0 } ?? $0[0] }
        for source in sources where source.model != 0 {
            let other = models[source.model]
            if other.count == base.count && other.layeredSettings == base.layeredSettings { continue }
            guard base.hasLayersAlike, other.hasLayersAlike else {
                throw UserFacingError(
                    .unsupported,
                    "\(configuration.file): the configurations of \(base.name) and \(other.name) tell layers apart in different "
                        + "ways, and config.json can't follow both")
            }
        }
        let numbers = sources.map { min($0.layer, base.count - 1) }
        if numbers == Array(0..<base.count) { return nil }
        return try LayerPlan(numbers.map { LayerPlan.Layer($0) }, of: base.count)
    }

    // MARK: Tensors

    /// All tensors of the result, in the base's order.
    mutating func tensors() throws(UserFacingError) -> OrderedDictionary<String, TensorExpression> {
        try layOut()
        var result: OrderedDictionary<String, TensorExpression> = [:]
        var isDone = false
        let names = models[0].names
        for name in models[0].checkpoint.tensors.keys {
            guard let (layer, rest) = names.parse(name) else {
                result[name] = try outer(name, as: name)
                continue
            }
            if layer >= models[0].count {
                let moved = names.name(layer: layers.count + layer - models[0].count, rest: rest)
                result[moved] = try outer("+\(layer - models[0].count).\(rest)", as: moved)
            } else if !isDone {
                isDone = true
                for index in layers.indices { try addLayer(index, to: &result) }
            }
        }
        try addOtherOuters(to: &result)
        if models[0].checkpoint.tensors.keys.elementsEqual(models[0].checkpoint.tensors.keys.sorted()) {
            result.sort { $0.key < $1.key }
        }
        return result
    }

    private mutating func addLayer(
        _ index: Int, to result: inout OrderedDictionary<String, TensorExpression>
    ) throws(UserFacingError) {
        let sources = layers[index]
        let names = models[0].names
        let first = models[sources[0].model].layers[sources[0].layer]
        for source in sources.dropFirst() {
            let other = models[source.model].layers[source.layer]
            for rest in other.keys where first[rest] == nil {
                throw missing(
                    names.name(layer: sources[0].layer, rest: rest), from: sources[0].model, in: source.model)
            }
        }
        for rest in first.keys {
            var inputs: [Input] = []
            for source in sources {
                let name = names.name(layer: source.layer, rest: rest)
                guard let tensor = models[source.model].layers[source.layer][rest] else {
                    throw missing(name, from: source.model, in: sources[0].model)
                }
                inputs.append(Input(model: source.model, name: name, tensor: tensor))
            }
            try checkShape(inputs[0], rest)
            let name = names.name(layer: index, rest: rest)
            result[name] = try merged(inputs, places[index], as: name)
        }
    }

    /// Refuses a layer whose tensor has another shape than the base's layers have it in.
    private func checkShape(_ input: Input, _ rest: String) throws(UserFacingError) {
        guard input.model != 0, let own = models[0].layers.lazy.compactMap({ $0[rest] }).first,
            !models[0].layers.contains(where: { $0[rest]?.shape == input.tensor.shape })
        else { return }
        throw UserFacingError(
            .inconsistent,
            "\(models[input.model].name)'s tensor '\(input.name)' is \(input.tensor.shape), and \(models[0].name) has it as "
                + "\(own.shape)")
    }

    /// A tensor outside the layers, under its name in the result.
    private mutating func outer(
        _ key: String, as name: String
    ) throws(UserFacingError) -> TensorExpression {
        let end = VocabularyEnd.part(named: name)?.end
        let isFirst = end == .input || models[0].isBeforeLayers(name)
        let slices = (configuration.slices[0], configuration.slices[configuration.slices.count - 1])
        let slice = isFirst || !models[0].isBehindLayers(name) && end == nil ? slices.0 : slices.1
        var inputs: [Input] = []
        for source in slice.sources {
            let model = place(of: source.model)
            guard let tensor = models[model].others[key] ?? (end == .output ? models[model].tiedHead : nil)
            else { throw missing(name, from: model, in: 0) }
            inputs.append(Input(model: model, name: name, tensor: tensor))
        }
        if end != nil {
            let tensors = inputs.map { (model: $0.model, tensor: $0.tensor) }
            let base = (slice.base ?? configuration.base).map { place(of: $0) }
            for index in inputs.indices {
                inputs[index].tensor = try vocabulary.aligned(index, of: tensors, base: base)
            }
        }
        return try merged(inputs, Place(slice: slice, models: inputs.map(\.model), t: 0), as: name)
    }

    /// Heads that the base does not have since its own is its embedding; anything else that it lacks is refused.
    private mutating func addOtherOuters(
        to result: inout OrderedDictionary<String, TensorExpression>
    ) throws(UserFacingError) {
        for (index, model) in models.enumerated().dropFirst() {
            let isUsed = layers.contains { $0.contains { $0.model == index } }
            for key in model.others.keys where isUsed && models[0].others[key] == nil {
                guard VocabularyEnd.part(named: key)?.end == .output, models[0].tiedHead != nil else {
                    throw missing(key, from: 0, in: index)
                }
                throw UserFacingError(
                    .unsupported,
                    "\(configuration.file): the output head is the embedding in \(models[0].name), and \(model.name) has one of "
                        + "its own (\(key)); name \(model.name) as base_model")
            }
        }
    }

    private func missing(_ name: String, from model: Int, in other: Int) -> UserFacingError {
        UserFacingError(
            .inconsistent, "\(models[model].name) has no tensor '\(name)', and \(models[other].name) has")
    }

    private func error(_ line: Int, _ reason: String) -> UserFacingError {
        .malformedYAML(configuration.file, line, reason)
    }
}

// MARK: - Methods

extension Merger {
    /// A tensor of a model.
    fileprivate struct Input {
        let model: Int
        let name: String
        var tensor: TensorExpression
    }

    /// What the method makes of a tensor of several models.
    private mutating func merged(
        _ inputs: [Input], _ place: Place, as name: String
    ) throws(UserFacingError) -> TensorExpression {
        let first = inputs[0].tensor
        guard first.type.isFloatingPoint else { return first }
        let keepsType = kept[inputs[0].model].contains(inputs[0].name)
        let type = keepsType ? nil : configuration.type
        let computed = type ?? inputs.dropFirst().reduce(first.type) { $0.promoted(with: $1.tensor.type) }
        let output = (keepsType ? nil : configuration.outputType) ?? computed
        do throws(UserFacingError) {
            if configuration.method == .passthrough {
                let scale = try value(.scale, place, source: 0, inputs[0].name) ?? 1
                // One rounding where the type changes, too.
                let scaled =
                    scale == 1 || first.type == computed
                    ? try first.cast(to: computed).scaled(by: Float(scale))
                    : try .weighted([first], by: [Float(scale)], as: computed)
                return try scaled.cast(to: output)
            }
            for input in inputs where input.tensor.shape != first.shape {
                throw otherShape(input, inputs[0])
            }
            switch configuration.method {
            case .passthrough, .linear: return try average(inputs, place, name, output)
            case .slerp:
                let t = try required(.t, place, source: nil, name)
                let base = base(of: place, inputs)
                return try inputs[base].tensor.interpolated(
                    to: inputs[1 - base].tensor, at: Float(t), as: output)
            default: return try taskVectors(inputs, place, name, output)
            }
        } catch {
            throw error.within("tensor '\(name)'")
        }
    }

    private func base(of place: Place, _ inputs: [Input]) -> Int {
        let model = (place.slice.base ?? configuration.base).map { self.place(of: $0) } ?? 0
        return inputs.firstIndex { $0.model == model } ?? 0
    }

    private mutating func average(
        _ inputs: [Input], _ place: Place, _ name: String, _ type: ElementType
    ) throws(UserFacingError) -> TensorExpression {
        var weights: [Double] = []
        for (source, input) in inputs.enumerated() {
            weights.append(try required(.weight, place, source: source, input.name))
        }
        if try required(.normalize, place, source: nil, name) != 0 {
            let sum = weights.reduce(0, +)
            guard sum != 0 else {
                throw error(place.slice.line, "the weights add up to 0, by which they are divided")
            }
            weights = weights.map { $0 / sum }
        }
        return try .weighted(inputs.map(\.tensor), by: weights.map { Float($0) }, as: type)
    }

    private mutating func taskVectors(
        _ inputs: [Input], _ place: Place, _ name: String, _ type: ElementType
    ) throws(UserFacingError) -> TensorExpression {
        let base = base(of: place, inputs)
        let method = configuration.method
        var vectors: [TaskVectors.Vector] = []
        for (source, input) in inputs.enumerated() where source != base {
            let weight = Float(try required(.weight, place, source: source, input.name))
            let density = try required(.density, place, source: source, input.name)
            let kept: TaskVectors.Kept
            switch method {
            case .ties: kept = density >= 1 ? .all : .largest(max(density, 0))
            case .dareLinear, .dareTies:
                isRandom = isRandom || density < 1
                kept = density >= 1 ? .all : .random(max(density, 0), seed: seed(for: name, source))
            default: kept = .all
            }
            vectors.append(.init(weight: weight, kept: kept))
        }
        let rule = TaskVectors(
            vectors, rescales: try required(.rescale, place, source: nil, name) != 0,
            election: method == .ties || method == .dareTies ? .sum : nil,
            normalizes: try required(.normalize, place, source: nil, name) != 0,
            factor: Float(try required(.lambda, place, source: nil, name)))
        _ = try value(.int8Mask, place, source: nil, name)
        let others = inputs.indices.filter { $0 != base }.map { inputs[$0].tensor }
        return try inputs[base].tensor.adding(rule, of: others, as: type)
    }

    /// A seed of its own for each tensor and model: the name's hash (Fowler, Noll and Vo, 64 bits) with both numbers.
    private func seed(for name: String, _ source: Int) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in name.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var generator = SplitMix64(seed: seed &+ UInt64(source) << 32)
        return hash ^ generator.next()
    }

    private func otherShape(_ input: Input, _ first: Input) -> UserFacingError {
        let advice =
            VocabularyEnd.part(named: input.name) == nil
            ? ""
            : "; where only the number of tokens differs, tokenizer_source says whose tokens the result has"
        return UserFacingError(
            .inconsistent,
            "it is \(input.tensor.shape) in \(models[input.model].name) and \(first.tensor.shape) in "
                + "\(models[first.model].name)\(advice)")
    }

    // MARK: Parameters

    /// What is said of a parameter: of the source first, then of its slice, then of all; nil where nothing is.
    private mutating func value(
        _ parameter: MergeParameter, _ place: Place, source: Int?, _ tensor: String
    ) throws(UserFacingError) -> Double? {
        var scopes: [MergeSettings] = []
        if let source { scopes.append(place.slice.sources[source].settings) }
        scopes += [place.slice.settings, configuration.settings]
        for condition in scopes.flatMap({ $0.values[parameter] ?? [] }) where condition.holds(for: tensor) {
            used.insert(condition.id)
        }
        return scopes.lazy.compactMap { $0.value(of: parameter, for: tensor, at: place.t) }.first
            ?? configuration.method.standard(parameter)
    }

    private mutating func required(
        _ parameter: MergeParameter, _ place: Place, source: Int?, _ tensor: String
    ) throws(UserFacingError) -> Double {
        if let value = try value(parameter, place, source: source, tensor) { return value }
        let model = source.map { " of \(place.slice.sources[$0].model.name)" } ?? ""
        throw error(
            source.map { place.slice.sources[$0].line } ?? place.slice.line,
            "\(parameter.rawValue)\(model) is not given for '\(tensor)'")
    }

    /// Refuses filters that are in no name.
    func checkFilters() throws(UserFacingError) {
        let sources = configuration.slices.flatMap(\.sources).map(\.settings)
        let settings = [configuration.settings] + configuration.slices.map(\.settings) + sources
        for condition in settings.flatMap({ $0.values.values.joined() }).sorted(by: { $0.id < $1.id }) {
            guard let filter = condition.filter, !used.contains(condition.id) else { continue }
            throw error(
                condition.line, "the filter '\(filter)' is in no name of a tensor that it could be for")
        }
    }
}

extension MergeModel {
    /// What its configuration says of single layers, without how many there are.
    var layeredSettings: [String: JSON] {
        var result: [String: JSON] = [:]
        for (key, value) in checkpoint.configuration?.languageModel ?? JSONObject() {
            guard let meaning = LayerKey.meaning(of: key) else { continue }
            switch meaning {
            case .count, .countAgain, .fixed: continue
            default: result[key] = value
            }
        }
        return result
    }

    /// Whether no key of its configuration tells layers apart.
    var hasLayersAlike: Bool {
        guard let plan = try? LayerPlan(runs: [0..<count], of: count) else { return false }
        let following = try? checkpoint.configuration?.following(plan, model: checkpoint.path)
        return following?.tellsLayersApart == false
    }

    private func isNamed(_ name: String, _ modules: [Module]) -> Bool {
        (checkpoint.configuration?.family?.outerRows ?? []).contains { row in
            modules.contains(row.module)
                && [row.name + row.weight, row.name + row.bias].contains { name.hasSuffix($0) }
        }
    }

    /// Whether a tensor is of what comes before the layers.
    func isBeforeLayers(_ name: String) -> Bool { isNamed(name, [.embedding, .positions, .embeddingNorm]) }

    /// Whether a tensor is of what comes behind the layers.
    func isBehindLayers(_ name: String) -> Bool {
        name.hasPrefix("+") || isNamed(name, [.finalNorm, .head])
    }

    /// The embedding, where it is the output head as well.
    var tiedHead: TensorExpression? {
        guard !others.keys.contains(where: { VocabularyEnd.part(named: $0)?.end == .output }) else {
            return nil
        }
        return others.first { VocabularyEnd.part(named: $0.key)?.end == .input }?.value
    }

}

extension ElementType {
    /// The type that holds what either does.
    func promoted(with other: ElementType) -> ElementType {
        if self == other { return self }
        return self == .f64 || other == .f64 ? .f64 : .f32
    }
}
