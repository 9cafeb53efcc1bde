/// A decoder-only transformer, described in terms that belong to no family.
///
/// Each layer is x += attention(norm(x)), x += feedForward(norm(x)); then a norm and the output head.
public struct TransformerConfiguration: Equatable, Sendable {
    /// V: rows of the embedding.
    public var vocabularySize: Int
    /// C: the width of the residual stream.
    public var hiddenSize: Int
    /// How many layers.
    public var layers: Int
    /// H: query heads.
    public var heads: Int
    /// Heads of keys and of values; divides ``heads``.
    public var keyValueHeads: Int
    /// D: channels of one head; even.
    public var headSize: Int
    /// F: channels of the feed-forward layer.
    public var intermediateSize: Int
    /// What the feed-forward layer makes of its gate.
    public var gate: GateActivation
    /// Added to the mean square in each norm.
    public var normEpsilon: Float
    /// How positions turn queries and keys.
    public var rotary: RotaryEmbedding
    /// How many tokens, itself included, each token sees; all before it when nil.
    public var window: Int?
    /// Whether the output head is the embedding.
    public var tiedHead: Bool
    /// Which linear layers add a bias.
    public var biases: Set<LinearLayer>
    /// The longest sequence that the model was made for.
    public var maximumLength: Int

    /// The linear layers of one transformer layer.
    public enum LinearLayer: Hashable, Sendable, CaseIterable {
        /// Queries, keys and values at once.
        case queryKeyValue
        /// What writes attention's result into the residual stream.
        case attentionOutput
        /// The gate and what it gates, at once.
        case gateUp
        /// What writes the feed-forward result into the residual stream.
        case down
    }

    /// The width of queries, keys and values together.
    public var queryKeyValueWidth: Int { (heads + 2 * keyValueHeads) * headSize }

    /// The inputs and outputs of one linear layer.
    public func size(of layer: LinearLayer) -> (inputs: Int, outputs: Int) {
        switch layer {
        case .queryKeyValue: (hiddenSize, queryKeyValueWidth)
        case .attentionOutput: (heads * headSize, hiddenSize)
        case .gateUp: (hiddenSize, 2 * intermediateSize)
        case .down: (intermediateSize, hiddenSize)
        }
    }
}
