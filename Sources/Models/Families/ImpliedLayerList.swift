public import Formats

/// A list with an entry a layer that a configuration may leave out, because the family has a rule for it.
///
/// When layers repeat, the rule may no longer give each layer what it had. Then the list is written out.
public struct ImpliedLayerList: Sendable {
    /// The key that holds the list when it is written out.
    public let key: String
    /// Keys that only say how the rule goes, and say nothing once the list is written out.
    public let replaced: [String]
    /// Whether the list holds the numbers of the layers that are marked instead of an entry a layer.
    public let isIndices: Bool
    /// The list that the family's rule gives for a configuration and a number of layers, an entry a layer;
    /// nil when the rule does not apply.
    public let rule: @Sendable (_ settings: JSONObject, _ count: Int) -> [JSON]?

    init(
        _ key: String, replaces replaced: [String] = [], isIndices: Bool = false,
        rule: @escaping @Sendable (_ settings: JSONObject, _ count: Int) -> [JSON]?
    ) {
        self.key = key
        self.replaced = replaced
        self.isIndices = isIndices
        self.rule = rule
    }
}

// MARK: - The rules of transformers' configuration classes

extension ImpliedLayerList {
    private static let full: JSON = "full_attention"
    private static let sliding: JSON = "sliding_attention"

    /// Every p-th layer attends to everything, the others to a window: Gemma 2 and 3, Cohere 2, OLMo 3, EXAONE 4.
    ///
    /// The keys may hold p, which is `period` when none does; `others` is what the layers between are called.
    static func everyLast(
        _ keys: [String], default period: Int, others: JSON = "sliding_attention"
    ) -> ImpliedLayerList {
        ImpliedLayerList("layer_types", replaces: keys) { settings, count in
            let period = keys.lazy.compactMap { settings[$0]?.int }.first ?? period
            guard period > 0 else { return nil }
            return (0..<count).map { ($0 + 1).isMultiple(of: period) ? full : others }
        }
    }

    /// Every p-th layer from the first on attends to everything: ModernBERT's decoder.
    static let everyFirst = ImpliedLayerList("layer_types", replaces: ["global_attn_every_n_layers"]) {
        settings, count in
        let period = settings["global_attn_every_n_layers"]?.int ?? 3
        guard period > 0 else { return nil }
        return (0..<count).map { $0.isMultiple(of: period) ? full : sliding }
    }

    /// Every sixth layer and the last one attend to everything: Beam.
    static let everySixthAndLast = ImpliedLayerList("layer_types") { _, count in
        (1...max(count, 1)).prefix(count).map { $0.isMultiple(of: 6) || $0 == count ? full : sliding }
    }

    /// The first layers are no mixtures of experts, all others are: Beam.
    static func denseFirst(_ dense: Int) -> ImpliedLayerList {
        ImpliedLayerList("mlp_layer_types") { _, count in
            (0..<count).map { $0 < dense ? "dense" : "sparse" }
        }
    }

    /// Layers from `max_window_layers` on see a window, when windows are used at all: Qwen 2 and 3.
    static let aboveMaxWindow = ImpliedLayerList("layer_types") { settings, count in
        let window = settings["sliding_window"] ?? 4096
        guard settings["use_sliding_window"]?.bool == true, !window.isNull else { return nil }
        let first = settings["max_window_layers"]?.int ?? 28
        return (0..<count).map { $0 >= first ? sliding : full }
    }

    /// Every other layer below `max_window_layers` sees a window, when windows are used: Qwen 2 MoE.
    static let alternatingBelowMaxWindow = ImpliedLayerList("layer_types") { settings, count in
        guard settings["use_sliding_window"]?.bool == true else { return nil }
        let end = settings["max_window_layers"]?.int ?? 28
        return (0..<count).map { !($0 + 1).isMultiple(of: 2) && $0 < end ? sliding : full }
    }

    /// 1 for a layer with rotary positions; every p-th layer, counted from one, has none: Llama 4, SmolLM3.
    static let rotaryLayers = ImpliedLayerList("no_rope_layers", replaces: ["no_rope_layer_interval"]) {
        settings, count in
        let period = settings["no_rope_layer_interval"]?.int ?? 4
        guard period > 0 else { return nil }
        return (0..<count).map { JSON(($0 + 1).isMultiple(of: period) ? 0 : 1) }
    }

    /// Attention that follows from `no_rope_layers`: Llama 4's chunks.
    static let chunkedWhereRotary = ImpliedLayerList("layer_types") { settings, count in
        guard let rotary = settings["no_rope_layers"]?.array ?? rotaryLayers.rule(settings, count),
            rotary.count >= count
        else { return nil }
        return rotary.prefix(count).map { $0.int == 0 ? full : "chunked_attention" }
    }

    /// Attention that follows from `no_rope_layers`: SmolLM3's layers without rotary positions see a window, when
    /// windows are used.
    static let slidingWhereNotRotary = ImpliedLayerList("layer_types") { settings, count in
        guard settings["use_sliding_window"]?.bool == true, settings["sliding_window"]?.int != nil,
            let rotary = settings["no_rope_layers"]?.array ?? rotaryLayers.rule(settings, count),
            rotary.count >= count
        else { return nil }
        return rotary.prefix(count).map { $0.int == 0 ? sliding : full }
    }

    /// Which layers are mixtures of experts: Llama 4.
    static let interleavedExperts = ImpliedLayerList(
        "moe_layers", replaces: ["interleave_moe_layer_step"], isIndices: true
    ) { settings, count in
        let period = settings["interleave_moe_layer_step"]?.int ?? 1
        guard period > 0 else { return nil }
        return (0..<count).map { .bool(($0 + 1).isMultiple(of: period)) }
    }

    /// Which layers are convolutions, from the numbers of those that are not: LFM2.
    static let convolutions = ImpliedLayerList("layer_types", replaces: ["full_attn_idxs"]) {
        settings, count in
        guard let attention = settings["full_attn_idxs"]?.array?.compactMap(\.int) else { return nil }
        return (0..<count).map { attention.contains($0) ? full : "conv" }
    }
}
