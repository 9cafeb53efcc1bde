internal import Formats
internal import Models

/// A configuration that follows a plan.
struct FollowingConfiguration {
    let configuration: Configuration
    let changes: [ConfigurationChange]
    /// Whether some key says that the layers are not all alike.
    let tellsLayersApart: Bool
}

extension Configuration {
    /// The configuration of the model that a plan makes.
    ///
    /// - Parameters:
    ///   - plan: which layers of the source the result has.
    ///   - names: how the layers' tensors are called; a setting that names one is refused.
    ///   - model: the model, for messages.
    /// - Returns: the configuration, and what changed in it.
    /// - Throws: ``UserFacingError`` that names the key which can't follow.
    func following(
        _ plan: LayerPlan, names: LayerNames, model: String
    ) throws(UserFacingError) -> FollowingConfiguration {
        guard let members = json.object else { throw .noLayerCount(path: model) }
        try refuseNames(of: names, in: json, key: "", model: model)
        var result = self
        var changes: [ConfigurationChange] = []
        var tellsLayersApart = false
        let found = layeredSettings
        guard !found.isEmpty else {
            if let name = json["class_name"]?.string { throw .unknownKerasClass(path: model, name: name) }
            throw .noLayerCount(path: model)
        }
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
    ) throws(UserFacingError) {
        if let text = value.string, names.parse(text + ".") != nil || names.parse(text) != nil {
            throw .unfollowableKey(
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
