internal import Formats
internal import Models

extension Checkpoint {
    /// Has the other files of a KerasHub preset follow a plan: task.json, which describes the model once more, and
    /// metadata.json, which counts its parameters.
    ///
    /// Source: keras_hub/src/utils/preset_utils.py, KerasPresetSaver.
    mutating func followInPreset(_ plan: LayerPlan, before: Checkpoint) throws(DepthError) {
        guard let configuration = before.configuration, configuration["class_name"] != nil else { return }
        if let index = companions.firstIndex(where: { $0.name == "task.json" }) {
            try followTask(at: index, plan, family: configuration.family)
        }
        followMetadata(before)
    }

    /// Has the other files of a KerasHub preset follow a vocabulary.
    mutating func followInPreset(_ outcome: VocabularyOutcome, before: Checkpoint) {
        guard before.configuration?["class_name"] != nil else { return }
        if let index = companions.firstIndex(where: { $0.name == "task.json" }),
            var task = settings(of: companions[index]), let backbone = task["config"]?["backbone"]
        {
            var changes: [ConfigurationChange] = []
            task["config"]?["backbone"] = outcome.settings(
                backbone, path: "", size: outcome.plan.rows.count, changes: &changes)
            companions[index].content = .bytes(task.serialized())
        }
        followMetadata(before)
    }

    private mutating func followMetadata(_ before: Checkpoint) {
        guard let index = companions.firstIndex(where: { $0.name == "metadata.json" }),
            var metadata = settings(of: companions[index]),
            metadata["parameter_count"]?.int == before.parameterCount
        else { return }
        metadata["parameter_count"] = JSON(parameterCount)
        companions[index].content = .bytes(metadata.serialized())
    }

    private mutating func followTask(
        at index: Int, _ plan: LayerPlan, family: Family?
    ) throws(DepthError) {
        guard var task = settings(of: companions[index]),
            let settings = task["config"]?["backbone"]?["config"]?.object
        else { return }
        var layered = LayeredSettings(
            settings, path: "task.json: config.backbone.config.", plan: plan, family: family, model: path)
        try layered.follow()
        task["config"]?["backbone"]?["config"] = .object(layered.settings)
        companions[index].content = .bytes(task.serialized())
    }

    private func settings(of companion: Companion) -> Configuration? {
        guard let bytes = try? companion.bytes() else { return nil }
        return try? Configuration(parsing: bytes, file: companion.name)
    }
}
