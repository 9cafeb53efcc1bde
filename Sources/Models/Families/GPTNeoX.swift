internal import Formats

extension Family {
    /// GPT-NeoX (<https://arxiv.org/abs/2204.06745>) and Pythia.
    static let gptNeoX = Family(
        "GPT-NeoX", ["gpt_neox"], prefixes: ["gpt_neox.", ""],
        outer: [
            TensorRow(.embedding, "embed_in", .vocabulary, .hidden),
            TensorRow(.finalNorm, "final_layer_norm", .hidden),
            TensorRow(.head, "embed_out", .vocabulary, .hidden),
        ],
        layer: [
            TensorRow(.attentionNorm, "input_layernorm", .hidden),
            TensorRow(.feedForwardNorm, "post_attention_layernorm", .hidden),
            TensorRow(.queryKeyValue, "attention.query_key_value", .queriesKeysValues, .hidden),
            TensorRow(.attentionOutput, "attention.dense", .hidden, .queries),
            TensorRow(.up, "mlp.dense_h_to_4h", .feedForward, .hidden),
            TensorRow(.down, "mlp.dense_4h_to_h", .hidden, .feedForward),
        ], derived: [".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"],
        kerasHub: [.gptNeoX]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 2_048)
        let hasBias = try reader.flag("attention_bias", default: true)
        try reader.dropout("attention_dropout", "hidden_dropout")
        reader.ignore("classifier_dropout")
        let norm = Norm.layer(try reader.number("layer_norm_eps", default: 1e-5), bias: true)
        let layer = Layer(
            order: try reader.flag("use_parallel_residual", default: true) ? .parallel : .serial,
            attentionNorm: norm,
            attention: Attention(
                heads: sizes.heads, keyValueHeads: sizes.heads, headSize: sizes.headSize,
                arrangement: .grouped, hasBias: hasBias, hasOutputBias: hasBias,
                rotary: try reader.rotary(sizes, share: 0.25)),
            feedForwardNorm: norm,
            feedForward: .plain(
                MLP(
                    size: try reader.count("intermediate_size"),
                    activation: try reader.activation("hidden_act", default: .gelu), hasBias: true)))
        return try reader.architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm)
    }
}

// MARK: - In KerasHub 0.32 (keras_hub/src/utils/transformers, read for names and shapes)

extension KerasClass {
    static let gptNeoX = KerasClass(
        "GPTNeoXBackbone", folder: "gpt_neo_x",
        layer: "layers/gpt_neo_x_decoder", architecture: "GPTNeoXForCausalLM",
        inner: [
            KerasPart(.attentionNorm, "_self_attention_layer_norm", "self_attention_layer_norm"),
            KerasPart(
                bias: .attentionNorm, "_self_attention_layer_norm", "self_attention_layer_norm"
            ),
            // A head's query, key and value stand behind each other in both: they are heads three times as wide.
            KerasPart(
                .queryKeyValue, attention + "_qkv_dense", "query_key_value",
                .heads(.query)),
            KerasPart(
                bias: .queryKeyValue, attention + "_qkv_dense", "query_key_value",
                .headBias(.query)),
            KerasPart(.attentionOutput, attention + "_output_dense", "attention_output", .transposed),
            KerasPart(bias: .attentionOutput, attention + "_output_dense", "attention_output"),
            KerasPart(.feedForwardNorm, "_feedforward_layer_norm", "feedforward_layer_norm"),
            KerasPart(
                bias: .feedForwardNorm, "_feedforward_layer_norm", "feedforward_layer_norm"),
            KerasPart(
                .up, "_feedforward_intermediate_dense",
                "feedforward_intermediate_dense",
                .transposed),
            KerasPart(
                bias: .up, "_feedforward_intermediate_dense", "feedforward_intermediate_dense"),
            KerasPart(
                .down, "_feedforward_output_dense", "feedforward_output_dense",
                .transposed),
            KerasPart(
                bias: .down, "_feedforward_output_dense", "feedforward_output_dense"
            ),
        ],
        outer: [
            KerasPart(.embedding, "layers/reversible_embedding", "token_embedding"),
            KerasPart(.finalNorm, "layers/layer_normalization", "layer_norm"),
            KerasPart(bias: .finalNorm, "layers/layer_normalization", "layer_norm"),
        ],
        settings: [
            ("vocabulary_size", "vocab_size"), ("num_layers", "num_hidden_layers"),
            ("num_heads", "num_attention_heads"),
            ("hidden_dim", "hidden_size"), ("intermediate_dim", "intermediate_size"),
            ("rotary_percentage", "rotary_pct"), ("rotary_max_wavelength", "rotary_emb_base"),
            ("max_sequence_length", "max_position_embeddings"), ("layer_norm_epsilon", "layer_norm_eps"),
            ("dropout", "hidden_dropout"),
        ], heads: "num_heads", constants: [("hidden_act", "gelu_new"), ("use_parallel_residual", true)],
        dropouts: ([], 0), positions: .share)
}
