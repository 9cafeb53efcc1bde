internal import Formats

extension Family {
    /// Granite 3 (IBM, *Granite 3.0 Language Models*, 2024): Llama with a factor at embedding, scores, parts and logits.
    static let granite = Family(
        "Granite", ["granite"], outer: llamaOuter, layer: llamaLayer, derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 2_048)
        var attention = try reader.llamaAttention(sizes)
        attention.scale = Float(try reader.number("attention_multiplier", default: 1))
        let norm = Norm.rms(try reader.number("rms_norm_eps", default: 1e-6))
        let layer = Layer(
            attentionNorm: norm, attention: attention, feedForwardNorm: norm,
            feedForward: .gated(
                try reader.gatedMLP(hasBias: try reader.flag("mlp_bias", default: false))),
            branchFactor: Float(try reader.number("residual_multiplier", default: 1)))
        return try reader.architecture(
            sizes,
            embedding: Architecture.Embedding(
                factor: Float(try reader.number("embedding_multiplier", default: 1))),
            layers: [Layer](repeating: layer, count: sizes.layers), finalNorm: norm,
            logitFactor: Float(1 / (try reader.number("logits_scaling", default: 1))))
    }
}
