/// A model's config.json: what it says, and what it becomes when something in it is changed.
///
/// Everything that is not changed stays as it was, down to the order of the keys and the spelling of the
/// numbers. Keys that have two names in the two dialects of `transformers` are read under both and written
/// under the one that was there.
public struct Configuration: Sendable, Equatable {
    /// What the file is called.
    public static let fileName = "config.json"

    /// Where it was read; error messages name it.
    public let file: String
    /// What it says: an object.
    public private(set) var json: JSON
    private let original: Original?

    private struct Original: Equatable {
        let json: JSON
        let bytes: [UInt8]
    }

    /// Reads a configuration.
    ///
    /// - Throws: ``UserFacingError`` when it is no JSON object, or a key stands twice.
    public init(parsing bytes: [UInt8], file: String) throws(UserFacingError) {
        json = try JSON(parsing: bytes, file: file, duplicates: .refused)
        guard case .object = json else {
            throw .wrongKind(file: file, key: "", found: json.kind, expected: "an object of settings")
        }
        self.file = file
        original = Original(json: json, bytes: bytes)
    }

    /// A configuration of these settings.
    public init(_ settings: JSONObject, file: String = Configuration.fileName) {
        self.file = file
        json = .object(settings)
        original = nil
    }

    /// The same file with other settings.
    package init(_ configuration: Configuration, _ json: JSON) {
        self = configuration
        self.json = json
    }

    /// The value of a setting; nil when there is none.
    ///
    /// Setting keeps the key's place, adds it at the end, or with nil removes it.
    public subscript(key: String) -> JSON? {
        get { json[key] }
        set { json[key] = newValue }
    }

    /// The file's bytes: those that were read when nothing has changed, else indented as they were.
    public func serialized() -> [UInt8] {
        guard let original else { return json.serialized() + [UInt8(ascii: "\n")] }
        if original.json == json { return original.bytes }
        return json.serialized(laidOutLike: original.bytes)
    }
}

// MARK: - Reading settings

extension Configuration {
    /// A whole number; nil when the key is missing or null.
    ///
    /// - Throws: ``UserFacingError`` for anything else.
    public func integer(_ key: String) throws(UserFacingError) -> Int? {
        try value(key, "a whole number") { $0.int ?? $0.double.flatMap { Int(exactly: $0) } }
    }

    /// A number; nil when the key is missing or null.
    ///
    /// - Throws: ``UserFacingError`` for anything else.
    public func number(_ key: String) throws(UserFacingError) -> Double? {
        try value(key, "a number") { $0.double }
    }

    /// A truth value; nil when the key is missing or null.
    ///
    /// - Throws: ``UserFacingError`` for anything else.
    public func flag(_ key: String) throws(UserFacingError) -> Bool? {
        try value(key, "true or false") { $0.bool }
    }

    /// A string; nil when the key is missing or null.
    ///
    /// - Throws: ``UserFacingError`` for anything else.
    public func string(_ key: String) throws(UserFacingError) -> String? {
        try value(key, "a string") { $0.string }
    }

    /// A list of strings; nil when the key is missing or null.
    ///
    /// - Throws: ``UserFacingError`` for anything else.
    public func strings(_ key: String) throws(UserFacingError) -> [String]? {
        try value(key, "a list of strings") { value in
            guard let elements = value.array else { return nil }
            let strings = elements.compactMap(\.string)
            return strings.count == elements.count ? strings : nil
        }
    }

    /// A whole number that has to be there.
    ///
    /// - Throws: ``UserFacingError`` when it is missing, null or something else.
    public func requiredInteger(_ key: String) throws(UserFacingError) -> Int {
        guard let value = try integer(key) else { throw .missingKey(file: file, key: key) }
        return value
    }

    /// The family of the model, as in `llama`; nil when the file does not say.
    public var modelType: String? { json["model_type"]?.string }

    /// The classes that load the model, as in `LlamaForCausalLM`.
    public var architectures: [String] { json["architectures"]?.array?.compactMap(\.string) ?? [] }

    private func value<Value>(
        _ key: String, _ expected: String, _ convert: (JSON) -> Value?
    ) throws(UserFacingError) -> Value? {
        guard let setting = json[key], !setting.isNull else { return nil }
        guard let value = convert(setting) else {
            throw .wrongKind(file: file, key: key, found: setting.kind, expected: expected)
        }
        return value
    }
}
