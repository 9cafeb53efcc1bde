public import Formats

extension Configuration {
    /// The objects inside a configuration that may describe the language model of a model of more than text.
    private static let textConfigurations = [
        "text_config", "llm_config", "language_config", "language_model_config",
    ]

    /// The settings of the language model and the keys that lead to them: the whole configuration, or a part.
    ///
    /// Only those are given that have a number of layers; a part comes before the whole.
    package var layeredSettings: [(part: String?, settings: JSONObject)] {
        let parts = Self.textConfigurations.map { (part: String?.some($0), settings: self[$0]?.object) }
        return (parts + [(nil, json.object)]).compactMap { part, settings in
            guard let settings, Self.layerCount(in: settings) != nil else { return nil }
            return (part, settings)
        }
    }

    private static func layerCount(in settings: JSONObject) -> (key: String, value: JSON)? {
        if let said = settings.first(where: { LayerKey.meaning(of: $0.key) == .count && !$0.value.isNull }) {
            return said
        }
        if let again = settings.first(where: {
            LayerKey.meaning(of: $0.key) == .countAgain && $0.value.int != nil
        }) {
            return again
        }
        for key in LayerKey.measuringLists {
            if let list = settings[key]?.array, !list.isEmpty { return (key, JSON(list.count)) }
        }
        return nil
    }

    /// The settings that describe the language model: the whole configuration or the part for text.
    public var languageModel: JSONObject {
        layeredSettings.first?.settings ?? json.object ?? JSONObject()
    }

    /// The width of the residual stream; nil when the configuration does not say.
    public var width: Int? {
        ["hidden_size", "n_embd", "n_embed", "d_model", "dim"].lazy.compactMap { languageModel[$0]?.int }
            .first
    }

    /// The number of layers as the configuration has it, with its key; nil when it has none.
    public var layerCount: (key: String, value: JSON)? {
        if json["class_name"] != nil, let count = json["config"]?[Self.kerasLayerCount] {
            return ("config." + Self.kerasLayerCount, count)
        }
        guard let (part, settings) = layeredSettings.first, let count = Self.layerCount(in: settings) else {
            return nil
        }
        return (part.map { $0 + "." + count.key } ?? count.key, count.value)
    }

    /// The family of the language model; nil when it is not known by name.
    public var family: Family? {
        let types = [languageModel["model_type"]?.string, modelType].compactMap(\.self)
        return types.lazy.compactMap { Family.named($0) }.first
    }

    /// How many layers come after the last one for other uses, such as predicting more than one token.
    public var mtpLayerCount: Int {
        languageModel.filter { LayerKey.meaning(of: $0.key) == .following }.compactMap(\.value.int).max() ?? 0
    }

    /// What KerasHub calls the number of layers.
    package static let kerasLayerCount = "num_layers"

    /// After how many layers a preset's kinds of layers come again, where KerasHub takes them from the layers' numbers; 1 where
    /// all are alike, nil where that is not known of the class.
    ///
    /// Source: keras_hub/src/models, the loops over `num_layers` in gemma_backbone.py (every other layer sees a window),
    /// gemma3_backbone.py (five of six do, and turn by another base) and gpt_oss_backbone.py (every other one does).
    package var kerasLayerPeriod: Int? {
        let settings = json["config"]
        switch json["class_name"]?.string {
        case "GemmaBackbone": return settings?["use_sliding_window_attention"]?.bool == true ? 2 : 1
        case "Gemma3Backbone": return settings?["use_sliding_window_attention"]?.bool == true ? 6 : 1
        case "GptOssBackbone": return 2
        default: return nil
        }
    }
}
