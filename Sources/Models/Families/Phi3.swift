extension Family {
    /// Phi-3 (<https://arxiv.org/abs/2404.14219>) and Phi-4: products in one, LongRoPE for long sequences.
    static let phi3 = Family(
        "Phi 3", ["phi3"], outer: llamaOuter,
        layer: llamaNorms + [
            TensorRow(.queryKeyValue, "self_attn.qkv_proj", .queriesKeysValues, .hidden),
            TensorRow(.attentionOutput, "self_attn.o_proj", .hidden, .queries),
            TensorRow(.gateUp, "mlp.gate_up_proj", .gateAndUp, .hidden),
            TensorRow(.down, "mlp.down_proj", .hidden, .feedForward),
        ], derived: [".rotary_emb.inv_freq"]
    ) { reader throws(ModelError) in
        let sizes = try reader.sizes(maximumLength: 4_096)
        var attention = try reader.llamaAttention(sizes)
        attention.window = try reader.optionalCount("sliding_window")
        try reader.dropout("resid_pdrop", "embd_pdrop")
        let norm = Norm.rms(try reader.number("rms_norm_eps", default: 1e-5))
        let layer = Layer(
            attentionNorm: norm, attention: attention, feedForwardNorm: norm,
            feedForward: .gated(try reader.gatedMLP()))
        return try reader.architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm)
    }
}
