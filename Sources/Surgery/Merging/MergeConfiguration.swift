public import Formats

/// A merge of models as one of mergekit's configuration files has it.
///
/// Ranges of layers are mergekit's in the file, without their ends; here they are Swift's.
public struct MergeConfiguration: Sendable {
    /// A model as the file names it.
    struct Model: Sendable, Hashable {
        /// What stands in the file.
        let name: String
        /// The folder beside the file where there is one, else the same.
        let path: String

        static func == (left: Model, right: Model) -> Bool { left.path == right.path }
        func hash(into hasher: inout Hasher) { hasher.combine(path) }
    }

    /// A model's layers that go into a slice.
    struct Source: Sendable {
        let model: Model
        /// Nil for all layers.
        let layers: Range<Int>?
        let settings: MergeSettings
        let line: Int
    }

    /// Layers of the result, and what they are made of.
    struct Slice: Sendable {
        var sources: [Source]
        let base: Model?
        let settings: MergeSettings
        let line: Int
    }

    /// Where the result's tokenizer comes from.
    struct TokenizerChoice: Sendable {
        enum Origin: Sendable, Hashable {
            case base, union
            case model(Model)
        }
        var origin = Origin.union
        var multiple = 1
        var line: Int
    }

    /// The file, for messages.
    public let file: String
    /// How models are merged.
    public private(set) var method: MergeMethod
    private(set) var base: Model?
    private(set) var slices: [Slice] = []
    private(set) var settings = MergeSettings()
    /// The type that is computed into; nil for the models' own.
    private(set) var type: ElementType?
    /// The type that is written; nil for `type`.
    private(set) var outputType: ElementType?
    private(set) var tokenizer: TokenizerChoice?
    private(set) var chatTemplate: (text: String, line: Int)?
    /// What the file says, as JSON.
    let json: JSON
    /// Where the base and the method are named.
    private(set) var lines: (base: Int, method: Int) = (1, 1)

    private let folder: String
    private var conditions = 0

    private static let keys = [
        "merge_method", "models", "slices", "base_model", "parameters", "dtype", "out_dtype",
        "tokenizer_source", "tokenizer", "chat_template",
    ]

    /// Every model that is named, each once, the base first.
    var models: [Model] {
        var models = base.map { [$0] } ?? []
        var named = slices.flatMap { $0.sources.map(\.model) + [$0.base].compactMap(\.self) }
        if case .model(let model)? = tokenizer?.origin { named.append(model) }
        for model in named where !models.contains(model) { models.append(model) }
        return models
    }
}

// MARK: - Reading

extension MergeConfiguration {
    /// Reads a configuration.
    ///
    /// - Parameter path: a YAML file.
    /// - Returns: what it says; no model was opened.
    /// - Throws: ``UserFacingError`` that names the line, and the nearest word where one is not known.
    public static func read(path: String) throws(UserFacingError) -> MergeConfiguration {
        try MergeConfiguration(YAMLNode.read(path: path), file: path)
    }

    init(_ root: YAMLNode, file: String) throws(UserFacingError) {
        self.file = file
        folder = Path.parent(file)
        json = root.json
        method = .passthrough
        guard let entries = root.entries else {
            throw .malformedYAML(file, root.line, "a merge is a mapping with merge_method, not \(root.kind)")
        }
        guard let entry = entries.first(where: { $0.key == "merge_method" }) else {
            throw .malformedYAML(file, root.line, "merge_method is missing")
        }
        method = try Self.method(try text(entry), at: place(entry.line))
        lines.method = entry.line
        var isNamed = false
        for entry in entries where !entry.value.json.isNull {
            switch entry.key {
            case "merge_method": break
            case "models", "slices":
                if isNamed { throw .malformedYAML(file, entry.line, "give models or slices, not both") }
                isNamed = true
                slices = try entry.key == "models" ? [models(entry)] : slices(entry)
            case "base_model": (base, lines.base) = (try model(entry), entry.line)
            case "parameters":
                settings = try settings(entry, method.sharedParameters + method.inputParameters)
            case "dtype": type = try elementType(entry)
            case "out_dtype": outputType = try elementType(entry)
            case "tokenizer_source", "tokenizer":
                if tokenizer != nil {
                    throw .malformedYAML(file, entry.line, "give tokenizer_source or tokenizer, not both")
                }
                tokenizer =
                    try entry.key == "tokenizer"
                    ? tokenizer(entry)
                    : .init(
                        origin: origin(entry), line: entry.line)
            case "chat_template": chatTemplate = (try text(entry), entry.line)
            case "modules":
                throw .malformedYAML(
                    file, entry.line,
                    "modules is not carried out here; write models or slices of the one module")
            case let key:
                throw .unknownWord(key, what: "key", known: Self.keys, at: place(entry.line))
            }
        }
        guard isNamed else { throw .malformedYAML(file, root.line, "it names no models, nor slices") }
        try checkBases()
    }

