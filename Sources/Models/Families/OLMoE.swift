internal import Formats

extension Family {
    /// OLMoE (<https://arxiv.org/abs/2409.02060>): norms of all queries and keys at once, and experts in every layer.
    static let olmoe = Family(
        "OLMoE", ["olmoe"], outer: llamaOuter,
        layer: llamaNorms + llamaAttention + queryKeyNorms + separateExperts,
        derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 4_096)
        try reader.require("clip_qkv", in: [], else: "the trainer does not clip queries, keys and values")
        let norm = Norm.rms(try reader.number("rms_norm_eps", default: 1e-5))
        var attention = try reader.llamaAttention(sizes)
        attention.queryKeyNorm = Attention.QueryKeyNorm(norm, .all)
        let layer = Layer(
            attentionNorm: norm, attention: attention, feedForwardNorm: norm,
            feedForward: .experts(
                Experts(
                    count: try reader.count("num_experts", "num_local_experts", default: 64),
                    chosen: try reader.count("num_experts_per_tok", default: 8),
                    expert: try reader.gatedMLP(),
                    routing: .softmax(normalizes: try reader.flag("norm_topk_prob", default: false)))))
        return try reader.architecture(
            sizes, layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm,
            balanceFactor: try reader.balanceFactor(default: 0.01))
    }
}
