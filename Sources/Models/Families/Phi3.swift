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
    ) { reader throws(ModelError) in
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

extension KerasFamily {
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
        ignored: ["rotary_emb.inv_freq"], positions: .rotary(linear: nil, llama3: false))
}
