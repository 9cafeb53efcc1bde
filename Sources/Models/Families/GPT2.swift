internal import Formats

extension Family {
    /// GPT-2 (Radford et al., *Language Models are Unsupervised Multitask Learners*, 2019).
    ///
    /// Its products lie in the file with inputs before outputs.
    static let gpt2 = Family(
        "GPT-2", ["gpt2", "gpt-sw3"], prefixes: ["transformer.", ""], layers: "h.",
        outer: [
            TensorRow(.embedding, "wte", .vocabulary, .hidden),
            TensorRow(.positions, "wpe"),
            TensorRow(.finalNorm, "ln_f", .hidden),
            TensorRow(.head, "lm_head", .vocabulary, .hidden),
        ],
        layer: [
            TensorRow(.attentionNorm, "ln_1", .hidden),
            TensorRow(.feedForwardNorm, "ln_2", .hidden),
            TensorRow(.queryKeyValue, "attn.c_attn", .hidden, .queriesKeysValues, isTransposed: true),
            TensorRow(.attentionOutput, "attn.c_proj", .queries, .hidden, isTransposed: true),
            TensorRow(.up, "mlp.c_fc", .hidden, .fourfold, isTransposed: true),
            TensorRow(.down, "mlp.c_proj", .fourfold, .hidden, isTransposed: true),
        ], derived: [".attn.bias", ".attn.masked_bias"], isTied: true, kerasHub: [.gpt2]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 1_024)
        try reader.dropout("resid_pdrop", "embd_pdrop", "attn_pdrop")
        reader.ignore(
            "n_ctx", "summary_type", "summary_use_proj", "summary_activation", "summary_proj_to_labels",
            "summary_first_dropout", "reorder_and_upcast_attn")
        try reader.require("add_cross_attention", in: [false], else: "the trainer computes decoders only")
        let scales = try reader.flag("scale_attn_weights", default: true)
        let scalesByLayer = try reader.flag("scale_attn_by_inverse_layer_idx", default: false)
        let norm = Norm.layer(try reader.number("layer_norm_epsilon", default: 1e-5), bias: true)
        let inner = try reader.optionalCount("n_inner") ?? 4 * sizes.hiddenSize
        let feedForward = MLP(
            size: inner, activation: try reader.activation("activation_function", default: .geluTanh),
            hasBias: true)
        let layers = (0..<sizes.layers).map { index in
            let scale = scales ? 1 / Float(sizes.headSize).squareRoot() : 1
            return Layer(
                attentionNorm: norm,
                attention: Attention(
                    heads: sizes.heads, keyValueHeads: sizes.heads, headSize: sizes.headSize,
                    hasBias: true, hasOutputBias: true,
                    scale: scalesByLayer ? scale / Float(index + 1) : scale),
                feedForwardNorm: norm, feedForward: .plain(feedForward))
        }
        return try reader.architecture(
            sizes, embedding: Architecture.Embedding(positions: sizes.maximumLength), layers: layers,
            finalNorm: norm)
    }
}

// MARK: - In KerasHub 0.32 (keras_hub/src/utils/transformers, read for names and shapes)

extension KerasClass {
    private static let queriesKeysValues: [(path: String, title: String)] = [
        (attention + "query_dense", "query"), (attention + "key_dense", "key"),
        (attention + "value_dense", "value"),
    ]

    static let gpt2 = KerasClass(
        "GPT2Backbone", folder: "gpt2",
        layer: "layers/transformer_decoder", architecture: "GPT2LMHeadModel",
        inner: [
            KerasPart(.attentionNorm, "_self_attention_layer_norm", "self_attention_layer_norm"),
            KerasPart(bias: .attentionNorm, "_self_attention_layer_norm", "self_attention_layer_norm"),
            KerasPart(.queryKeyValue, queriesKeysValues, .fused),
            KerasPart(bias: .queryKeyValue, queriesKeysValues, .fusedBias),
            KerasPart(.attentionOutput, attention + "output_dense", "attention_output", .plainOutput),
            KerasPart(bias: .attentionOutput, attention + "output_dense", "attention_output"),
            KerasPart(.feedForwardNorm, "_feedforward_layer_norm", "feedforward_layer_norm"),
            KerasPart(bias: .feedForwardNorm, "_feedforward_layer_norm", "feedforward_layer_norm"),
            KerasPart(.up, "_feedforward_intermediate_dense", "feedforward_intermediate_dense"),
            KerasPart(
                bias: .up, "_feedforward_intermediate_dense", "feedforward_intermediate_dense"),
            KerasPart(.down, "_feedforward_output_dense", "feedforward_output_dense"),
            KerasPart(
                bias: .down, "_feedforward_output_dense", "feedforward_output_dense"),
        ],
        outer: [
            KerasPart(.embedding, "layers/reversible_embedding", "token_embedding"),
            KerasPart(.positions, "layers/position_embedding", "position_embedding"),
            KerasPart(.finalNorm, "layers/layer_normalization", "layer_norm"),
            KerasPart(bias: .finalNorm, "layers/layer_normalization", "layer_norm"),
        ],
        settings: [
            ("vocabulary_size", "vocab_size"), ("num_layers", "n_layer"), ("num_heads", "n_head"),
            ("hidden_dim", "n_embd"), ("intermediate_dim", "n_inner"), ("max_sequence_length", "n_positions"),
            ("dropout", "resid_pdrop"),
        ], heads: "num_heads",
        constants: [
            ("activation_function", "gelu_new"), ("layer_norm_epsilon", JSON(1e-5)),
        ], dropouts: (["embd_pdrop", "attn_pdrop", "summary_first_dropout"], JSON(0.1)), positions: .plain,
        width: .fourfoldByDefault)
}
