internal import Formats

extension KerasFamily {
    private static func qwenSettings(and more: [Setting]) -> [Setting] {
        llamaSettings(and: more + qwenSettings)
    }

    private static let qwenSettings: [Setting] = [
        ("tie_word_embeddings", "tie_word_embeddings"), ("sliding_window_size", "sliding_window"),
    ]

    static let qwen2 = KerasFamily(
        backbone: "QwenBackbone", module: "keras_hub.src.models.qwen.qwen_backbone",
        layer: "layers/qwen_transformer_decoder", modelType: "qwen2", architecture: "Qwen2ForCausalLM",
        prefix: "model.", layers: "layers.",
        inner: likeLlama + [
            KerasPart(
                "self_attn.q_proj.bias", attention + "_query_dense", "query", variable: 1, .headBias(.query)),
            KerasPart(
                "self_attn.k_proj.bias", attention + "_key_dense", "key", variable: 1, .headBias(.keyValue)),
            KerasPart(
                "self_attn.v_proj.bias", attention + "_value_dense", "value", variable: 1,
                .headBias(.keyValue)),
        ], outer: aroundLlama(norm: "qwen_layer_norm"),
        settings: qwenSettings(and: [("use_sliding_window_attention", "use_sliding_window")]),
        heads: "num_query_heads",
        constants: [("hidden_act", "silu"), ("max_position_embeddings", 131_072)], countsGate: false,
        ignored: ["rotary_emb.inv_freq"])

    static let qwen3 = KerasFamily(
        backbone: "Qwen3Backbone", module: "keras_hub.src.models.qwen3.qwen3_backbone",
        layer: "layers/qwen3_transformer_decoder", modelType: "qwen3", architecture: "Qwen3ForCausalLM",
        prefix: "model.", layers: "layers.",
        inner: likeLlama + [
            KerasPart(
                "self_attn.q_norm.weight", attention + "_query_dense_layer_norm", "query_dense_layer_norm"),
            KerasPart("self_attn.k_norm.weight", attention + "_key_dense_layer_norm", "key_dense_layer_norm"),
        ], outer: aroundLlama(norm: "qwen3_layer_norm"),
        settings: qwenSettings(and: [("head_dim", "head_dim")]),
        heads: "num_query_heads",
        constants: [
            ("hidden_act", "silu"), ("max_position_embeddings", 131_072), ("attention_bias", false),
            ("use_sliding_window", false),
        ], countsGate: false, ignored: ["rotary_emb.inv_freq"])

    static let gemma = KerasFamily(
        backbone: "GemmaBackbone", module: "keras_hub.src.models.gemma.gemma_backbone",
        layer: "layers/gemma_decoder_block", modelType: "gemma", architecture: "GemmaForCausalLM",
        prefix: "model.", layers: "layers.",
        inner: [
            KerasPart("input_layernorm.weight", "pre_attention_norm", "pre_attention_norm"),
            KerasPart("self_attn.q_proj.weight", "attention/query_dense", "query", .headsFirst(.query)),
            KerasPart("self_attn.k_proj.weight", "attention/key_dense", "key", .headsFirst(.keyValue)),
            KerasPart("self_attn.v_proj.weight", "attention/value_dense", "value", .headsFirst(.keyValue)),
            KerasPart("self_attn.o_proj.weight", "attention/output_dense", "attention_output", .output),
            KerasPart("post_attention_layernorm.weight", "pre_ffw_norm", "pre_ffw_norm"),
            KerasPart("mlp.gate_proj.weight", "gating_ffw", "ffw_gating", .transposed),
            KerasPart("mlp.up_proj.weight", "gating_ffw_2", "ffw_gating_2", .transposed),
            KerasPart("mlp.down_proj.weight", "ffw_linear", "ffw_linear", .transposed),
        ],
        outer: [
            KerasPart("embed_tokens.weight", "layers/reversible_embedding", "token_embedding"),
            KerasPart("norm.weight", "layers/rms_normalization", "final_normalization"),
        ],
        settings: llamaSettings(and: [("head_dim", "head_dim")]).filter { $0.keras != "rope_max_wavelength" },
        heads: "num_query_heads",
        constants: [
            ("hidden_act", "gelu_pytorch_tanh"), ("hidden_activation", "gelu_pytorch_tanh"),
            ("rope_theta", 10_000),
            ("max_position_embeddings", 8192),
        ], countsGate: true, ignored: ["rotary_emb.inv_freq"])

