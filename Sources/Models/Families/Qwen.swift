internal import Formats

extension Family {
    /// Qwen 2 and 2.5 (<https://arxiv.org/abs/2407.10671>): Llama with biases of queries, keys and values.
    static let qwen2 = Family(
        "Qwen 2", ["qwen2"], outer: llamaOuter, layer: llamaLayer, lists: [.aboveMaxWindow],
        derived: [".rotary_emb.inv_freq"], kerasHub: [.qwen2]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 32_768)
        return try reader.qwen(sizes, list: .aboveMaxWindow, hasBias: true)
    }

    /// Qwen 3 (<https://arxiv.org/abs/2505.09388>): without biases, with norms of queries and keys.
    static let qwen3 = Family(
        "Qwen 3", ["qwen3"], outer: llamaOuter, layer: llamaLayer + queryKeyNorms, lists: [.aboveMaxWindow],
        derived: [".rotary_emb.inv_freq"], headSize: 128, kerasHub: [.qwen3]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(maximumLength: 32_768)
        return try reader.qwen(
            sizes, list: .aboveMaxWindow, hasBias: try reader.flag("attention_bias", default: false),
            normalizesQueries: true)
    }

    /// A router and experts of a tensor for each matrix, as Qwen and many after it have them.
    static let separateExperts = [
        TensorRow(.router, "mlp.gate"),
        TensorRow(.expertGate, "mlp.experts.*.gate_proj"),
        TensorRow(.expertUp, "mlp.experts.*.up_proj"),
        TensorRow(.expertDown, "mlp.experts.*.down_proj"),
    ]

    private static let experts =
        separateExperts + [
            // As transformers 5 calls them in memory.
            TensorRow(.expertGateUp, "mlp.experts.gate_up_proj", weight: ""),
            TensorRow(.expertDown, "mlp.experts.down_proj", weight: ""),
        ]

    /// Qwen 1.5 and 2 with experts (<https://arxiv.org/abs/2407.10671>, section 2.2.2), one of them for every token.
    static let qwen2MoE = Family(
        "Qwen 2 MoE", ["qwen2_moe"], outer: llamaOuter,
        layer: llamaLayer + experts + [
            TensorRow(.sharedGate, "mlp.shared_expert.gate_proj"),
            TensorRow(.sharedUp, "mlp.shared_expert.up_proj"),
            TensorRow(.sharedDown, "mlp.shared_expert.down_proj"),
            TensorRow(.sharedRouter, "mlp.shared_expert_gate"),
        ], lists: [.alternatingBelowMaxWindow], derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 16, maximumLength: 32_768)
        let experts = try reader.qwenExperts(count: 60, chosen: 4, size: 1_408, hasShared: true)
        return try reader.qwen(
            sizes, list: .alternatingBelowMaxWindow, hasBias: try reader.flag("qkv_bias", default: true),
            hasOutputBias: false, experts: experts)
    }

    /// Qwen 3 with experts (<https://arxiv.org/abs/2505.09388>).
    static let qwen3MoE = Family(
        "Qwen 3 MoE", ["qwen3_moe"], outer: llamaOuter, layer: llamaLayer + queryKeyNorms + experts,
        derived: [".rotary_emb.inv_freq"]
    ) { reader throws(UserFacingError) in
        let sizes = try reader.sizes(keyValueHeads: 4, maximumLength: 32_768)
        let experts = try reader.qwenExperts(count: 128, chosen: 8, size: 768, hasShared: false)
        return try reader.qwen(
            sizes, list: nil, hasBias: try reader.flag("attention_bias", default: false),
            normalizesQueries: true, experts: experts)
    }
}

extension ConfigurationReader {
    /// A mixture as Qwen's configurations describe it.
    fileprivate mutating func qwenExperts(
        count: Int, chosen: Int, size: Int, hasShared: Bool
    ) throws(UserFacingError) -> Experts {
        let unit = GatedUnit.product(try activation("hidden_act", default: .silu))
        return Experts(
            count: try self.count("num_experts", "num_local_experts", default: count),
            chosen: try self.count("num_experts_per_tok", default: chosen),
            expert: GatedMLP(size: try self.count("moe_intermediate_size", default: size), unit: unit),
            routing: .softmax(normalizes: try flag("norm_topk_prob", default: false)),
            shared: hasShared
                ? GatedMLP(
                    size: try self.count("shared_expert_intermediate_size", default: 5_632), unit: unit)
                : nil,
            hasSharedGate: hasShared)
    }

