internal import Formats

extension Family {
    /// BLOOM (<https://arxiv.org/abs/2211.05100>): ALiBi, and a norm behind the embedding.
    static let bloom = Family(
        "BLOOM", ["bloom"], prefixes: ["transformer.", ""], layers: "h.",
        outer: [
            TensorRow(.embedding, "word_embeddings", .vocabulary, .hidden),
            TensorRow(.embeddingNorm, "word_embeddings_layernorm", .hidden),
            TensorRow(.finalNorm, "ln_f", .hidden),
            TensorRow(.head, "lm_head", .vocabulary, .hidden),
        ],
        layer: [
            TensorRow(.attentionNorm, "input_layernorm", .hidden),
            TensorRow(.feedForwardNorm, "post_attention_layernorm", .hidden),
            TensorRow(.queryKeyValue, "self_attention.query_key_value", .queriesKeysValues, .hidden),
            TensorRow(.attentionOutput, "self_attention.dense", .hidden, .queries),
            TensorRow(.up, "mlp.dense_h_to_4h", .fourfold, .hidden),
            TensorRow(.down, "mlp.dense_4h_to_h", .hidden, .fourfold),
        ], isTied: true, noIdentity: ("apply_residual_connection_post_layernorm", true), kerasHub: [.bloom]
    ) { reader throws(UserFacingError) in
        // ALiBi has no longest sequence; `seq_length` is the one that the model was trained on.
        let sizes = try reader.sizes(maximumLength: 1 << 40)
        try reader.dropout("attention_dropout", "hidden_dropout")
        reader.ignore(
            "seq_length", "slow_but_exact", "offset_alibi", "masked_softmax_fusion", "bias_dropout_fusion",
            "attention_softmax_in_fp32", "skip_bias_add", "skip_bias_add_qkv", "unk_token_id",
            "num_attention_heads")
        let norm = Norm.layer(try reader.number("layer_norm_epsilon", default: 1e-5), bias: true)
        let inner = try reader.optionalCount("n_inner") ?? 4 * sizes.hiddenSize
        guard inner == 4 * sizes.hiddenSize else {
            throw reader.unsupported(
                "n_inner", "this family's feed-forward part is four times the model's width")
        }
        let layer = Layer(
            attentionNorm: norm,
            attention: Attention(
                heads: sizes.heads, keyValueHeads: sizes.heads, headSize: sizes.headSize,
                arrangement: .grouped, hasBias: true, hasOutputBias: true,
                positionBias: PositionBias(heads: sizes.heads)),
            feedForwardNorm: norm,
            feedForward: .plain(MLP(size: inner, activation: .geluTanh, hasBias: true)),
            addsToNormed: try reader.flag("apply_residual_connection_post_layernorm", default: false))
        return try reader.architecture(
            sizes, embedding: Architecture.Embedding(norm: norm),
            layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm)
    }
}

// MARK: - In KerasHub 0.32 (keras_hub/src/utils/transformers, read for names and shapes)

extension KerasClass {
    static let bloom = KerasClass(
        "BloomBackbone", folder: "bloom",
        layer: "layers/bloom_decoder",
        architecture: "BloomForCausalLM",
        inner: [
            KerasPart(.attentionNorm, "_pre_attention_layernorm", "pre_attention_layernorm"),
            KerasPart(
                bias: .attentionNorm, "_pre_attention_layernorm", "pre_attention_layernorm"),
            KerasPart(.queryKeyValue, bloomHeads, .interleaved),
            KerasPart(bias: .queryKeyValue, bloomHeads, .interleavedBias),
            KerasPart(
                .attentionOutput, attention + "_output_dense", "output_dense", .transposed),
            KerasPart(bias: .attentionOutput, attention + "_output_dense", "output_dense"),
            KerasPart(
                .feedForwardNorm, "_post_attention_layernorm", "post_attention_layernorm"),
            KerasPart(
                bias: .feedForwardNorm, "_post_attention_layernorm", "post_attention_layernorm"),
            KerasPart(
                .up, "_mlp_intermediate_dense", "mlp_intermediate_dense", .transposed),
            KerasPart(
                bias: .up, "_mlp_intermediate_dense", "mlp_intermediate_dense"),
            KerasPart(.down, "_mlp_output_dense", "mlp_output_dense", .transposed),
            KerasPart(bias: .down, "_mlp_output_dense", "mlp_output_dense"),
        ],
        outer: [
            KerasPart(.embedding, "layers/reversible_embedding", "token_embedding"),
            KerasPart(
                .embeddingNorm, "layers/layer_normalization", "embedding_layernorm"),
            KerasPart(
                bias: .embeddingNorm, "layers/layer_normalization", "embedding_layernorm"),
            KerasPart(.finalNorm, "layers/layer_normalization_1", "final_layernorm"),
            KerasPart(bias: .finalNorm, "layers/layer_normalization_1", "final_layernorm"),
        ],
        settings: [
            ("vocabulary_size", "vocab_size"), ("num_layers", "n_layer"), ("num_heads", "n_head"),
            ("hidden_dim", "hidden_size"), ("layer_norm_epsilon", "layer_norm_epsilon"),
            ("dropout", "hidden_dropout"),
        ], heads: "num_heads", constants: [("apply_residual_connection_post_layernorm", false)],
        dropouts: ([], 0), positions: .plain, width: .fourfold)

    private static let bloomHeads: [(path: String, title: String)] = [
        (attention + "_query_dense", "query_dense"), (attention + "_key_dense", "key_dense"),
        (attention + "_value_dense", "value_dense"),
    ]
}
