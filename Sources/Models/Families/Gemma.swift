internal import Formats

extension Family {
    /// Gemma (<https://arxiv.org/abs/2403.08295>).
    static let gemma = Family(
        "Gemma", ["gemma"], outer: llamaOuter, layer: llamaLayer, derived: [".rotary_emb.inv_freq"],
        isTied: true, headSize: 256, kerasHub: [.gemma]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 16, maximumLength: 8_192)
        // The first releases name `gelu`, and mean its approximation.
        reader.ignore("hidden_act", "hidden_activation")
        return try reader.gemma(sizes, list: nil)
    }

    private static let twiceNormed = [
        TensorRow(.attentionNorm, "input_layernorm", .hidden),
        TensorRow(.attentionOutputNorm, "post_attention_layernorm", .hidden),
        TensorRow(.feedForwardNorm, "pre_feedforward_layernorm", .hidden),
        TensorRow(.feedForwardOutputNorm, "post_feedforward_layernorm", .hidden),
    ]

    /// Gemma 2 (<https://arxiv.org/abs/2408.00118>): windows in every other layer, soft caps, norms before and after.
    static let gemma2 = Family(
        "Gemma 2", ["gemma2"], outer: llamaOuter, layer: twiceNormed + llamaAttention + llamaFeedForward,
        lists: [.everyLast([], default: 2)], derived: [".rotary_emb.inv_freq"], isTied: true, headSize: 256
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 4, maximumLength: 8_192)
        return try reader.gemma(
            sizes, list: .everyLast([], default: 2), isTwiceNormed: true, softCaps: (50, 30))
    }

    /// Gemma 3's text model (<https://arxiv.org/abs/2503.19786>): norms of queries and keys in place of the caps, and
    /// rotary embeddings of their own for windowed layers.
    static let gemma3 = Family(
        "Gemma 3", ["gemma3_text", "gemma3"], outer: llamaOuter,
        layer: twiceNormed + llamaAttention + llamaFeedForward + queryKeyNorms,
        lists: [.everyLast(["sliding_window_pattern", "_sliding_window_pattern"], default: 6)],
        derived: [".rotary_emb.inv_freq"], isTied: true, headSize: 256
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(
            absent: ModelSizes.Absent(vocabularySize: 262_208, hiddenSize: 2_304, layers: 26, heads: 8),
            keyValueHeads: 4, maximumLength: 131_072)
        return try reader.gemma(
            sizes, list: .everyLast(["sliding_window_pattern", "_sliding_window_pattern"], default: 6),
            isTwiceNormed: true, normalizesQueries: true, softCaps: (nil, nil))
    }
}

extension ConfigurationReader {
    /// Layers as Gemma's configurations describe them.
    ///
    /// `list` is the rule by which layers see a window, without one none does; `softCaps` is what scores and logits are
    /// capped at where the keys are absent.
    fileprivate mutating func gemma(
        _ sizes: ModelSizes, list: ImpliedLayerList?, isTwiceNormed: Bool = false,
        normalizesQueries: Bool = false, softCaps: (scores: Double?, logits: Double?)? = nil
    ) throws(UserFacingError) -> Architecture {
        let hasBias = try flag("attention_bias", default: false)
        try dropout("attention_dropout")
        try require(
            "use_bidirectional_attention", in: [false], else: "the trainer computes causal attention only")
        let norm = Norm.rms(try number("rms_norm_eps", default: 1e-6), addsOne: true)
        var attention = Attention(
            heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
            hasBias: hasBias, hasOutputBias: hasBias,
            queryKeyNorm: normalizesQueries ? Attention.QueryKeyNorm(norm, .head) : nil)
        var logitCap: Double?
        if let softCaps {
            let scalar = try number("query_pre_attn_scalar", default: 256)
            attention.scale = Float(1 / scalar.squareRoot())
            attention.softCap = try cap("attn_logit_softcapping", default: softCaps.scores)
            logitCap = try cap("final_logit_softcapping", default: softCaps.logits).map { Double($0) }
        }
        let window = list == nil ? nil : try count("sliding_window", default: 4_096)
        let windowed = list == nil ? [] : try windowedLayers(sizes.layers, implied: list)
        let (full, local) = try rotaries(sizes, byKind: normalizesQueries)
        let feedForward =
            list == nil
            ? GatedMLP(size: try count("intermediate_size"), unit: .product(.geluTanh))
            : try gatedMLP(intermediateSize: isPart ? 9_216 : nil, activation: .geluTanh)
        // Old files name the activation twice; this one does not count.
        ignore("hidden_act", "cache_implementation")
        let layers = (0..<sizes.layers).map { index in
            var own = attention
            let isWindowed = list != nil && windowed[index]
            own.window = isWindowed ? window : nil
            own.rotary = isWindowed ? local : full
            return Layer(
                attentionNorm: norm, attention: own, attentionOutputNorm: isTwiceNormed ? norm : nil,
                feedForwardNorm: norm, feedForward: .gated(feedForward),
                feedForwardOutputNorm: isTwiceNormed ? norm : nil)
        }
        return try architecture(
            sizes, embedding: Architecture.Embedding(factor: Float(Double(sizes.hiddenSize).squareRoot())),
            layers: layers, finalNorm: norm, softCap: logitCap)
    }