    /// Layers as Qwen's configurations describe them; without `list` either all of them see a window or none.
    fileprivate mutating func qwen(
        _ sizes: ModelSizes, list: ImpliedLayerList?, hasBias: Bool, hasOutputBias: Bool? = nil,
        normalizesQueries: Bool = false, experts: Experts? = nil
    ) throws(UserFacingError) -> Architecture {
        try dropout("attention_dropout")
        let norm = Norm.rms(try number("rms_norm_eps", default: 1e-6))
        let usesWindow = try flag("use_sliding_window", default: false)
        let window = usesWindow ? try optionalCount("sliding_window") : nil
        ignore("sliding_window", "max_window_layers")
        let windowed =
            if let list { try windowedLayers(sizes.layers, implied: list) } else {
                [Bool](repeating: true, count: sizes.layers)
            }
        let attention = Attention(
            heads: sizes.heads, keyValueHeads: sizes.keyValueHeads, headSize: sizes.headSize,
            hasBias: hasBias, hasOutputBias: hasOutputBias ?? (normalizesQueries && hasBias),
            queryKeyNorm: normalizesQueries ? Attention.QueryKeyNorm(norm, .head) : nil,
            rotary: try rotary(sizes))
        let dense = try gatedMLP(intermediateSize: experts == nil ? nil : 5_632)
        let plain = Set(try integers("mlp_only_layers"))
        let step = experts == nil ? 1 : try count("decoder_sparse_step", default: 1)
        let layers = windowed.enumerated().map { index, isWindowed in
            var attention = attention
            attention.window = isWindowed ? window : nil
            let isSparse = !plain.contains(index) && (index + 1).isMultiple(of: step)
            return Layer(
                attentionNorm: norm, attention: attention, feedForwardNorm: norm,
                feedForward: isSparse ? experts.map { .experts($0) } ?? .gated(dense) : .gated(dense))
        }
        return try architecture(
            sizes, layers: layers, finalNorm: norm,
            balanceFactor: experts == nil ? nil : try balanceFactor(default: 0.001))
    }
}

// MARK: - In KerasHub 0.32 (keras_hub/src/utils/transformers, read for names and shapes)

extension KerasClass {
    private static func qwenSettings(and more: [Setting]) -> [Setting] {
        llamaSettings(and: more + qwenSettings)
    }

    private static let qwenSettings: [Setting] = [
        ("tie_word_embeddings", "tie_word_embeddings"), ("sliding_window_size", "sliding_window"),
    ]

    static let qwen2 = KerasClass(
        "QwenBackbone", folder: "qwen",
        layer: "layers/qwen_transformer_decoder", architecture: "Qwen2ForCausalLM",
        inner: likeLlama + [
            KerasPart(
                bias: .query, attention + "_query_dense", "query", .headBias(.query)),
            KerasPart(
                bias: .key, attention + "_key_dense", "key", .headBias(.keyValue)),
            KerasPart(
                bias: .value, attention + "_value_dense", "value",
                .headBias(.keyValue)),
        ], outer: aroundLlama(norm: "qwen_layer_norm"),
        settings: qwenSettings(and: [("use_sliding_window_attention", "use_sliding_window")]),
        constants: [("hidden_act", "silu"), ("max_position_embeddings", 131_072)],
        positions: .scaled([.linear("rope_scaling_factor")]), saysTied: true)

    static let qwen3 = KerasClass(
        "Qwen3Backbone", folder: "qwen3",
        layer: "layers/qwen3_transformer_decoder", architecture: "Qwen3ForCausalLM",
        inner: likeLlama + [
            KerasPart(
                .queryNorm, attention + "_query_dense_layer_norm", "query_dense_layer_norm"),
            KerasPart(.keyNorm, attention + "_key_dense_layer_norm", "key_dense_layer_norm"),
        ], outer: aroundLlama(norm: "qwen3_layer_norm"),
        settings: qwenSettings(and: [("head_dim", "head_dim")]),
        constants: [
            ("hidden_act", "silu"), ("max_position_embeddings", 131_072), ("attention_bias", false),
            ("use_sliding_window", false),
        ], positions: .scaled([.linear("rope_scaling_factor")]), saysTied: true)
}
