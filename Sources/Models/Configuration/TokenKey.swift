public import Formats

/// Keys of a configuration that name tokens by their ids.
public enum TokenKey {
    private static let suffixes = [
        "_token_id", "_token_ids", "_token_index", "_token_indices", "_token_indexes",
    ]
    /// Keys of generation_config.json that list ids, or lists of them.
    private static let lists = [
        "suppress_tokens", "begin_suppress_tokens", "bad_words_ids", "force_words_ids", "stop_token_ids",
    ]
    /// What a model can do without: what marks a text's ends, fills it up or stands for what is not known.
    private static let optional: Set<String> = [
        "bos", "eos", "pad", "unk", "sep", "cls", "mask", "eod", "decoder", "forced", "suppress", "begin",
        "bad",
        "force", "stop",
    ]

    /// Whether a key's value is a token's id, or a list of ids.
    public static func isToken(_ key: String) -> Bool {
        suffixes.contains { key.hasSuffix($0) } || lists.contains(key)
    }

    /// What a key's token is for, as `eos` or `image`.
    public static func role(of key: String) -> String {
        guard let suffix = suffixes.first(where: { key.hasSuffix($0) }) else { return key }
        return String(key.dropLast(suffix.count))
    }

    /// Whether a model can be without a token of this key.
    public static func isOptional(_ key: String) -> Bool {
        optional.contains(String(key.prefix { $0 != "_" }))
    }

    /// Whether an object inside a configuration is of a part with another vocabulary.
    ///
    /// - Parameters:
    ///   - settings: the object.
    ///   - rows: how many rows the language model's embedding has.
    ///   - languageModel: the language model's own settings.
    /// - Returns: whether it names a size that is not the embedding's.
    public static func isOfOtherVocabulary(_ settings: JSONObject, rows: Int, languageModel: JSONObject)
        -> Bool
    {
        guard let size = settings["vocab_size"]?.int ?? settings["vocabulary_size"]?.int else { return false }
        return size != rows && settings != languageModel
    }
}

extension Checkpoint {
    /// The ids that configuration and generation_config.json name, and the first key that names each.
    ///
    /// - Parameter rows: how many rows the embedding has; parts with another vocabulary are passed over.
    /// - Returns: the keys by the id.
    /// - Throws: ``UserFacingError`` when generation_config.json can't be read.
    public func tokenKeys(rows: Int) throws(UserFacingError) -> [Int: String] {
        var keys: [Int: String] = [:]
        let languageModel = configuration?.languageModel ?? JSONObject()
        func visit(_ value: JSON, _ key: String) {
            if let id = value.int, id >= 0, keys[id] == nil { keys[id] = key }
            for element in value.array ?? [] { visit(element, key) }
        }
        func walk(_ settings: JSONObject, _ path: String) {
            for (key, value) in settings {
                if TokenKey.isToken(key) { visit(value, path + key) }
                guard let inner = value.object,
                    !TokenKey.isOfOtherVocabulary(inner, rows: rows, languageModel: languageModel)
                else { continue }
                walk(inner, path + key + ".")
            }
        }
        if let settings = configuration?.json.object { walk(settings, "config.json's ") }
        if let generation = auxiliaryFiles.first(where: { $0.name == "generation_config.json" }) {
            walk(try generation.json().json.object ?? JSONObject(), "generation_config.json's ")
        }
        return keys
    }
}
