internal import Formats

extension Family {
    /// Command R7B and A (<https://arxiv.org/abs/2504.00698>): parallel parts behind one norm without a bias; neighbours
    /// are turned, in layers that see a window only.
    static let cohere2 = Family(
        "Cohere 2", ["cohere2"], outer: llamaOuter,
        layer: [TensorRow(.attentionNorm, "input_layernorm", .hidden)] + llamaAttention + llamaFeedForward,
        lists: [.everyLast(["sliding_window_pattern"], default: 4)], derived: [".rotary_emb.inv_freq"],
        isTied: true
    ) { reader throws(UserFacingError) in
        var sizes = try reader.sizes(maximumLength: 8_192)
        sizes.headSize = sizes.hiddenSize / sizes.heads
        let hasBias = try reader.flag("attention_bias", default: false)
        try reader.dropout("attention_dropout")
        // What all models of the family have, and their files say besides.
        reader.ignore(
            "order_of_interleaved_layers", "rotary_pct", "position_embedding_type", "layer_switch",
            "use_embedding_sharing", "use_gated_activation", "use_parallel_block", "use_parallel_embedding")
        try reader.require("use_qk_norm", in: [false], else: "this family has no norms of queries and keys")
        let norm = Norm.layer(try reader.number("layer_norm_eps", default: 1e-5), bias: false)
        let rotary = try reader.rotary(sizes, isInterleaved: true)
        let window = try reader.count("sliding_window", default: 4_096)
        let windowed = try reader.windowedLayers(
            sizes.layers, implied: .everyLast(["sliding_window_pattern"], default: 4))
        let feedForward = try reader.gatedMLP()
        let layers = windowed.map { isWindowed in
            Layer(
                order: .parallel, attentionNorm: norm,
                attention: Attention(
                    heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                    hasBias: hasBias, hasOutputBias: hasBias, rotary: isWindowed ? rotary : nil,
                    window: isWindowed ? window : nil),
                feedForwardNorm: nil, feedForward: .gated(feedForward))
        }
        return try reader.architecture(
            sizes, layers: layers, finalNorm: norm,
            logitFactor: Float(try reader.number("logit_scale", default: 0.0625)))
    }
}