    static let phi3 = KerasFamily(
        backbone: "Phi3Backbone", module: "keras_hub.src.models.phi3.phi3_backbone",
        layer: "layers/phi3_decoder",
        modelType: "phi3", architecture: "Phi3ForCausalLM", prefix: "model.", layers: "layers.",
        inner: [
            KerasPart("input_layernorm.weight", "pre_attention_layernorm", "pre_attention_layernorm"),
            KerasPart(
                "self_attn.qkv_proj.weight",
                [
                    ("attention/query_dense", "query"), ("attention/key_dense", "key"),
                    ("attention/value_dense", "value"),
                ], .stackedHeads),
            KerasPart("self_attn.o_proj.weight", "attention/output_dense", "attention_output", .output),
            KerasPart(
                "post_attention_layernorm.weight", "post_attention_layernorm", "post_attention_layernorm"),
            KerasPart(
                "mlp.gate_up_proj.weight",
                [
                    ("feedforward_gate_dense", "feedforward_gate_dense"),
                    ("feedforward_intermediate_dense", "feedforward_intermediate_dense"),
                ], .stacked),
            KerasPart(
                "mlp.down_proj.weight", "feedforward_output_dense", "feedforward_output_dense", .transposed),
        ], outer: aroundLlama(norm: "phi3_layer_norm"),
        settings: llamaSettings(and: [
            ("max_sequence_length", "max_position_embeddings"),
            ("pretraining_sequence_length", "original_max_position_embeddings"),
        ]), heads: "num_query_heads",
        // The defaults of the class lie beyond small vocabularies.
        constants: [("hidden_act", "silu"), ("attention_bias", false), ("pad_token_id", .null)],
        countsGate: false,
        ignored: ["rotary_emb.inv_freq"])

    static let gptNeoX = KerasFamily(
        backbone: "GPTNeoXBackbone", module: "keras_hub.src.models.gpt_neo_x.gpt_neo_x_backbone",
        layer: "layers/gpt_neo_x_decoder", modelType: "gpt_neox", architecture: "GPTNeoXForCausalLM",
        prefix: "gpt_neox.", layers: "layers.",
        inner: [
            KerasPart("input_layernorm.weight", "_self_attention_layer_norm", "self_attention_layer_norm"),
            KerasPart(
                "input_layernorm.bias", "_self_attention_layer_norm", "self_attention_layer_norm", variable: 1
            ),
            // A head's query, key and value stand behind each other in both: they are heads three times as wide.
            KerasPart(
                "attention.query_key_value.weight", attention + "_qkv_dense", "query_key_value",
                .heads(.query)),
            KerasPart(
                "attention.query_key_value.bias", attention + "_qkv_dense", "query_key_value", variable: 1,
                .headBias(.query)),
            KerasPart("attention.dense.weight", attention + "_output_dense", "attention_output", .transposed),
            KerasPart("attention.dense.bias", attention + "_output_dense", "attention_output", variable: 1),
            KerasPart("post_attention_layernorm.weight", "_feedforward_layer_norm", "feedforward_layer_norm"),
            KerasPart(
                "post_attention_layernorm.bias", "_feedforward_layer_norm", "feedforward_layer_norm",
                variable: 1),
            KerasPart(
                "mlp.dense_h_to_4h.weight", "_feedforward_intermediate_dense",
                "feedforward_intermediate_dense",
                .transposed),
            KerasPart(
                "mlp.dense_h_to_4h.bias", "_feedforward_intermediate_dense", "feedforward_intermediate_dense",
                variable: 1),
            KerasPart(
                "mlp.dense_4h_to_h.weight", "_feedforward_output_dense", "feedforward_output_dense",
                .transposed),
            KerasPart(
                "mlp.dense_4h_to_h.bias", "_feedforward_output_dense", "feedforward_output_dense", variable: 1
            ),
        ],
        outer: [
            KerasPart("embed_in.weight", "layers/reversible_embedding", "token_embedding"),
            KerasPart("final_layer_norm.weight", "layers/layer_normalization", "layer_norm"),
            KerasPart("final_layer_norm.bias", "layers/layer_normalization", "layer_norm", variable: 1),
        ],
        settings: [
            ("vocabulary_size", "vocab_size"), ("num_layers", "num_hidden_layers"),
            ("num_heads", "num_attention_heads"),
            ("hidden_dim", "hidden_size"), ("intermediate_dim", "intermediate_size"),
            ("rotary_percentage", "rotary_pct"), ("rotary_max_wavelength", "rotary_emb_base"),
            ("max_sequence_length", "max_position_embeddings"), ("layer_norm_epsilon", "layer_norm_eps"),
            ("dropout", "hidden_dropout"),
        ], heads: "num_heads", constants: [("hidden_act", "gelu_new"), ("use_parallel_residual", true)],
        countsGate: false, ignored: ["attention.bias", "attention.masked_bias", "rotary_emb.inv_freq"])

