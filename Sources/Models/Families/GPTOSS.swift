internal import Formats

extension Family {
    /// GPT-OSS (<https://arxiv.org/abs/2508.10925>): experts in one tensor, gates and what they gate in turn, sinks.
    static let gptOSS = Family(
        "GPT-OSS", ["gpt_oss"], outer: llamaOuter,
        layer: llamaNorms + llamaAttention + [
            TensorRow(.sinks, "self_attn.sinks", weight: ""),
            TensorRow(.router, "mlp.router"),
            TensorRow(
                .expertGateUp, "mlp.experts.gate_up_proj", weight: "", bias: "_bias", isTransposed: true),
            TensorRow(.expertDown, "mlp.experts.down_proj", weight: "", bias: "_bias", isTransposed: true),
        ], lists: [.everyLast([], default: 2)], headSize: 64
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 8, maximumLength: 131_072)
        let hasBias = try reader.flag("attention_bias", default: true)
        try reader.dropout("attention_dropout")
        try reader.require(
            "hidden_act", in: ["silu"], else: "this family's experts have an activation of their own")
        reader.ignore("initial_context_length", "experts_per_token")
        let norm = Norm.rms(try reader.number("rms_norm_eps", default: 1e-5))
        let rotary = try reader.gptOSSRotary(sizes)
        let window = try reader.count("sliding_window", default: 128)
        let windowed = try reader.windowedLayers(sizes.layers, implied: .everyLast([], default: 2))
        let unit = GatedUnit(
            kind: .clamped(
                alpha: Float(try reader.number("swiglu_alpha", default: 1.702)),
                limit: Float(try reader.number("swiglu_limit", default: 7))),
            isInterleaved: true)
        let experts = Experts(
            count: try reader.count("num_local_experts", "num_experts", default: 128),
            chosen: try reader.count("num_experts_per_tok", default: 4),
            expert: GatedMLP(
                size: try reader.count("intermediate_size"), unit: unit, hasBias: true, hasDownBias: true),
            routing: .softmaxOfChosen, hasRouterBias: true)
        let layers = windowed.map { isWindowed in
            Layer(
                attentionNorm: norm,
                attention: Attention(
                    heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                    hasBias: hasBias, hasOutputBias: hasBias, rotary: rotary,
                    window: isWindowed ? window : nil, hasSinks: true),
                feedForwardNorm: norm, feedForward: .experts(experts))
        }
        return try reader.architecture(
            sizes, layers: layers, finalNorm: norm, balanceFactor: try reader.balanceFactor(default: 0.001))
    }
}

extension ConfigurationReader {
    /// What the file says of positions, or the family's own.
    fileprivate mutating func gptOSSRotary(_ sizes: ModelSizes) throws(UserFacingError) -> RotaryEmbedding {
        if value("rope_parameters") != nil || value("rope_scaling") != nil {
            return try rotary(sizes, theta: 150_000)
        }
        let factor = 32.0
        return RotaryEmbedding(
            theta: try number("rope_theta", default: 150_000), size: sizes.headSize,
            scaling: .yarn(
                RotaryEmbedding.YaRN(
                    factor: factor, originalLength: 4_096, betaFast: 32, betaSlow: 1,
                    attentionFactor: RotaryEmbedding.YaRN.attentionFactor(factor), truncates: false)))
    }
}
