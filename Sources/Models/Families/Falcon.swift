internal import Formats

extension Family {
    /// Falcon (<https://arxiv.org/abs/2311.16867>): rotary embedding or ALiBi, serial or parallel, one norm or two.
    static let falcon = Family(
        "Falcon", ["falcon"], prefixes: ["transformer.", ""], layers: "h.",
        outer: [
            TensorRow(.embedding, "word_embeddings", .vocabulary, .hidden),
            TensorRow(.finalNorm, "ln_f", .hidden),
            TensorRow(.head, "lm_head", .vocabulary, .hidden),
        ],
        layer: [
            TensorRow(.attentionNorm, "input_layernorm", .hidden),
            TensorRow(.attentionNorm, "ln_attn", .hidden),
            TensorRow(.feedForwardNorm, "post_attention_layernorm", .hidden),
            TensorRow(.feedForwardNorm, "ln_mlp", .hidden),
            TensorRow(.queryKeyValue, "self_attention.query_key_value"),
            TensorRow(.attentionOutput, "self_attention.dense", .hidden, .queries),
            TensorRow(.up, "mlp.dense_h_to_4h"),
            TensorRow(.down, "mlp.dense_4h_to_h"),
        ], isTied: true
    ) { reader throws(UserFacingError) in
        var sizes = try reader.sizes(maximumLength: 2_048)
        try reader.dropout("attention_dropout", "hidden_dropout")
        reader.ignore("num_key_value_heads", "n_head_kv", "num_attention_heads", "n_head", "n_layer")
        let isNew = try reader.flag("new_decoder_architecture", default: false)
        let isMultiQuery = try reader.flag("multi_query", default: true)
        let isParallel = try reader.flag("parallel_attn", default: true)
        let norms = try reader.optionalCount("num_ln_in_parallel_attn") ?? (isNew ? 2 : 1)
        guard isParallel || !isNew else {
            throw reader.unsupported(
                "parallel_attn", "with new_decoder_architecture the parts are always parallel")
        }
        guard norms == 1 || (norms == 2 && isNew) else {
            throw reader.unsupported(
                "num_ln_in_parallel_attn",
                "it is 1, or 2 with new_decoder_architecture, for all that is known")
        }
        let hasBias = try reader.flag("bias", default: false)
        let groups = try reader.count("num_kv_heads", "n_head_kv", default: sizes.heads)
        sizes.keyValueHeads = isNew ? groups : isMultiQuery ? 1 : sizes.heads
        guard sizes.heads.isMultiple(of: sizes.keyValueHeads) else {
            throw reader.unsupported(
                "num_kv_heads", "the \(sizes.heads) heads cannot be shared among them evenly")
        }
        let usesALiBi = try reader.flag("alibi", default: false)
        let rotary = try reader.rotary(sizes)
        if usesALiBi {
            reader.note(
                """
                ALiBi is added twice, as transformers 5.24's eager attention does for this family; \
                its SDPA attention adds it once
                """)
        }
        let norm = Norm.layer(try reader.number("layer_norm_epsilon", default: 1e-5), bias: true)
        let layer = Layer(
            order: isParallel ? .parallel : .serial, attentionNorm: norm,
            attention: Attention(
                heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                arrangement: .grouped, hasBias: hasBias, hasOutputBias: hasBias,
                rotary: usesALiBi ? nil : rotary,
                positionBias: usesALiBi
                    // Twice, as transformers 5.24 computes it: its mask holds the bias that it adds to the scores, too.
                    ? PositionBias(
                        heads: sizes.heads, factor: 2 / Float(sizes.headSize).squareRoot(),
                        roundsToBFloat16: true) : nil),
            feedForwardNorm: isParallel && norms == 1 ? nil : norm,
            feedForward: .plain(
                MLP(
                    size: try reader.count("ffn_hidden_size", default: 4 * sizes.hiddenSize),
                    activation: try reader.activation("activation", default: .gelu), hasBias: hasBias)))
        return try reader.architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm)
    }
}
