internal import Formats

extension Family {
    /// StarCoder 2 (<https://arxiv.org/abs/2402.19173>): LayerNorm, a plain feed-forward part, biases, a window.
    static let starcoder2 = Family(
        "StarCoder 2", ["starcoder2"], outer: llamaOuter,
        layer: llamaNorms + llamaAttention + [
            TensorRow(.up, "mlp.c_fc", .feedForward, .hidden),
            TensorRow(.down, "mlp.c_proj", .hidden, .feedForward),
        ], derived: [".rotary_emb.inv_freq"], isTied: true
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 2, maximumLength: 4_096)
        try reader.dropout("attention_dropout", "residual_dropout", "embedding_dropout")
        // Left from the code that the model was trained with.
        reader.ignore(
            "norm_type", "mlp_type", "activation_function", "layer_norm_epsilon", "scale_attn_weights",
            "attention_softmax_in_fp32", "scale_attention_softmax_in_fp32")
        let hasBias = try reader.flag("use_bias", default: true)
        let norm = Norm.layer(try reader.number("norm_epsilon", default: 1e-5), bias: true)
        let layer = Layer(
            attentionNorm: norm,
            attention: Attention(
                heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                hasBias: hasBias, hasOutputBias: hasBias, rotary: try reader.rotary(sizes),
                window: try reader.optionalCount("sliding_window")),
            feedForwardNorm: norm,
            feedForward: .plain(
                MLP(
                    size: try reader.count("intermediate_size"),
                    activation: try reader.activation("hidden_act", default: .geluTanh), hasBias: hasBias)))
        return try reader.architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm)
    }
}
