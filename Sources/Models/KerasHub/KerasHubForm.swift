package import Formats
internal import OrderedCollections

/// The way back of a model that was opened from a preset of KerasHub.
///
/// What the model's operations have not changed is the preset's own, byte for byte; what they have changed is brought
/// into KerasHub's terms.
struct KerasHubForm: StoredForm {
    /// The preset as it was opened.
    let preset: Checkpoint
    /// The same model in Hugging Face's terms.
    let model: Checkpoint
    /// The family that both are of.
    let family: KerasFamily

    var library: String { "KerasHub" }

    func stored(_ changed: Checkpoint) throws(UserFacingError) -> Checkpoint {
        let count = try changed.layerCount(of: family)
        let variables = try changed.kerasHubVariables(of: family, layers: count).variables
        var result = preset
        let names = LayerNames(prefix: family.keras.layer, style: .counted)
        let before = try model.layerCount(of: family)
        let origins = origins(of: count, variables, names, before: before)
        if origins != Array(0..<before) {
            result.tensors = names.rearranged(preset.tensors, origins: origins, of: before)
            result.format.structure = preset.format.structure?.rearranged(
                origins: origins, of: before, names: names)
        }
        result.tensors.removeAll { variables[$0.key] == nil }
        result.tensors.merge(variables) { $1 }
        result.operations = changed.operations
        result.skippedFiles += changed.skippedFiles.filter { !model.skippedFiles.contains($0) }
        let settings = try changedSettings(changed)
        result.follow(settings)
        if let type = changed.configuration?.elementType, type != model.configuration?.elementType {
            result.configuration?.elementType = type
        }
        result.auxiliaryFiles = try auxiliaryFiles(changed)
        result.followTask(settings)
        result.followMetadata(preset)
        try keepConfiguration(of: changed, in: &result)
        return result
    }

    /// For each layer, which layer of the preset its numbers come from; a layer of new numbers is like its own there.
    private func origins(
        of count: Int, _ variables: OrderedDictionary<String, TensorExpression>, _ names: LayerNames,
        before: Int
    ) -> [Int] {
        var origins = (0..<count).map { min($0, max(before - 1, 0)) }
        var isKnown: Set<Int> = []
        for (path, variable) in variables {
            guard let layer = names.parse(path)?.layer, layer < count, !isKnown.contains(layer) else {
                continue
            }
            var origin: Int?
            variable.forEachLeaf { leaf in
                if origin == nil { origin = names.parse(leaf.name)?.layer }
            }
            guard let origin, origin < before else { continue }
            origins[layer] = origin
            isKnown.insert(layer)
        }
        return origins
    }

    // MARK: Settings

    /// The settings of KerasHub's class that are others than those that the preset was opened with.
    private func changedSettings(_ changed: Checkpoint) throws(UserFacingError) -> JSONObject {
        var settings = JSONObject()
        guard changed.configuration?.json != model.configuration?.json else { return settings }
        let (old, new) = (try family.preset(model)["config"], try family.preset(changed)["config"])
        for (key, value) in new?.object ?? JSONObject() where key != "dtype" && old?[key] != value {
            settings[key] = value
        }
        return settings
    }

    /// Has Hugging Face's configuration, where the preset keeps one, say what the preset alone can't.
    ///
    /// It stays as it is as long as the preset opens as the model that was written.
    private func keepConfiguration(
        of changed: Checkpoint, in result: inout Checkpoint
    ) throws(UserFacingError) {
        guard changed.configuration?.json != model.configuration?.json,
            let index = result.auxiliaryFiles.firstIndex(where: { $0.name == EmbeddedFiles.configurationName }
            ),
            let configuration = changed.configuration,
            try result.asHuggingFace(family).configuration?.json != configuration.json
        else { return }
        result.auxiliaryFiles[index].content = .bytes(configuration.serialized())
    }

    // MARK: Files

    /// The preset's files with what has become of those that the model was opened with.
    private func auxiliaryFiles(_ changed: Checkpoint) throws(UserFacingError) -> [AuxiliaryFile] {
        let tokenizer = TokenizerFiles(of: changed.auxiliaryFiles, path: changed.path)
        let before = TokenizerFiles(of: model.auxiliaryFiles, path: model.path)
        var result =
            tokenizer.auxiliaryFiles.isSame(as: before.auxiliaryFiles)
            ? preset.auxiliaryFiles : try preset.auxiliaryFiles(with: tokenizer)
        let isTokenizers = { (name: String) in TokenizerFiles.isName(name) }
        for old in model.auxiliaryFiles where !isTokenizers(old.name) {
            guard let new = changed.auxiliaryFiles.first(where: { $0.name == old.name }) else {
                result.removeAll { $0.name == old.name }
                continue
            }
            if let index = result.firstIndex(where: { $0.name == old.name }), ![new].isSame(as: [old]) {
                result[index] = new
            }
        }
        for new in changed.auxiliaryFiles
        where !isTokenizers(new.name) && !model.auxiliaryFiles.contains(where: { $0.name == new.name }) {
            result.append(new)
        }
        return result
    }
}

extension Checkpoint {
    /// Has the files beside a preset's configuration follow, which say its settings and its size once more.
    package mutating func followPreset(_ before: Checkpoint) {
        guard let settings = configuration?["config"]?.object else { return }
        let old = before.configuration?["config"]
        followTask(
            settings.filter { old?[$0.key] != $0.value }.reduce(into: JSONObject()) { $0[$1.key] = $1.value })
        followMetadata(before)
    }

    /// Has a preset's configuration say other settings.
    fileprivate mutating func follow(_ settings: JSONObject) {
        for (key, value) in settings { configuration?["config"]?[key] = value }
    }

    /// Has task.json follow, which describes the model once more.
    ///
    /// Source: keras_hub/src/utils/preset_utils.py, KerasPresetSaver.
    fileprivate mutating func followTask(_ settings: JSONObject) {
        guard !settings.isEmpty, let index = auxiliaryFiles.firstIndex(where: { $0.name == "task.json" }),
            var task = auxiliaryFiles[index].settings
        else { return }
        for (key, value) in settings where task["config"]?["backbone"]?["config"]?[key] != nil {
            task["config"]?["backbone"]?["config"]?[key] = value
        }
        auxiliaryFiles[index].content = .bytes(task.serialized())
    }

    /// Has metadata.json follow, which counts the parameters.
    fileprivate mutating func followMetadata(_ before: Checkpoint) {
        guard parameterCount != before.parameterCount,
            let index = auxiliaryFiles.firstIndex(where: { $0.name == "metadata.json" }),
            var metadata = auxiliaryFiles[index].settings,
            metadata["parameter_count"]?.int == before.parameterCount
        else { return }
        metadata["parameter_count"] = JSON(parameterCount)
        auxiliaryFiles[index].content = .bytes(metadata.serialized())
    }
}

extension AuxiliaryFile {
    /// What it says, when it is an object of settings.
    fileprivate var settings: Configuration? {
        guard let bytes = try? bytes() else { return nil }
        return try? Configuration(parsing: bytes, file: name)
    }
}

extension [AuxiliaryFile] {
    /// Whether these are the same files, as they lie on the disk or in memory.
    fileprivate func isSame(as others: [AuxiliaryFile]) -> Bool {
        guard count == others.count else { return false }
        return zip(self, others).allSatisfy { one, other in
            guard one.name == other.name else { return false }
            return switch (one.content, other.content) {
            case (.file(let one), .file(let other)): one === other
            case (.bytes(let one), .bytes(let other)): one == other
            default: false
            }
        }
    }
}
