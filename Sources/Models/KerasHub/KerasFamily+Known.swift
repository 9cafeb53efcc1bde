internal import Formats

/// The families that can be converted.
///
/// Source: keras_hub/src/utils/transformers/convert_*.py and export/*.py of KerasHub 0.32, read for names and shapes.
extension KerasFamily {
    /// Every family that is known.
    static let all: [KerasFamily] = [
        llama, llama3, mistral, qwen2, qwen3, gemma, phi3, gpt2, gptNeoX, bloom,
    ]

    static let attention = "_self_attention_layer/"

    static let likeLlama: [KerasPart] = [
        KerasPart("input_layernorm.weight", "_self_attention_layernorm", "self_attention_layernorm"),
        KerasPart("self_attn.q_proj.weight", attention + "_query_dense", "query", .heads(.query)),
        KerasPart("self_attn.k_proj.weight", attention + "_key_dense", "key", .heads(.keyValue)),
        KerasPart("self_attn.v_proj.weight", attention + "_value_dense", "value", .heads(.keyValue)),
        KerasPart("self_attn.o_proj.weight", attention + "_output_dense", "attention_output", .output),
        KerasPart("post_attention_layernorm.weight", "_feedforward_layernorm", "feedforward_layernorm"),
        KerasPart("mlp.gate_proj.weight", "_feedforward_gate_dense", "feedforward_gate_dense", .transposed),
        KerasPart(
            "mlp.up_proj.weight", "_feedforward_intermediate_dense", "feedforward_intermediate_dense",
            .transposed),
        KerasPart(
            "mlp.down_proj.weight", "_feedforward_output_dense", "feedforward_output_dense", .transposed),
    ]

    static func aroundLlama(norm: String) -> [KerasPart] {
        [
            KerasPart("embed_tokens.weight", "layers/reversible_embedding", "token_embedding"),
            KerasPart("norm.weight", "layers/" + norm, "sequence_output_layernorm"),
            KerasPart(
                "lm_head.weight", "layers/reversible_embedding", "token_embedding", variable: 1, .transposed,
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

    private static func llama(_ backbone: String, module: String) -> KerasFamily {
        KerasFamily(
            backbone: backbone, module: module, layer: "layers/llama_transformer_decoder", modelType: "llama",
            architecture: "LlamaForCausalLM", prefix: "model.", layers: "layers.", inner: likeLlama,
            outer: aroundLlama(norm: "llama_layer_norm"), settings: llamaSettings, heads: "num_query_heads",
            constants: [
                ("hidden_act", "silu"), ("attention_bias", false), ("mlp_bias", false),
                ("max_position_embeddings", 131_072),
            ], countsGate: false, ignored: ["rotary_emb.inv_freq"])
    }

    static let llama = llama("LlamaBackbone", module: "keras_hub.src.models.llama.llama_backbone")
    static let llama3 = llama("Llama3Backbone", module: "keras_hub.src.models.llama3.llama3_backbone")
    static let mistral = KerasFamily(
        backbone: "MistralBackbone", module: "keras_hub.src.models.mistral.mistral_backbone",
        layer: "layers/mistral_transformer_decoder", modelType: "mistral", architecture: "MistralForCausalLM",
        prefix: "model.", layers: "layers.", inner: likeLlama,
        outer: aroundLlama(norm: "mistral_layer_normalization"),
        settings: llamaSettings(and: [("sliding_window", "sliding_window"), ("head_dim", "head_dim")]),
        heads: "num_query_heads",
        constants: [("hidden_act", "silu"), ("max_position_embeddings", 131_072)], countsGate: false,
        ignored: ["rotary_emb.inv_freq"])

    static let gpt2 = KerasFamily(
        backbone: "GPT2Backbone", module: "keras_hub.src.models.gpt2.gpt2_backbone",
        layer: "layers/transformer_decoder", modelType: "gpt2", architecture: "GPT2LMHeadModel",
        prefix: "transformer.", layers: "h.",
        inner: [
            KerasPart("ln_1.weight", "_self_attention_layer_norm", "self_attention_layer_norm"),
            KerasPart("ln_1.bias", "_self_attention_layer_norm", "self_attention_layer_norm", variable: 1),
            KerasPart("attn.c_attn.weight", queriesKeysValues, .fused),
            KerasPart("attn.c_attn.bias", queriesKeysValues, variable: 1, .fusedBias),
            KerasPart("attn.c_proj.weight", attention + "output_dense", "attention_output", .plainOutput),
            KerasPart("attn.c_proj.bias", attention + "output_dense", "attention_output", variable: 1),
            KerasPart("ln_2.weight", "_feedforward_layer_norm", "feedforward_layer_norm"),
            KerasPart("ln_2.bias", "_feedforward_layer_norm", "feedforward_layer_norm", variable: 1),
            KerasPart("mlp.c_fc.weight", "_feedforward_intermediate_dense", "feedforward_intermediate_dense"),
            KerasPart(
                "mlp.c_fc.bias", "_feedforward_intermediate_dense", "feedforward_intermediate_dense",
                variable: 1),
            KerasPart("mlp.c_proj.weight", "_feedforward_output_dense", "feedforward_output_dense"),
            KerasPart(
                "mlp.c_proj.bias", "_feedforward_output_dense", "feedforward_output_dense", variable: 1),
        ],
        outer: [
            KerasPart("wte.weight", "layers/reversible_embedding", "token_embedding"),
            KerasPart("wpe.weight", "layers/position_embedding", "position_embedding"),
            KerasPart("ln_f.weight", "layers/layer_normalization", "layer_norm"),
            KerasPart("ln_f.bias", "layers/layer_normalization", "layer_norm", variable: 1),
        ],
        settings: [
            ("vocabulary_size", "vocab_size"), ("num_layers", "n_layer"), ("num_heads", "n_head"),
            ("hidden_dim", "n_embd"), ("intermediate_dim", "n_inner"), ("max_sequence_length", "n_positions"),
            ("dropout", "resid_pdrop"),
        ], heads: "num_heads",
        constants: [
            ("activation_function", "gelu_new"), ("layer_norm_epsilon", JSON(1e-5)),
        ], countsGate: false, ignored: ["attn.bias", "attn.masked_bias"])

    static let queriesKeysValues: [(path: String, title: String)] = [
        (attention + "query_dense", "query"), (attention + "key_dense", "key"),
        (attention + "value_dense", "value"),
    ]
}