    static let bloom = KerasFamily(
        backbone: "BloomBackbone", module: "keras_hub.src.models.bloom.bloom_backbone",
        layer: "layers/bloom_decoder",
        modelType: "bloom", architecture: "BloomForCausalLM", prefix: "transformer.", layers: "h.",
        inner: [
            KerasPart("input_layernorm.weight", "_pre_attention_layernorm", "pre_attention_layernorm"),
            KerasPart(
                "input_layernorm.bias", "_pre_attention_layernorm", "pre_attention_layernorm", variable: 1),
            KerasPart("self_attention.query_key_value.weight", bloomHeads, .interleaved),
            KerasPart("self_attention.query_key_value.bias", bloomHeads, variable: 1, .interleavedBias),
            KerasPart(
                "self_attention.dense.weight", attention + "_output_dense", "output_dense", .transposed),
            KerasPart("self_attention.dense.bias", attention + "_output_dense", "output_dense", variable: 1),
            KerasPart(
                "post_attention_layernorm.weight", "_post_attention_layernorm", "post_attention_layernorm"),
            KerasPart(
                "post_attention_layernorm.bias", "_post_attention_layernorm", "post_attention_layernorm",
                variable: 1),
            KerasPart(
                "mlp.dense_h_to_4h.weight", "_mlp_intermediate_dense", "mlp_intermediate_dense", .transposed),
            KerasPart(
                "mlp.dense_h_to_4h.bias", "_mlp_intermediate_dense", "mlp_intermediate_dense", variable: 1),
            KerasPart("mlp.dense_4h_to_h.weight", "_mlp_output_dense", "mlp_output_dense", .transposed),
            KerasPart("mlp.dense_4h_to_h.bias", "_mlp_output_dense", "mlp_output_dense", variable: 1),
        ],
        outer: [
            KerasPart("word_embeddings.weight", "layers/reversible_embedding", "token_embedding"),
            KerasPart(
                "word_embeddings_layernorm.weight", "layers/layer_normalization", "embedding_layernorm"),
            KerasPart(
                "word_embeddings_layernorm.bias", "layers/layer_normalization", "embedding_layernorm",
                variable: 1),
            KerasPart("ln_f.weight", "layers/layer_normalization_1", "final_layernorm"),
            KerasPart("ln_f.bias", "layers/layer_normalization_1", "final_layernorm", variable: 1),
        ],
        settings: [
            ("vocabulary_size", "vocab_size"), ("num_layers", "n_layer"), ("num_heads", "n_head"),
            ("hidden_dim", "hidden_size"), ("layer_norm_epsilon", "layer_norm_epsilon"),
            ("dropout", "hidden_dropout"),
        ], heads: "num_heads", constants: [("apply_residual_connection_post_layernorm", false)],
        countsGate: false,
        ignored: [])

    private static let bloomHeads: [(path: String, title: String)] = [
        (attention + "_query_dense", "query_dense"), (attention + "_key_dense", "key_dense"),
        (attention + "_value_dense", "value_dense"),
    ]
}
