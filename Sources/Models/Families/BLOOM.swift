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
        ]
    ) { reader throws(ModelError) in
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
            throw reader.unsupported("n_inner", "this family's feed-forward part is four times the model's width")
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
            layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm, isTied: true)
    }
}
