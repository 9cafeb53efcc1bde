extension Family {
    /// Llama 1 to 3.3 (<https://arxiv.org/abs/2302.13971>, <https://arxiv.org/abs/2407.21783>) and Code Llama.
    static let llama = Family(
        "Llama", ["llama"], outer: llamaOuter, layer: llamaLayer, derived: [".rotary_emb.inv_freq"]
    ) { reader throws(ModelError) in
        let sizes = try reader.sizes(absent: ModelSizes.Absent(), maximumLength: 2_048)
        let attention = try reader.llamaAttention(sizes)
        return try reader.llama(
            sizes, attention: attention, intermediateSize: 11_008,
            mlpBias: try reader.flag("mlp_bias", default: false))
    }

    /// Embedding, last norm and head, as Llama and all that look like it have them.
    static let llamaOuter = [
        TensorRow(.embedding, "embed_tokens", .vocabulary, .hidden),
        TensorRow(.finalNorm, "norm", .hidden),
        TensorRow(.head, "lm_head", .vocabulary, .hidden),
    ]

    /// Attention's products, as Llama has them.
    static let llamaAttention = [
        TensorRow(.query, "self_attn.q_proj", .queries, .hidden),
        TensorRow(.key, "self_attn.k_proj", .keyValues, .hidden),
        TensorRow(.value, "self_attn.v_proj", .keyValues, .hidden),
        TensorRow(.attentionOutput, "self_attn.o_proj", .hidden, .queries),
    ]

    /// The gated feed-forward part, as Llama has it.
    static let llamaFeedForward = [
        TensorRow(.gate, "mlp.gate_proj", .feedForward, .hidden),
        TensorRow(.up, "mlp.up_proj", .feedForward, .hidden),
        TensorRow(.down, "mlp.down_proj", .hidden, .feedForward),
    ]

    /// The norms before attention and before the feed-forward part, as Llama has them.
    static let llamaNorms = [
        TensorRow(.attentionNorm, "input_layernorm", .hidden),
        TensorRow(.feedForwardNorm, "post_attention_layernorm", .hidden),
    ]

    /// The norms of queries and of keys, as most that have them call them.
    static let queryKeyNorms = [
        TensorRow(.queryNorm, "self_attn.q_norm"), TensorRow(.keyNorm, "self_attn.k_norm"),
    ]

    static let llamaLayer = llamaNorms + llamaAttention + llamaFeedForward
}

extension ConfigurationReader {
    /// Attention as Llama has it.
    mutating func llamaAttention(_ sizes: ModelSizes) throws(ModelError) -> Attention {
        let hasBias = try flag("attention_bias", default: false)
        try dropout("attention_dropout")
        return Attention(
            heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
            hasBias: hasBias, hasOutputBias: hasBias, rotary: try rotary(sizes))
    }

    /// Layers as Llama has them: RMSNorm before attention and before a gated feed-forward part.
    mutating func llama(
        _ sizes: ModelSizes, attention: Attention, intermediateSize: Int, mlpBias: Bool = false
    ) throws(ModelError) -> Architecture {
        let norm = Norm.rms(try number("rms_norm_eps", default: 1e-6))
        let layer = Layer(
            attentionNorm: norm, attention: attention, feedForwardNorm: norm,
            feedForward: .gated(
                try gatedMLP(intermediateSize: isPart ? intermediateSize : nil, hasBias: mlpBias)))
        return try architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm)
    }

    /// A gated feed-forward part.
    mutating func gatedMLP(
        intermediateSize: Int? = nil, activation fallback: Activation = .silu, hasBias: Bool = false
    ) throws(ModelError) -> GatedMLP {
        GatedMLP(
            size: try count("intermediate_size", default: intermediateSize),
            unit: .product(try activation("hidden_act", "hidden_activation", default: fallback)),
            hasBias: hasBias, hasDownBias: hasBias)
    }
}
