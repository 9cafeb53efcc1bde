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
        ], derived: [".attention.bias", ".attention.masked_bias", ".rotary_emb.inv_freq"]
    ) { reader throws(ModelError) in
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