    private func place(_ line: Int) -> String { "\(file), line \(line)" }

    private static func method(_ name: String, at place: String) throws(UserFacingError) -> MergeMethod {
        if let method = MergeMethod(rawValue: name) { return method }
        let known = MergeMethod.allCases.map(\.rawValue)
        guard MergeMethod.others.contains(name) else {
            throw .unknownWord(name, what: "merge method", known: known, at: place)
        }
        throw UserFacingError(
            .unsupported,
            "\(place): the merge method \(name) is not carried out here; there are \(known.joined(separator: ", "))"
        )
    }

    /// The one slice that whole models make.
    private mutating func models(_ entry: YAMLNode.Entry) throws(UserFacingError) -> Slice {
        var sources: [Source] = []
        for node in try list(entry) {
            sources.append(try source(node, keys: ["model", "parameters"], needsRange: false))
        }
        return Slice(sources: sources, base: nil, settings: MergeSettings(), line: entry.line)
    }

    private mutating func slices(_ entry: YAMLNode.Entry) throws(UserFacingError) -> [Slice] {
        var slices: [Slice] = []
        for node in try list(entry) {
            guard let entries = node.entries else {
                throw .malformedYAML(file, node.line, "a slice is a mapping with sources, not \(node.kind)")
            }
            var sources: [Source] = []
            var own: Model?
            var settings = MergeSettings()
            for entry in entries where !entry.value.json.isNull {
                switch entry.key {
                case "sources":
                    for node in try list(entry) {
                        sources.append(
                            try source(node, keys: ["model", "layer_range", "parameters"], needsRange: true))
                    }
                case "base_model": own = try model(entry)
                case "parameters":
                    settings = try self.settings(entry, method.sharedParameters + method.inputParameters)
                case let key:
                    throw .unknownWord(
                        key, what: "key of a slice", known: ["sources", "base_model", "parameters"],
                        at: place(entry.line))
                }
            }
            guard let first = sources.first else {
                throw .malformedYAML(file, node.line, "a slice needs sources")
            }
            for other in sources where other.layers?.count != first.layers?.count {
                throw .malformedYAML(
                    file, other.line,
                    "\(other.layers?.count ?? 0) layers stand beside \(first.layers?.count ?? 0) of \(first.model.name); the "
                        + "sources of a slice have as many layers as each other")
            }
            slices.append(Slice(sources: sources, base: own, settings: settings, line: node.line))
        }
        return slices
    }

    private mutating func source(
        _ node: YAMLNode, keys: [String], needsRange: Bool
    ) throws(UserFacingError) -> Source {
        guard let entries = node.entries else {
            throw .malformedYAML(file, node.line, "a source is a mapping with model, not \(node.kind)")
        }
        var found: Model?
        var layers: Range<Int>?
        var settings = MergeSettings()
        for entry in entries where !entry.value.json.isNull {
            switch entry.key {
            case "model": found = try model(entry)
            case "layer_range" where needsRange: layers = try range(entry)
            case "parameters":
                settings = try self.settings(entry, method.inputParameters, of: "a model in ")
            case let key: throw .unknownWord(key, what: "key of a source", known: keys, at: place(entry.line))
            }
        }
        guard let found else { throw .malformedYAML(file, node.line, "a source names its model") }
        if needsRange, layers == nil {
            throw .malformedYAML(file, node.line, "a slice's source says layer_range, as in [0, 24]")
        }
        return Source(model: found, layers: layers, settings: settings, line: node.line)
    }

