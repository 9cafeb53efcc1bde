public import Formats

/// A configuration that follows a plan.
struct FollowingConfiguration {
    let configuration: Configuration
    let changes: [ConfigurationChange]
    /// Whether some key says that the layers are not all alike.
    let tellsLayersApart: Bool
}

extension Configuration {
    /// The objects inside a configuration that may describe the language model of a model of more than text.
    private static let textConfigurations = [
        "text_config", "llm_config", "language_config", "language_model_config",
    ]

    /// The settings of the language model and the keys that lead to them: the whole configuration, or a part.
    ///
    /// Only those are given that have a number of layers; a part comes before the whole.
    private var layeredSettings: [(part: String?, settings: JSONObject)] {
        // A preset of KerasHub names a class, and has its arguments in an object of their own.
        let names = Self.textConfigurations + (self["class_name"] == nil ? [] : ["config"])
        let parts = names.map { (part: String?.some($0), settings: self[$0]?.object) }
        return (parts + [(nil, json.object)]).compactMap { part, settings in
            guard let settings, Self.layerCount(in: settings) != nil else { return nil }
            return (part, settings)
        }
    }

    private static func layerCount(in settings: JSONObject) -> (key: String, value: JSON)? {
        settings.lazy.filter { LayerKey.meaning(of: $0.key) == .count && !$0.value.isNull }.first
    }

    /// The settings that describe the language model: the whole configuration or the part for text.
    public var languageModel: JSONObject {
        layeredSettings.first?.settings ?? json.object ?? JSONObject()
    }

    /// The number of layers as the configuration has it, with its key; nil when it has none.
    public var layerCount: (key: String, value: JSON)? {
        guard let (part, settings) = layeredSettings.first, let count = Self.layerCount(in: settings) else {
            return nil
        }
        return (part.map { $0 + "." + count.key } ?? count.key, count.value)
    }

    /// The family of the language model; nil when it is not known by name.
    public var family: Architecture? {
        let types = [languageModel["model_type"]?.string, modelType, json["class_name"]?.string].compactMap(
            \.self)
        return types.lazy.compactMap { Architecture.family(modelType: $0) }.first
    }

    /// How many layers come after the last one for other uses, such as predicting more than one token.
    public var followingLayerCount: Int {
        languageModel.filter { LayerKey.meaning(of: $0.key) == .following }.compactMap(\.value.int).max() ?? 0
    }

    /// The configuration of the model that a plan makes.
    ///
    /// - Parameters:
    ///   - plan: which layers of the source the result has.
    ///   - names: how the layers' tensors are called; a setting that names one is refused.
    ///   - model: the model, for messages.
    /// - Returns: the configuration, and what changed in it.
    /// - Throws: ``DepthError`` that names the key which can't follow.
    func following(
        _ plan: LayerPlan, names: LayerNames, model: String
    ) throws(DepthError) -> FollowingConfiguration {
        guard let members = json.object else { throw .noCount(path: model) }
        try refuseNames(of: names, in: json, key: "", model: model)
        var result = self
        var changes: [ConfigurationChange] = []
        var tellsLayersApart = false
        let found = layeredSettings
        guard !found.isEmpty else { throw .noCount(path: model) }
        for (part, settings) in found {
            var layered = LayeredSettings(
                part == nil ? members : settings, path: part.map { $0 + "." } ?? "", plan: plan,
                family: family,
                model: model)
            try layered.follow()
            tellsLayersApart = tellsLayersApart || layered.tellsLayersApart
            changes += layered.changes
            for change in layered.changes {
                let key = String(change.key.dropFirst(part.map { $0.count + 1 } ?? 0))
                if let part {
                    result[part]?[key] = change.after
                } else {
                    result[key] = change.after
                }
            }
        }
        return FollowingConfiguration(
            configuration: result, changes: changes, tellsLayersApart: tellsLayersApart)
    }

    /// Refuses strings that name a layer's modules, as lists of modules that are not quantised do.
    private func refuseNames(
        of names: LayerNames, in value: JSON, key: String, model: String
    ) throws(DepthError) {
        if let text = value.string, names.parse(text + ".") != nil || names.parse(text) != nil {
            throw .key(
                path: model, key: key, value: "\"\(text)\"",
                reason:
                    "it names a layer's module; remove the quantisation first, or name modules without numbers"
            )
        }
        for (member, inner) in value.object ?? JSONObject() {
            try refuseNames(
                of: names, in: inner, key: key.isEmpty ? member : key + "." + member, model: model)
        }
        for inner in value.array ?? [] { try refuseNames(of: names, in: inner, key: key, model: model) }
    }
}
