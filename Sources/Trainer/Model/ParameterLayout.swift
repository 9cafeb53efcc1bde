/// What a parameter does, from which its learning rate and weight decay follow.
public enum ParameterRole: Sendable, Equatable {
    /// Rows that tokens become.
    case embedding
    /// Rows that turn the last state into logits.
    case head
    /// Weights of a linear layer.
    case matrix
    /// An addend of a linear layer.
    case bias
    /// The scale of a norm.
    case norm
}

/// One tensor of the checkpoint and where its values lie.
public struct Parameter: Sendable, Equatable {
    /// Its name in the checkpoint.
    public let name: String
    /// Its shape in the checkpoint.
    public let shape: [Int]
    /// What it does.
    public let role: ParameterRole
    /// Its values: among the trained weights where it is trained, else among the frozen ones.
    public let weights: Place
    /// Its gradient, among all gradients; nil where it is frozen.
    public let gradient: Place?

    /// Whether it is trained.
    public var isTrained: Bool { gradient != nil }
}

/// Tensors that lie one after the other and are one operand: trained together or frozen together.
public struct ParameterBlock: Sendable, Equatable {
    /// What they do.
    public var role = ParameterRole.matrix
    /// Their values: among the trained weights, as the moments are, or among the frozen ones.
    public var weights = Place(.f32, start: 0, count: 0)
    /// Their gradients; nil where they are frozen.
    public var gradient: Place?

    /// Whether they are trained.
    public var isTrained: Bool { gradient != nil }
}

/// Where every parameter of a model lies.
///
/// Tensors that a family stores apart but one product reads (queries, keys and values; gate and up) lie one
/// after the other, so that together they are the weights of that product. Trained weights are float32 in one
/// buffer, whose places are also those of the moments. Frozen ones are words in another, kept as the checkpoint
/// has them, without gradient and moments. Gradients lie in the order in which the layers come, embedding and head
/// last: the backward pass, which goes the other way, fills them from the end.
public struct ParameterLayout: Sendable {
    /// The parameters of one layer.
    public struct Layer: Sendable, Equatable {
        /// The scale of the norm before attention: (C).
        public var attentionNorm = ParameterBlock()
        /// The scale of the norm before the feed-forward layer: (C).
        public var feedForwardNorm = ParameterBlock()
        /// The weights of each linear layer: (outputs, inputs).
        public var weights: [TransformerConfiguration.LinearLayer: ParameterBlock] = [:]
        /// The biases of those that have one: (outputs).
        public var biases: [TransformerConfiguration.LinearLayer: ParameterBlock] = [:]
        /// The word with which the gradients of this and the following layers begin.
        public var firstGradient = 0

        /// Whether anything in it is trained.
        var isTrained: Bool {
            [attentionNorm, feedForwardNorm].contains(where: \.isTrained)
                || weights.values.contains(where: \.isTrained) || biases.values.contains(where: \.isTrained)
        }
    }

    /// How a layout keeps values.
    public struct Storage: Sendable {
        /// Whether the tensor of that name is trained.
        public var isTrained: @Sendable (String) -> Bool
        /// How the tensor of that name is kept where it is frozen.
        public var frozen: @Sendable (String) -> Precision
        /// How the gradients of the layers' matrices are kept.
        public var gradients: Precision

        /// Keeps every tensor trained, or as the closures say.
        public init(
            gradients: Precision = .f32, isTrained: @escaping @Sendable (String) -> Bool = { _ in true },
            frozen: @escaping @Sendable (String) -> Precision = { _ in .f32 }
        ) {
            self.gradients = gradients
            self.isTrained = isTrained
            self.frozen = frozen
        }
    }

    /// All tensors of the checkpoint, layer by layer, embedding and head last.
    public private(set) var parameters: [Parameter] = []
    /// Everything that is trained.
    public private(set) var trained: [ParameterBlock] = []
    /// The layers, from the first.
    public private(set) var layers: [Layer] = []
    /// The scale of the norm after the last layer: (C).
    public private(set) var finalNorm = ParameterBlock()
    /// The embedding: (V, C).
    public private(set) var embedding = ParameterBlock()
    /// The output head: (V, C); the embedding itself when tied.
    public private(set) var head = ParameterBlock()
    /// How many values the trained weights have, and as many each moment.
    public private(set) var trainedCount = 0
    /// How many words the frozen weights take.
    public private(set) var frozenWords = 0
    /// How many words the gradients take.
    public private(set) var gradientWords = 0
    private let storage: Storage

    /// How many numbers the tensors have, without the gaps between them.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.weights.count } }
    /// How many of them are trained.
    public var trainedParameterCount: Int { trained.reduce(0) { $0 + $1.weights.count } }

    /// The lowest layer with something to train in it or below it: what lies under it is never differentiated.
    public var lowestTrainedLayer: Int {
        embedding.isTrained ? 0 : layers.firstIndex(where: \.isTrained) ?? layers.count
    }

