internal import Formats

extension Family {
    /// Mistral (<https://arxiv.org/abs/2310.06825>): Llama with a sliding window.
    static let mistral = Family(
        "Mistral", ["mistral"], outer: llamaOuter, layer: llamaLayer, derived: [".rotary_emb.inv_freq"],
        kerasHub: [.mistral]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(
            absent: ModelSizes.Absent(), keyValueHeads: 8, maximumLength: 131_072)
        var attention = try reader.llamaAttention(sizes)
        attention.window = try reader.mistralWindow()
        return try reader.llama(sizes, attention: attention, intermediateSize: 14_336)
    }

    /// Mixtral (<https://arxiv.org/abs/2401.04088>): Mistral with a mixture of experts.
    static let mixtral = Family(
        "Mixtral", ["mixtral"], outer: llamaOuter,
        layer: llamaNorms + llamaAttention + [
            TensorRow(.router, "block_sparse_moe.gate"),
            TensorRow(.expertGate, "block_sparse_moe.experts.*.w1"),
            TensorRow(.expertUp, "block_sparse_moe.experts.*.w3"),
            TensorRow(.expertDown, "block_sparse_moe.experts.*.w2"),
            // As transformers 5 calls them in memory.
            TensorRow(.router, "mlp.gate"),
            TensorRow(.expertGateUp, "mlp.experts.gate_up_proj", weight: ""),
            TensorRow(.expertDown, "mlp.experts.down_proj", weight: ""),
        ], derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 8, maximumLength: 131_072)
        try reader.dropout("attention_dropout", "router_jitter_noise")
        let norm = Norm.rms(try reader.number("rms_norm_eps", default: 1e-5))
        let layer = Layer(
            attentionNorm: norm,
            attention: Attention(
                heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                rotary: try reader.rotary(sizes, theta: 1_000_000),
                window: try reader.optionalCount("sliding_window")),
            feedForwardNorm: norm,
            feedForward: .experts(
                Experts(
                    count: try reader.count("num_local_experts", "num_experts", default: 8),
                    chosen: try reader.count("num_experts_per_tok", default: 2),
                    expert: try reader.gatedMLP(), routing: .softmax(normalizes: true))))
        return try reader.architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm,
            balanceFactor: try reader.balanceFactor(default: 0.001))
    }
}

extension ConfigurationReader {
    /// How many tokens each sees: an absent key has the reference implementation's own default.
    fileprivate mutating func mistralWindow() throws(UserFacingError) -> Int? {
        has("sliding_window") ? try optionalCount("sliding_window") : 4_096
    }
}

// MARK: - In KerasHub 0.32 (keras_hub/src/utils/transformers, read for names and shapes)

extension KerasClass {
    static let mistral = KerasClass(
        "MistralBackbone", folder: "mistral",
        layer: "layers/mistral_transformer_decoder", architecture: "MistralForCausalLM", inner: likeLlama,
        outer: aroundLlama(norm: "mistral_layer_normalization"),
        settings: llamaSettings(and: [("sliding_window", "sliding_window"), ("head_dim", "head_dim")]),
        constants: [("hidden_act", "silu"), ("max_position_embeddings", 131_072)],
        positions: .scaled([.linear("rope_scaling_factor")]))
}
