internal import Formats

extension Family {
    private static let layer =
        [
            TensorRow(.attentionOutputNorm, "post_attention_layernorm", .hidden),
            TensorRow(.feedForwardOutputNorm, "post_feedforward_layernorm", .hidden),
        ] + llamaAttention + llamaFeedForward + queryKeyNorms

    /// OLMo 2 (<https://arxiv.org/abs/2501.00656>): norms behind the parts, and of all queries and keys at once.
    static let olmo2 = Family(
        "OLMo 2", ["olmo2"], outer: llamaOuter, layer: layer, derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 2_048)
        let attention = try reader.llamaAttention(sizes)
        return try reader.olmo(sizes, [Attention](repeating: attention, count: sizes.layers))
    }

    /// OLMo 3 (<https://arxiv.org/abs/2512.13961>): windows in three of four layers, YaRN in the others.
    static let olmo3 = Family(
        "OLMo 3", ["olmo3"], outer: llamaOuter, layer: layer, lists: [.everyLast([], default: 4)],
        derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 2_048)
        let hasBias = try reader.flag("attention_bias", default: false)
        try reader.dropout("attention_dropout")
        let full = try reader.rotary(sizes, theta: 500_000, kind: "full_attention")
        // In the older dialect base and scaling are for layers that see everything.
        let local =
            reader.hasRotaryByKind
            ? try reader.rotary(sizes, theta: 500_000, kind: "sliding_attention")
            : RotaryEmbedding(theta: 500_000, size: sizes.headSize)
        let window = try reader.count("sliding_window", default: 4_096)
        let windowed = try reader.windowedLayers(sizes.layers, implied: .everyLast([], default: 4))
        return try reader.olmo(
            sizes,
            windowed.map { isWindowed in
                Attention(
                    heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                    hasBias: hasBias, hasOutputBias: hasBias, rotary: isWindowed ? local : full,
                    window: isWindowed ? window : nil)
            })
    }
}

extension ConfigurationReader {
    fileprivate mutating func olmo(
        _ sizes: ModelSizes, _ attentions: [Attention]
    ) throws(UserFacingError) -> Architecture {
        let norm = Norm.rms(try number("rms_norm_eps", default: 1e-5))
        let feedForward = try gatedMLP()
        let layers = attentions.map { attention in
            var attention = attention
            attention.queryKeyNorm = Attention.QueryKeyNorm(norm, .all)
            return Layer(
                attentionNorm: nil, attention: attention, attentionOutputNorm: norm, feedForwardNorm: nil,
                feedForward: .gated(feedForward), feedForwardOutputNorm: norm)
        }
        return try architecture(sizes, layers: layers, finalNorm: norm)
    }
}