    /// A cap; none where the key is null, `fallback` where it is absent.
    private mutating func cap(_ key: String, default fallback: Double?) throws(UserFacingError) -> Float? {
        guard has(key) else { return fallback.map { Float($0) } }
        return try optionalNumber(key).map { Float($0) }
    }

    /// The rotary embeddings of layers that see everything and of those that see a window.
    private mutating func rotaries(
        _ sizes: ModelSizes, byKind: Bool
    ) throws(UserFacingError) -> (full: RotaryEmbedding, local: RotaryEmbedding) {
        guard byKind else {
            let rotary = try rotary(sizes)
            return (rotary, rotary)
        }
        let full = try rotary(sizes, theta: 1_000_000, kind: "full_attention")
        // In the older dialect the scaling is for layers that see everything.
        let base = try number("rope_local_base_freq", default: 10_000)
        guard hasRotaryByKind else { return (full, RotaryEmbedding(theta: base, size: sizes.headSize)) }
        return (full, try rotary(sizes, theta: base, kind: "sliding_attention"))
    }
}

// MARK: - In KerasHub 0.32 (keras_hub/src/utils/transformers, read for names and shapes)

extension KerasClass {
    static let gemma = KerasClass(
        "GemmaBackbone", folder: "gemma",
        layer: "layers/gemma_decoder_block", architecture: "GemmaForCausalLM",
        inner: [
            KerasPart(.attentionNorm, "pre_attention_norm", "pre_attention_norm"),
            KerasPart(.query, "attention/query_dense", "query", .headsFirst(.query)),
            KerasPart(.key, "attention/key_dense", "key", .headsFirst(.keyValue)),
            KerasPart(.value, "attention/value_dense", "value", .headsFirst(.keyValue)),
            KerasPart(.attentionOutput, "attention/output_dense", "attention_output", .output),
            KerasPart(.feedForwardNorm, "pre_ffw_norm", "pre_ffw_norm"),
            KerasPart(.gate, "gating_ffw", "ffw_gating", .transposed),
            KerasPart(.up, "gating_ffw_2", "ffw_gating_2", .transposed),
            KerasPart(.down, "ffw_linear", "ffw_linear", .transposed),
        ],
        outer: [
            KerasPart(.embedding, "layers/reversible_embedding", "token_embedding"),
            KerasPart(.finalNorm, "layers/rms_normalization", "final_normalization"),
        ],
        settings: llamaSettings(and: [("head_dim", "head_dim")]).filter { $0.keras != "rope_max_wavelength" },
        constants: [
            ("hidden_act", "gelu_pytorch_tanh"), ("hidden_activation", "gelu_pytorch_tanh"),
            ("rope_theta", 10_000),
            ("max_position_embeddings", 8192),
        ], positions: .fixed, width: .withGate)
}
