/// How a family names the tensors of a decoder-only transformer.
public struct TensorNames: Sendable, Equatable {
    /// The embedding.
    public var embedding: String
    /// What a layer's names begin with, "{}" standing for its index.
    public var layer: String
    /// The norm before attention, after the layer's prefix.
    public var attentionNorm: String
    /// The norm before the feed-forward layer, after the layer's prefix.
    public var feedForwardNorm: String
    /// The modules that make up each linear layer, in the order of its outputs, after the layer's prefix and
    /// without `.weight` or `.bias`.
    public var linear: [TransformerConfiguration.LinearLayer: [String]]
    /// The norm after the last layer.
    public var finalNorm: String
    /// The output head, where it is not the embedding.
    public var head: String
    /// Ends of the names of tensors that hold nothing to train and that the model can do without.
    public var derived: [String]

    /// What the names of layer `index` begin with.
    public func layerPrefix(_ index: Int) -> String {
        let parts = layer.split(separator: "{}", omittingEmptySubsequences: false)
        return parts.joined(separator: String(index))
    }
}
