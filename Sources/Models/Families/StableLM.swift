internal import Formats

extension Family {
    /// StableLM (<https://arxiv.org/abs/2402.17834>): LayerNorm, a part of each head turned, serial or parallel.
    static let stableLM = Family(
        "StableLM", ["stablelm"], outer: llamaOuter,
        layer: llamaLayer + [
            TensorRow(.queryNorm, "self_attn.q_layernorm.norms.*"),
            TensorRow(.keyNorm, "self_attn.k_layernorm.norms.*"),
        ], derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 4_096)
        try reader.dropout("attention_dropout", "hidden_dropout")
        try reader.require(
            "rotary_scaling_factor", in: [1, 1.0], else: "this family's class has no such option")
        let epsilon = try reader.number("layer_norm_eps", "norm_eps", default: 1e-5)
        let norm = Norm.layer(epsilon, bias: true)
        let isParallel = try reader.flag("use_parallel_residual", default: false)
        let normalizesQueries = try reader.flag("qk_layernorm", default: false)
        let layer = Layer(
            order: isParallel ? .parallel : .serial, attentionNorm: norm,
            attention: Attention(
                heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                hasBias: try reader.flag("use_qkv_bias", default: false),
                queryKeyNorm: normalizesQueries
                    ? Attention.QueryKeyNorm(.layer(epsilon, bias: false), .headOwnScale) : nil,
                rotary: try reader.rotary(sizes, share: 0.25)),
            feedForwardNorm: isParallel ? nil : norm, feedForward: .gated(try reader.gatedMLP()))
        return try reader.architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm)
    }
}