    /// mergekit's range, whose end is the first layer that is not meant.
    private func range(_ entry: YAMLNode.Entry) throws(UserFacingError) -> Range<Int> {
        let numbers = entry.value.json.array?.compactMap(\.int) ?? []
        guard numbers.count == 2, entry.value.json.array?.count == 2, numbers[0] >= 0, numbers[0] < numbers[1]
        else {
            throw .wrongValue(
                of: entry.key, found: entry.value.json,
                expected: "two layers, the first and the one behind the last, as in [0, 24]",
                at: place(entry.line))
        }
        return numbers[0]..<numbers[1]
    }

    private func list(_ entry: YAMLNode.Entry) throws(UserFacingError) -> [YAMLNode] {
        guard let list = entry.value.list, !list.isEmpty else {
            throw .malformedYAML(file, entry.line, "\(entry.key) must be a list")
        }
        return list
    }

    private func text(_ entry: YAMLNode.Entry) throws(UserFacingError) -> String {
        guard case .scalar(let value) = entry.value.content, let text = value.string, !text.isEmpty else {
            throw .wrongValue(
                of: entry.key, found: entry.value.json, expected: "a text", at: place(entry.line))
        }
        return text
    }

    private func model(_ entry: YAMLNode.Entry) throws(UserFacingError) -> Model {
        let name = try text(entry)
        let beside = name.hasPrefix("/") || folder == "." ? name : Path.join(folder, name)
        if !FileSystem.exists(beside), let plus = name.firstIndex(of: "+") {
            throw .malformedYAML(
                file, entry.line,
                "\(name) is a model and an adapter (\(name[name.index(after: plus)...])), which is not merged here; merge the "
                    + "adapter into its model first")
        }
        return Model(name: name, path: FileSystem.exists(beside) ? beside : name)
    }

    private func elementType(_ entry: YAMLNode.Entry) throws(UserFacingError) -> ElementType {
        let known: [(String, ElementType)] = [
            ("float32", .f32), ("float16", .f16), ("bfloat16", .bf16), ("float64", .f64),
        ]
        let name = try text(entry)
        guard let type = known.first(where: { $0.0 == name })?.1 else {
            throw .unknownWord(name, what: "\(entry.key)", known: known.map(\.0), at: place(entry.line))
        }
        return type
    }

    private func origin(_ entry: YAMLNode.Entry) throws(UserFacingError) -> TokenizerChoice.Origin {
        switch try text(entry) {
        case "base": .base
        case "union": .union
        default: .model(try model(entry))
        }
    }

    private func tokenizer(_ entry: YAMLNode.Entry) throws(UserFacingError) -> TokenizerChoice {
        guard let entries = entry.value.entries else {
            throw .malformedYAML(file, entry.line, "tokenizer is a mapping, not \(entry.value.kind)")
        }
        var choice = TokenizerChoice(line: entry.line)
        for entry in entries where !entry.value.json.isNull {
            switch entry.key {
            case "source": choice.origin = try origin(entry)
            case "pad_to_multiple_of":
                guard let multiple = entry.value.json.int, multiple > 0 else {
                    throw .wrongValue(
                        of: entry.key, found: entry.value.json, expected: "a number from 1 on",
                        at: place(entry.line))
                }
                choice.multiple = multiple
            case "tokens":
                throw .malformedYAML(
                    file, entry.line,
                    "tokens, which gives single tokens rows of other tokens, is not carried out here; leave it out"
                )
            case let key:
                throw .unknownWord(
                    key, what: "key of tokenizer", known: ["source", "pad_to_multiple_of"],
                    at: place(entry.line))
            }
        }
        return choice
    }

