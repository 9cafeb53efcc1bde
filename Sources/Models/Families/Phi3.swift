internal import Formats

extension Family {
    /// Phi-3 (<https://arxiv.org/abs/2404.14219>) and Phi-4: products in one, LongRoPE for long sequences.
    static let phi3 = Family(
        "Phi 3", ["phi3"], outer: llamaOuter,
        layer: llamaNorms + [
            TensorRow(.queryKeyValue, "self_attn.qkv_proj", .queriesKeysValues, .hidden),
            TensorRow(.attentionOutput, "self_attn.o_proj", .hidden, .queries),
            TensorRow(.gateUp, "mlp.gate_up_proj", .gateAndUp, .hidden),
            TensorRow(.down, "mlp.down_proj", .hidden, .feedForward),
        ], derived: [".rotary_emb.inv_freq"], kerasHub: [.phi3]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 4_096)
        var attention = try reader.llamaAttention(sizes)
        attention.window = try reader.optionalCount("sliding_window")
        try reader.dropout("resid_pdrop", "embd_pdrop")
        // Phi-4-mini's files say these of code that is not transformers' own.
        for key in ["interpolate_factor", "full_attn_mod"] {
            try reader.require(key, in: [1], else: "this family's class has no such option")
        }
        let norm = Norm.rms(try reader.number("rms_norm_eps", default: 1e-5))
        let layer = Layer(
            attentionNorm: norm, attention: attention, feedForwardNorm: norm,
            feedForward: .gated(try reader.gatedMLP()))
        return try reader.architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm)
    }
}

// MARK: - In KerasHub 0.32 (keras_hub/src/utils/transformers, read for names and shapes)

extension KerasClass {
    static let phi3 = KerasClass(
        "Phi3Backbone", folder: "phi3",
        layer: "layers/phi3_decoder",
        architecture: "Phi3ForCausalLM",
        inner: [
            KerasPart(.attentionNorm, "pre_attention_layernorm", "pre_attention_layernorm"),
            KerasPart(
                .queryKeyValue,
                [
                    ("attention/query_dense", "query"), ("attention/key_dense", "key"),
                    ("attention/value_dense", "value"),
                ], .stackedHeads),
            KerasPart(.attentionOutput, "attention/output_dense", "attention_output", .output),
            KerasPart(
                .feedForwardNorm, "post_attention_layernorm", "post_attention_layernorm"),
            KerasPart(
                .gateUp,
                [
                    ("feedforward_gate_dense", "feedforward_gate_dense"),
                    ("feedforward_intermediate_dense", "feedforward_intermediate_dense"),
                ], .stacked),
            KerasPart(
                .down, "feedforward_output_dense", "feedforward_output_dense", .transposed),
        ], outer: aroundLlama(norm: "phi3_layer_norm"),
        settings: llamaSettings(and: [
            ("max_sequence_length", "max_position_embeddings"),
            ("pretraining_sequence_length", "original_max_position_embeddings"),
        ]),
        // The defaults of the class lie beyond small vocabularies.
        constants: [("hidden_act", "silu"), ("attention_bias", false), ("pad_token_id", .null)],
        positions: .scaled([]))
}
