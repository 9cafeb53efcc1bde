internal import Formats

extension Family {
    /// dots.llm1 (<https://arxiv.org/abs/2506.05767>): experts by sigmoids with a correction, some for every token.
    static let dots = Family(
        "dots.llm1", ["dots1"], outer: llamaOuter,
        layer: llamaLayer + queryKeyNorms + separateExperts + [
            TensorRow(.routerCorrection, "mlp.gate.e_score_correction_bias", weight: ""),
            TensorRow(.sharedGate, "mlp.shared_experts.gate_proj"),
            TensorRow(.sharedUp, "mlp.shared_experts.up_proj"),
            TensorRow(.sharedDown, "mlp.shared_experts.down_proj"),
        ], lists: [windowedAbove], derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 32, maximumLength: 2_048)
        for key in ["n_group", "topk_group"] {
            try reader.require(
                key, in: [1], else: "the trainer chooses among all experts, not among groups of them")
        }
        let norm = Norm.rms(try reader.number("rms_norm_eps", default: 1e-6))
        var attention = try reader.llamaAttention(sizes)
        attention.queryKeyNorm = Attention.QueryKeyNorm(norm, .head)
        let window = reader.has("sliding_window") ? try reader.optionalCount("sliding_window") : 4_096
        reader.ignore("max_window_layers")
        let windowed = try reader.windowedLayers(sizes.layers, implied: windowedAbove)
        let dense = try reader.gatedMLP()
        let size = try reader.count("moe_intermediate_size", default: 1_408)
        let shared = try reader.count("n_shared_experts")
        let experts = Experts(
            count: try reader.count("n_routed_experts", "num_local_experts"),
            chosen: try reader.count("num_experts_per_tok"), expert: GatedMLP(size: size, unit: dense.unit),
            routing: .sigmoid(
                normalizes: try reader.flag("norm_topk_prob", default: false),
                factor: Float(try reader.number("routed_scaling_factor", default: 1))),
            shared: GatedMLP(size: size * shared, unit: dense.unit))
        let firstSparse = Int(try reader.number("first_k_dense_replace", default: 0))
        let layers = windowed.enumerated().map { index, isWindowed in
            var own = attention
            own.window = isWindowed ? window : nil
            return Layer(
                attentionNorm: norm, attention: own, feedForwardNorm: norm,
                feedForward: index < firstSparse ? .gated(dense) : .experts(experts))
        }
        return try reader.architecture(sizes, layers: layers, finalNorm: norm)
    }

    /// Layers from `max_window_layers` on see a window, where there is one.
    private static let windowedAbove = ImpliedLayerList("layer_types") { settings, count in
        let window = settings["sliding_window"] ?? 4_096
        let first = settings["max_window_layers"]?.int ?? 62
        return (0..<count).map { !window.isNull && $0 >= first ? "sliding_attention" : "full_attention" }
    }
}
