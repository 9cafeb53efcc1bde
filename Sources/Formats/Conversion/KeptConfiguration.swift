import OrderedCollections

/// Hugging Face's configuration beside a preset that was made of such a model.
///
/// KerasHub has no place for most of it: ids of special tokens, the longest text, what training needs. It does not read
/// the file, and on the way back everything is there again.
enum KeptConfiguration {
    /// What it is called in a preset's folder.
    static let fileName = "huggingface.json"

    /// The configuration that a preset's folder keeps; nil when there is none that can be read.
    static func read(_ preset: Checkpoint) -> Configuration? {
        guard let companion = preset.companions.first(where: { $0.name == fileName }),
            let bytes = try? companion.bytes()
        else { return nil }
        return try? Configuration(parsing: bytes, file: fileName)
    }
}

extension KerasFamily {
    /// A kept configuration with what has changed in the preset since.
    ///
    /// - Parameters:
    ///   - kept: the configuration of the model that the preset was made of.
    ///   - made: what the preset alone says, in Hugging Face's terms.
    ///   - model: the model in Hugging Face's terms; its tensors count.
    /// - Returns: the kept one, to the byte where nothing has changed; `made` where the two can't be brought together.
    func updated(_ kept: Configuration, by made: Configuration, of model: Checkpoint) -> Configuration {
        var before = model
        before.configuration = kept
        guard kept.modelType == modelType, let preset = try? self.preset(before),
            let unchanged = try? huggingFace(
                preset, isTied: made["tie_word_embeddings"]?.bool, type: made["torch_dtype"]?.string,
                model: model.path)
        else { return made }
        var result = kept
        let keys = Set(unchanged.json.object?.keys.map { $0 } ?? []).union(
            made.json.object?.keys.map { $0 } ?? [])
        for key in keys where unchanged[key] != made[key] {
            // Two dialects of one thing are not mixed.
            if key.hasPrefix("rope"), kept["rope_parameters"] != nil { return made }
            result[key] = made[key]
        }
        let count = settings.first { $0.keras == "num_layers" }?.huggingFace ?? ""
        if let layers = kept[count]?.int, made[count]?.int != layers {
            // What is listed for each layer is for other layers; Hugging Face's class knows what it is by default.
            for (key, value) in kept.json.object ?? JSONObject() where value.array?.count == layers {
                result[key] = nil
            }
        }
        if let type = model.tensors.values.first(where: { $0.type.isFloatingPoint })?.type,
            result.elementType != type
        {
            result.elementType = type
        }
        return result
    }
}
