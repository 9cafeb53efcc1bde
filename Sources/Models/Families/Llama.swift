internal import Formats

extension Family {
    /// Llama 1 to 3.3 (<https://arxiv.org/abs/2302.13971>, <https://arxiv.org/abs/2407.21783>) and Code Llama.
    static let llama = Family(
        "Llama", ["llama"], outer: llamaOuter, layer: llamaLayer, derived: [".rotary_emb.inv_freq"],
        kerasHub: [.llama, .llama3]
    ) { reader throws(UserFacingError) in
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
    mutating func llamaAttention(_ sizes: ModelSizes) throws(UserFacingError) -> Attention {
        let hasBias = try flag("attention_bias", default: false)
        try dropout("attention_dropout")
        return Attention(
            heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
            hasBias: hasBias, hasOutputBias: hasBias, rotary: try rotary(sizes))
    }

    /// Layers as Llama has them: RMSNorm before attention and before a gated feed-forward part.
    mutating func llama(
        _ sizes: ModelSizes, attention: Attention, intermediateSize: Int, mlpBias: Bool = false
    ) throws(UserFacingError) -> Architecture {
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
    ) throws(UserFacingError) -> GatedMLP {
        GatedMLP(
            size: try count("intermediate_size", default: intermediateSize),
            unit: .product(try activation("hidden_act", "hidden_activation", default: fallback)),
            hasBias: hasBias, hasDownBias: hasBias)
    }
}

// MARK: - In KerasHub 0.32 (keras_hub/src/utils/transformers, read for names and shapes)

extension KerasClass {
    static let likeLlama: [KerasPart] = [
        KerasPart(.attentionNorm, "_self_attention_layernorm", "self_attention_layernorm"),
        KerasPart(.query, attention + "_query_dense", "query", .heads(.query)),
        KerasPart(.key, attention + "_key_dense", "key", .heads(.keyValue)),
        KerasPart(.value, attention + "_value_dense", "value", .heads(.keyValue)),
        KerasPart(.attentionOutput, attention + "_output_dense", "attention_output", .output),
        KerasPart(.feedForwardNorm, "_feedforward_layernorm", "feedforward_layernorm"),
        KerasPart(.gate, "_feedforward_gate_dense", "feedforward_gate_dense", .transposed),
        KerasPart(
            .up, "_feedforward_intermediate_dense", "feedforward_intermediate_dense",
            .transposed),
        KerasPart(
            .down, "_feedforward_output_dense", "feedforward_output_dense", .transposed),
    ]

    static func aroundLlama(norm: String) -> [KerasPart] {
        [
            KerasPart(.embedding, "layers/reversible_embedding", "token_embedding"),
            KerasPart(.finalNorm, "layers/" + norm, "sequence_output_layernorm"),
            KerasPart(
                .head, "layers/reversible_embedding", "token_embedding", variable: 1, .transposed,
                isOptional: true),
        ]
    }

    static let llamaSettings: [Setting] = [
        ("vocabulary_size", "vocab_size"), ("num_layers", "num_hidden_layers"),
        ("num_query_heads", "num_attention_heads"), ("num_key_value_heads", "num_key_value_heads"),
        ("hidden_dim", "hidden_size"), ("intermediate_dim", "intermediate_size"),
        ("rope_max_wavelength", "rope_theta"), ("layer_norm_epsilon", "rms_norm_eps"),
    ]

    static func llamaSettings(and more: [Setting]) -> [Setting] { llamaSettings + more }

    private static func llama(_ name: String, folder: String) -> KerasClass {
        KerasClass(
            name, folder: folder, layer: "layers/llama_transformer_decoder", architecture: "LlamaForCausalLM",
            inner: likeLlama,
            outer: aroundLlama(norm: "llama_layer_norm"), settings: llamaSettings,
            constants: [
                ("hidden_act", "silu"), ("attention_bias", false), ("mlp_bias", false),
                ("max_position_embeddings", 131_072),
            ], positions: .scaled([.linear("rope_position_scaling_factor"), .llama3]), saysTied: true)
    }

    static let llama = llama("LlamaBackbone", folder: "llama")
    static let llama3 = llama("Llama3Backbone", folder: "llama3")
}
