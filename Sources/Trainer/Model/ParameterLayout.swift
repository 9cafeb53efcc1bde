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

/// One tensor of the checkpoint and where its values lie among all parameters.
public struct Parameter: Sendable, Equatable {
    /// Its name in the checkpoint.
    public let name: String
    /// Its shape in the checkpoint.
    public let shape: [Int]
    /// What it does.
    public let role: ParameterRole
    /// Where its values lie in a buffer of all parameters.
    public let range: Range<Int>
}

/// Where every parameter of a model lies in one buffer.
///
/// Tensors that a family stores apart but one product reads (queries, keys and values; gate and up) lie one
/// after the other, so that together they are the weights of that product.
public struct ParameterLayout: Sendable, Equatable {
    /// Where the parameters of one layer lie.
    public struct Layer: Sendable, Equatable {
        /// The scale of the norm before attention: (C).
        public var attentionNorm: Range<Int> = 0..<0
        /// The scale of the norm before the feed-forward layer: (C).
        public var feedForwardNorm: Range<Int> = 0..<0
        /// The weights of each linear layer: (outputs, inputs).
        public var weights: [TransformerConfiguration.LinearLayer: Range<Int>] = [:]
        /// The biases of those that have one: (outputs).
        public var biases: [TransformerConfiguration.LinearLayer: Range<Int>] = [:]
    }

    /// All tensors of the checkpoint, in the order of their ranges.
    public private(set) var parameters: [Parameter] = []
    /// The embedding: (V, C).
    public private(set) var embedding: Range<Int> = 0..<0
    /// The layers, from the first.
    public private(set) var layers: [Layer] = []
    /// The scale of the norm after the last layer: (C).
    public private(set) var finalNorm: Range<Int> = 0..<0
    /// The output head: (V, C); the embedding's own range when tied.
    public private(set) var head: Range<Int> = 0..<0
    /// How many values all parameters have together.
    public private(set) var count = 0

    /// How many numbers the tensors have, without the gaps between them.
    public var parameterCount: Int { parameters.reduce(0) { $0 + $1.range.count } }

    /// Lays out a model of `configuration` whose tensors are named by `names`.
    public init(_ configuration: TransformerConfiguration, names: TensorNames) {
        let (rows, width) = (configuration.vocabularySize, configuration.hiddenSize)
        embedding = add([names.embedding], shape: [[rows, width]], .embedding)
        for index in 0..<configuration.layers {
            layers.append(layer(index, configuration, names))
        }
        finalNorm = add([names.finalNorm], shape: [[width]], .norm)
        head = configuration.tiedHead ? embedding : add([names.head], shape: [[rows, width]], .head)
    }

    private mutating func layer(
        _ index: Int, _ configuration: TransformerConfiguration, _ names: TensorNames
    ) -> Layer {
        var layer = Layer()
        let prefix = names.layerPrefix(index)
        let width = configuration.hiddenSize
        layer.attentionNorm = add([prefix + names.attentionNorm], shape: [[width]], .norm)
        layer.feedForwardNorm = add([prefix + names.feedForwardNorm], shape: [[width]], .norm)
        for linear in TransformerConfiguration.LinearLayer.allCases {
            let parts = names.linear[linear] ?? []
            let inputs = configuration.size(of: linear).inputs
            let outputs = Self.outputs(of: linear, in: parts.count, configuration)
            layer.weights[linear] = add(
                parts.map { prefix + $0 + ".weight" }, shape: outputs.map { [$0, inputs] }, .matrix)
            guard configuration.biases.contains(linear) else { continue }
            layer.biases[linear] = add(
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

    /// Appends tensors one after the other; the first value of the group begins a block of moments.
    private mutating func add(_ names: [String], shape: [[Int]], _ role: ParameterRole) -> Range<Int> {
        let start = (count + 255) / 256 * 256
        count = start
        for (name, shape) in zip(names, shape) {
            let size = shape.reduce(1, *)
            parameters.append(Parameter(name: name, shape: shape, role: role, range: count..<count + size))
            count += size
        }
        return start..<count
    }
}
