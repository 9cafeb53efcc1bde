internal import Formats
internal import OrderedCollections

/// Hugging Face's own configuration and tokenizer beside a preset that was made of such a model.
///
/// KerasHub has no place for much of what they say: the longest text, what training needs, a tokenizer of another kind
/// than the family's. It does not read the folder, and on the way back everything is there again.
enum EmbeddedFiles {
    /// Where they lie in a preset's folder.
    static let folder = "assets/huggingface/"
    /// The configuration among them.
    static let configurationName = folder + Configuration.fileName

    /// The configuration that a preset keeps; nil when there is none that can be read.
    static func configuration(of preset: Checkpoint) -> Configuration? {
        guard let auxiliaryFile = preset.auxiliaryFiles.first(where: { $0.name == configurationName }),
            let bytes = try? auxiliaryFile.bytes()
        else { return nil }
        return try? Configuration(parsing: bytes, file: auxiliaryFile.name)
    }

    /// The tokenizer that a preset keeps, which may have no files.
    static func tokenizer(of auxiliaryFiles: [AuxiliaryFile], path: String) -> TokenizerFiles {
        let kept = auxiliaryFiles.filter { $0.name.hasPrefix(folder) }.map {
            AuxiliaryFile(name: String($0.name.dropFirst(folder.count)), content: $0.content)
        }
        return TokenizerFiles(of: kept, path: Path.join(path, folder))
    }

    /// A tokenizer's files as a preset keeps them.
    static func kept(_ tokenizer: TokenizerFiles) -> [AuxiliaryFile] {
        tokenizer.auxiliaryFiles.map { AuxiliaryFile(name: folder + $0.name, content: $0.content) }
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
        if let layers = kept[keras.layerCount]?.int, made[keras.layerCount]?.int != layers {
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