    /// Lays out a model of `configuration` whose tensors are named by `names`.
    ///
    /// - Throws: ``ModelError`` when tensors that one product reads are trained only in part.
    public init(
        _ configuration: TransformerConfiguration, names: TensorNames, storage: Storage = Storage()
    ) throws(ModelError) {
        self.storage = storage
        let (rows, width) = (configuration.vocabularySize, configuration.hiddenSize)
        for index in 0..<configuration.layers {
            layers.append(try layer(index, configuration, names))
        }
        finalNorm = try add([names.finalNorm], shape: [[width]], .norm)
        embedding = try add([names.embedding], shape: [[rows, width]], .embedding)
        head =
            configuration.tiedHead ? embedding : try add([names.head], shape: [[rows, width]], .head)
    }

    private mutating func layer(
        _ index: Int, _ configuration: TransformerConfiguration, _ names: TensorNames
    ) throws(ModelError) -> Layer {
        var layer = Layer()
        layer.firstGradient = gradientWords
        let prefix = names.layerPrefix(index)
        let width = configuration.hiddenSize
        layer.attentionNorm = try add([prefix + names.attentionNorm], shape: [[width]], .norm)
        layer.feedForwardNorm = try add([prefix + names.feedForwardNorm], shape: [[width]], .norm)
        for linear in TransformerConfiguration.LinearLayer.allCases {
            let parts = names.linear[linear] ?? []
            let inputs = configuration.size(of: linear).inputs
            let outputs = Self.outputs(of: linear, in: parts.count, configuration)
            layer.weights[linear] = try add(
                parts.map { prefix + $0 + ".weight" }, shape: outputs.map { [$0, inputs] }, .matrix)
            guard configuration.biases.contains(linear) else { continue }
            layer.biases[linear] = try add(
                parts.map { prefix + $0 + ".bias" }, shape: outputs.map { [$0] }, .bias)
        }
        return layer
    }

    /// The outputs of each of the `parts` tensors that make up one linear layer.
    private static func outputs(
        of linear: TransformerConfiguration.LinearLayer, in parts: Int,
        _ configuration: TransformerConfiguration
    ) -> [Int] {
        let whole = configuration.size(of: linear).outputs
        switch (linear, parts) {
        case (_, 1): return [whole]
        case (.queryKeyValue, 3):
            let keys = configuration.keyValueHeads * configuration.headSize
            return [whole - 2 * keys, keys, keys]
        case (.gateUp, 2): return [whole / 2, whole / 2]
        default: preconditionFailure("a family's table splits \(linear) into \(parts) tensors")
        }
    }

    /// Appends tensors that are one operand.
    private mutating func add(
        _ names: [String], shape shapes: [[Int]], _ role: ParameterRole
    ) throws(ModelError) -> ParameterBlock {
        let isTrained = try areTrained(names)
        let counts = shapes.map { $0.reduce(1, *) }
        let count = counts.reduce(0, +)
        var block = ParameterBlock(role: role)
        if isTrained {
            block.weights = Place(.f32, start: Self.take(count, from: &trainedCount), count: count)
            let place = Place(role == .matrix ? storage.gradients : .f32, start: 0, count: count)
            block.gradient = Place(
                place.precision, start: Self.take(place.words.count, from: &gradientWords), count: count)
            trained.append(block)
        } else {
            let place = Place(frozenPrecision(names, counts, role), start: 0, count: count)
            block.weights = Place(
                place.precision, start: Self.take(place.words.count, from: &frozenWords), count: count)
        }
        var start = 0
        for (index, name) in names.enumerated() {
            let range = start..<start + counts[index]
            parameters.append(
                Parameter(
                    name: name, shape: shapes[index], role: role, weights: block.weights[range],
                    gradient: block.gradient?[range]))
            start = range.upperBound
        }
        return block
    }

    /// Whether all the tensors of one operand are trained.
    private func areTrained(_ names: [String]) throws(ModelError) -> Bool {
        let trained = names.filter(storage.isTrained)
        guard trained.isEmpty || trained.count == names.count else {
            throw .partlyTrained(trained: trained, frozen: names.filter { !trained.contains($0) })
        }
        return !trained.isEmpty
    }

    /// How a frozen operand is kept: as all of its tensors are; vectors, and what would share a word, in float32.
    private func frozenPrecision(_ names: [String], _ counts: [Int], _ role: ParameterRole) -> Precision {
        let precisions = names.map(storage.frozen)
        guard let first = precisions.first, precisions.allSatisfy({ $0 == first }),
            ![.norm, .bias].contains(role),
            counts.allSatisfy({ $0.isMultiple(of: first.valuesPerWord) })
        else { return .f32 }
        return first
    }

    /// The start of `count` more, at the beginning of a block of moments.
    private static func take(_ count: Int, from total: inout Int) -> Int {
        let start = (total + 255) / 256 * 256
        total = start + count
        return start
    }
}
