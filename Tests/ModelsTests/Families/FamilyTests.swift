import Formats
import Models
import Testing

@Suite struct FamilyTests {
    private func describe(_ text: String) throws -> DescribedModel {
        try DescribedModel(Configuration(parsing: Array(text.utf8), file: "config.json"), path: "model")
    }

    private func attention(_ text: String) throws -> Attention {
        try #require(describe(text).architecture.layers.first).attention
    }

    private static let base = """
        "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12
        """

    @Test func readsBothDialects() throws {
        let old = try describe(
            "{\"model_type\": \"llama\", \(Self.base), \"rope_theta\": 5e5, \"torch_dtype\": \"bfloat16\"}")
        let new = try describe(
            "{\"model_type\": \"llama\", \(Self.base), \"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"default\"}}"
        )
        #expect(old.architecture == new.architecture)
        let attention = try #require(new.architecture.layers.first).attention
        #expect(attention.rotary?.theta == 500_000 && attention.keyValueHeads == 2 && attention.headSize == 4)
    }

    @Test func absentKeysHaveTheReferencesDefaults() throws {
        let mistral = "\"model_type\": \"mistral\", \(Self.base), \"num_key_value_heads\": 1"
        #expect(try attention("{\(mistral)}").window == 4_096)
        #expect(try attention("{\(mistral), \"sliding_window\": null}").window == nil)
        #expect(try !attention("{\"model_type\": \"llama\", \(Self.base)}").hasBias)
        let biased = try attention("{\"model_type\": \"llama\", \(Self.base), \"attention_bias\": true}")
        #expect(biased.hasBias && biased.hasOutputBias)
    }

    @Test(arguments: [("silu", Activation.silu), ("gelu", .gelu), ("gelu_pytorch_tanh", .geluTanh)])
    func readsTheGatesActivation(name: String, activation: Activation) throws {
        let text = "{\"model_type\": \"llama\", \(Self.base), \"hidden_act\": \"\(name)\"}"
        let mlp = GatedMLP(size: 12, unit: .product(activation))
        #expect(try describe(text).architecture.layers.allSatisfy { $0.feedForward == .gated(mlp) })
    }

    @Test(arguments: [
        ("\"hidden_act\": \"mish\"", "hidden_act = \"mish\""),
        ("\"rope_scaling\": {\"rope_type\": \"mrope\"}", "rope_type = \"mrope\""),
        (
            "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 4, \"mscale\": 2}",
            "rope_scaling.mscale = 2"
        ),
        (
            "\"rope_parameters\": {\"rope_theta\": 1e4, \"partial_rotary_factor\": 0.3}",
            "partial_rotary_factor = 0.3 of 4 channels"
        ),
        ("\"quantization_config\": {\"bits\": 4}", "quantization_config = a quantisation"),
        ("\"sliding_window\": 128", "sliding_window = 128"),
        ("\"num_key_value_heads\": 3", "num_key_value_heads = 3"),
        ("\"head_dim\": 5", "partial_rotary_factor = 1.0 of 5 channels"),
        ("\"logit_softcapping\": 30.0", "logit_softcapping = 30.0"),
    ])
    func refusesByName(_ key: String, _ named: String) throws {
        let error = #expect(throws: UserFacingError.self) {
            try describe("{\"model_type\": \"llama\", \(Self.base), \(key)}")
        }
        let message = try #require(error).description.replacing(" ", with: "")
        #expect(message.contains(named.replacing(" ", with: "")), "\(message)")
        #expect(error?.fault == .input)
    }

    /// Keys that published files have besides those that transformers writes today.
    @Test(arguments: [
        """
        "model_type": "starcoder2", "activation_function": "gelu", "attention_softmax_in_fp32": true,
        "layer_norm_epsilon": 1e-05, "mlp_type": "default", "norm_epsilon": 1e-05, "norm_type": "layer_norm",
        "scale_attention_softmax_in_fp32": true, "scale_attn_weights": true, "use_bias": true,
        "num_key_value_heads": 2, "sliding_window": 4096
        """,
        """
        "model_type": "phi3", "interpolate_factor": 1, "full_attn_mod": 1, "lm_head_bias": false,
        "partial_rotary_factor": 0.5, "sliding_window": 262144, "resid_pdrop": 0.0, "mlp_bias": false
        """,
        """
        "model_type": "cohere2", "cache_implementation": "hybrid", "layer_switch": 4, "logit_scale": 0.25,
        "order_of_interleaved_layers": "local_attn_first", "position_embedding_type": "rope_gptj",
        "rotary_pct": 1.0, "sliding_window": 4096, "sliding_window_pattern": 4, "use_embedding_sharing": true,
        "use_gated_activation": true, "use_parallel_block": true, "use_parallel_embedding": true,
        "use_qk_norm": false, "rope_theta": 50000
        """,
        """
        "model_type": "stablelm", "rotary_scaling_factor": 1.0, "use_qkv_bias": false, "norm_eps": 1e-05,
        "partial_rotary_factor": 0.5
        """,
        """
        "model_type": "bloom", "n_embed": 8, "n_layer": 2, "seq_length": 2048, "offset_alibi": 100,
        "masked_softmax_fusion": true, "bias_dropout_fusion": true, "attention_softmax_in_fp32": true,
        "skip_bias_add": true, "skip_bias_add_qkv": false, "pretraining_tp": 2
        """,
        """
        "model_type": "gpt_neox", "rotary_pct": 0.5, "rotary_emb_base": 10000, "use_parallel_residual": true,
        "hidden_act": "gelu"
        """,
        """
        "model_type": "falcon", "alibi": false, "apply_residual_connection_post_layernorm": false,
        "multi_query": true, "new_decoder_architecture": false, "parallel_attn": true, "bias": false,
        "ffn_hidden_size": 32
        """,
        """
        "model_type": "gemma", "hidden_act": "gelu", "hidden_activation": null, "head_dim": 4,
        "num_key_value_heads": 1
        """,
    ]) func understandsWhatPublishedFilesSay(keys: String) throws {
        let base =
            keys.contains("\"n_embed\"")
            ? "\"vocab_size\": 10, \"num_attention_heads\": 2"
            : keys.contains("ffn_hidden_size")
                ? Self.base.replacing(", \"intermediate_size\": 12", with: "") : Self.base
        let layers = try describe("{\(base), \(keys)}").architecture.layers
        #expect(layers.count == 2)
    }

    @Test func saysThatNothingIsDroppedOut() throws {
        let model = try describe("{\"model_type\": \"llama\", \(Self.base), \"attention_dropout\": 0.1}")
        #expect(model.notes.count == 1 && model.notes[0].contains("attention_dropout = 0.1"))
        #expect(try describe("{\"model_type\": \"llama\", \(Self.base)}").notes.isEmpty)
    }

    @Test func refusesAnUnknownFamily() throws {
        let error = #expect(throws: UserFacingError.self) { try describe("{\"model_type\": \"mamba\"}") }
        let message = try #require(error).description
        #expect(message.contains("'mamba'") && message.contains("llama") && message.contains("gpt_oss"))
        #expect(throws: UserFacingError.noFamily(path: "model")) { try describe("{}") }
        let text = "{\"model_type\": \"idefics\", \"text_config\": {\"model_type\": \"llama\", \(Self.base)}}"
        let wrapper = #expect(throws: UserFacingError.self) { try describe(text) }
        #expect(try #require(wrapper).description.contains("model_type = idefics"))
    }
}
