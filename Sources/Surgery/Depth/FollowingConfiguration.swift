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
    ///   - model: the model, for messages.
    /// - Returns: the configuration, and what changed in it.
    /// - Throws: ``UserFacingError`` that names the key which can't follow.
    func following(
        _ plan: LayerPlan, model: String
    ) throws(UserFacingError) -> FollowingConfiguration {
        guard let members = json.object else { throw .noLayerCount(path: model) }
        var result = self
        var changes: [ConfigurationChange] = []
        var tellsLayersApart = false
        let found = layeredSettings
        guard !found.isEmpty else {
            if let name = json["class_name"]?.string { return try followingPreset(of: name, plan, model) }
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

    /// The same for a preset of KerasHub that is not in Hugging Face's terms.
    private func followingPreset(
        of name: String, _ plan: LayerPlan, _ model: String
    ) throws(UserFacingError) -> FollowingConfiguration {
        guard let period = kerasLayerPeriod else { throw .unknownKerasClass(path: model, name: name) }
        let key = Configuration.kerasLayerCount
        if let policy = json["config"]?["dtype"]?["class_name"]?.string, policy != "DTypePolicy" {
            throw .unfollowableKey(
                path: model, key: "config.dtype", value: policy,
                reason: "it may name layers by their paths; save the preset with one type for all numbers")
        }
        guard plan.keeps(period: period) else {
            throw .unfollowableKey(
                path: model, key: "config.\(key)", value: "\(plan.sourceCount)",
                reason:
                    "KerasHub's \(name) takes the kind of a layer's attention from its number, counted round in "
                    + "\(period); " + plan.advice(period: period))
        }
        var result = self
        result["config"]?[key] = JSON(plan.count)
        return FollowingConfiguration(
            configuration: result,
            changes: [
                ConfigurationChange(
                    key: "config.\(key)", before: JSON(plan.sourceCount), after: JSON(plan.count))
            ], tellsLayersApart: period > 1)
    }
}

extension LayerPlan {
    /// What to do about a period that a plan does not keep: depths at which Depth Up-Scaling moves layers by multiples of it.
    func advice(period: Int) -> String {
        let depths = stride(from: sourceCount + period, through: 2 * sourceCount, by: max(period, 1)).prefix(
            4)
        let words = depths.map { "\($0)" }.joined(separator: ", ")
        return "choose layers that move by a multiple of \(period)"
            + (words.isEmpty ? "" : ", as a depth of \(words) does")
    }
}