    /// Whole models take the base in; what else does not fit the method is refused.
    private mutating func checkBases() throws(UserFacingError) {
        for index in slices.indices {
            var seen: Set<Model> = []
            for source in slices[index].sources where !seen.insert(source.model).inserted {
                throw .malformedYAML(file, source.line, "\(source.model.name) stands twice in one slice")
            }
            let isWhole = slices[index].sources[0].layers == nil
            if isWhole, let base, !seen.contains(base) {
                slices[index].sources.append(
                    Source(model: base, layers: nil, settings: MergeSettings(), line: lines.base))
            }
            let (slice, count) = (slices[index], slices[index].sources.count)
            if method.needsBase {
                guard let own = slice.base ?? base else {
                    throw .malformedYAML(file, lines.method, "\(method.rawValue) needs base_model")
                }
                guard slice.sources.contains(where: { $0.model == own }) else {
                    throw .malformedYAML(
                        file, slice.line, "the base \(own.name) is not among the sources of this slice")
                }
            }
            if method == .slerp, count != 2 {
                throw .malformedYAML(
                    file, slice.line, "slerp is of two models, the base one of them, and here are \(count)")
            }
            if method == .passthrough, count != 1 {
                throw .malformedYAML(
                    file, slice.line, "passthrough takes a layer of one model, and here are \(count)")
            }
        }
    }
}

// MARK: - Parameters

extension MergeConfiguration {
    private mutating func settings(
        _ entry: YAMLNode.Entry, _ known: [MergeParameter], of whom: String = ""
    ) throws(UserFacingError) -> MergeSettings {
        guard let entries = entry.value.entries else {
            throw .malformedYAML(file, entry.line, "parameters are a mapping, not \(entry.value.kind)")
        }
        var settings = MergeSettings()
        for entry in entries {
            guard let parameter = known.first(where: { $0.rawValue == entry.key }) else {
                throw .unknownWord(
                    entry.key, what: "parameter of \(whom)\(method.rawValue)", known: known.map(\.rawValue),
                    at: place(entry.line))
            }
            settings.values[parameter] = try conditions(parameter, entry.value)
        }
        return settings
    }

    private mutating func conditions(
        _ parameter: MergeParameter, _ node: YAMLNode
    ) throws(UserFacingError) -> [MergeSettings.Condition] {
        let nodes = node.list ?? [node]
        guard !nodes.isEmpty else {
            throw .malformedYAML(file, node.line, "\(parameter.rawValue) has an empty list")
        }
        guard nodes.contains(where: { $0.entries != nil }) else {
            return [condition(nil, try value(parameter, node), node.line)]
        }
        var conditions: [MergeSettings.Condition] = []
        for node in nodes {
            guard let entries = node.entries else {
                throw .malformedYAML(
                    file, node.line, "numbers, and mappings of filter and value, stand in one list")
            }
            for entry in entries where !["filter", "value"].contains(entry.key) {
                throw .unknownWord(
                    entry.key, what: "key of a condition", known: ["filter", "value"], at: place(entry.line))
            }
            guard let inner = node["value"], !inner.json.isNull else {
                throw .malformedYAML(file, node.line, "a condition needs a value")
            }
            var filter: String?
            if let entry = entries.first(where: { $0.key == "filter" }), !entry.value.json.isNull {
                filter = try text(entry)
            }
            conditions.append(
                condition(filter == "*" ? nil : filter, try value(parameter, inner), node.line))
        }
        return conditions
    }

    private mutating func condition(
        _ filter: String?, _ value: MergeSettings.Value, _ line: Int
    ) -> MergeSettings.Condition {
        conditions += 1
        return MergeSettings.Condition(id: conditions, filter: filter, value: value, line: line)
    }

    private func value(
        _ parameter: MergeParameter, _ node: YAMLNode
    ) throws(UserFacingError) -> MergeSettings.Value {
        guard let list = node.list else { return .number(try number(parameter, node)) }
        guard !list.isEmpty else {
            throw .malformedYAML(file, node.line, "\(parameter.rawValue) has an empty list")
        }
        var numbers: [Double] = []
        for node in list { numbers.append(try number(parameter, node)) }
        return .gradient(numbers)
    }

    private func number(_ parameter: MergeParameter, _ node: YAMLNode) throws(UserFacingError) -> Double {
        if parameter.isFlag {
            if let flag = node.json.bool { return flag ? 1 : 0 }
        } else if node.json.bool == nil,
            let number = node.json.double ?? node.json.string.flatMap(Double.init),
            number.isFinite
        {
            return number
        }
        throw .wrongValue(
            of: parameter.rawValue, found: node.json,
            expected: parameter.isFlag ? "true or false" : "a number, or a list of numbers",
            at: place(node.line))
    }
}
