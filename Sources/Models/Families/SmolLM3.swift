internal import Formats

extension Family {
    /// SmolLM 3 (Hugging Face, 2025): Llama of which every fourth layer has no positions.
    static let smolLM3 = Family(
        "SmolLM3", ["smollm3"], outer: llamaOuter, layer: llamaLayer,
        lists: [.rotaryLayers, .slidingWhereNotRotary], derived: [".rotary_emb.inv_freq"], isTied: true
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 4, maximumLength: 32_768)
        let hasBias = try reader.flag("attention_bias", default: false)
        try reader.dropout("attention_dropout")
        let rotary = try reader.rotary(sizes, theta: 2_000_000)
        let window =
            try reader.flag("use_sliding_window", default: false)
            ? try reader.optionalCount("sliding_window") : nil
        reader.ignore("sliding_window", "max_window_layers")
        let windowed = try reader.windowedLayers(sizes.layers, implied: .slidingWhereNotRotary)
        let turned = try reader.list(.rotaryLayers, count: sizes.layers)
        let norm = Norm.rms(try reader.number("rms_norm_eps", default: 1e-6))
        let feedForward = try reader.gatedMLP(hasBias: try reader.flag("mlp_bias", default: false))
        let layers = zip(windowed, turned).map { isWindowed, isTransposed in
            Layer(
                attentionNorm: norm,
                attention: Attention(
                    heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
                    hasBias: hasBias, hasOutputBias: hasBias, rotary: isTransposed.int == 0 ? nil : rotary,
                    window: isWindowed ? window : nil),
                feedForwardNorm: norm, feedForward: .gated(feedForward))
        }
        return try reader.architecture(sizes, layers: layers, finalNorm: norm)
    }
}
