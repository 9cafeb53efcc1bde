/// The files of a model's folder that describe its tokenizer, as they are edited together.
public struct TokenizerFiles: Sendable {
    /// Every name that a tokenizer's file has; the chat template is not among them, for it belongs to the model.
    public static let names = [
        "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
        "vocab.json",
        "merges.txt", "tokenizer.model",
    ]

    /// The model, for messages.
    package let path: String
    /// The files by name, in the folder's order.
    public private(set) var auxiliaryFiles: [AuxiliaryFile]

    /// The tokenizer's files among those of a model.
    public init(of auxiliaryFiles: [AuxiliaryFile], path: String) {
        self.path = path
        self.auxiliaryFiles = auxiliaryFiles.filter { Self.names.contains($0.name) }
    }

    /// Whether there is no tokenizer.json.
    public var isEmpty: Bool { !auxiliaryFiles.contains { $0.name == "tokenizer.json" } }

    /// The file of a name, read; nil when there is none.
    package func bytes(_ name: String) throws(UserFacingError) -> [UInt8]? {
        guard let auxiliaryFile = auxiliaryFiles.first(where: { $0.name == name }) else { return nil }
        return try auxiliaryFile.bytes()
    }

    /// A file of a name as JSON; nil when there is none.
    package func json(_ name: String) throws(UserFacingError) -> JSON? {
        guard let bytes = try bytes(name) else { return nil }
        return try JSON(parsing: bytes, file: Path.join(path, name), duplicates: .refused)
    }

    /// The tokenizer that they describe.
    ///
    /// - Throws: ``UserFacingError`` when there is none, or it can't be used.
    public func tokenizer() throws(UserFacingError) -> Tokenizer {
        guard let bytes = try bytes("tokenizer.json") else { throw .noTokenizer(path: path) }
        return try Tokenizer(parsing: bytes, file: Path.join(path, "tokenizer.json"))
    }

    /// Replaces a file's content.
    package mutating func replace(_ name: String, with bytes: [UInt8]) {
        guard let index = auxiliaryFiles.firstIndex(where: { $0.name == name }) else { return }
        auxiliaryFiles[index].content = .bytes(bytes)
    }

    /// Replaces a JSON file's content, laid out as it was.
    mutating func replace(_ name: String, with json: JSON) throws(UserFacingError) {
        guard let old = try bytes(name) else { return }
        replace(name, with: json.serialized(laidOutLike: old))
    }
}

extension [AuxiliaryFile] {
    /// The same files with a tokenizer's in place of those that are there.
    public func replacing(tokenizer files: TokenizerFiles) -> [AuxiliaryFile] {
        var result: [AuxiliaryFile] = []
        let names = Set(files.auxiliaryFiles.map(\.name))
        for auxiliaryFile in self
        where !TokenizerFiles.names.contains(auxiliaryFile.name) || names.contains(auxiliaryFile.name) {
            result.append(files.auxiliaryFiles.first { $0.name == auxiliaryFile.name } ?? auxiliaryFile)
        }
        let there = Set(result.map(\.name))
        return result + files.auxiliaryFiles.filter { !there.contains($0.name) }
    }
}

extension TokenizerFiles {
    /// The ids of the special tokens that tokenizer_config.json names, by what they are for: `bos`, `eos`, `pad` and so on.
    ///
    /// - Throws: ``UserFacingError`` when the file can't be read.
    public func specialTokens(_ tokenizer: Tokenizer) throws(UserFacingError) -> [String: Int] {
        var ids: [String: Int] = [:]
        for (key, value) in try json("tokenizer_config.json")?.object ?? JSONObject()
        where key.hasSuffix("_token") {
            guard let text = value.string ?? value["content"]?.string, let id = tokenizer.id(of: text) else {
                continue
            }
            ids[String(key.dropLast("_token".count))] = Int(id)
        }
        return ids
    }
}

extension AuxiliaryFile {
    /// The file's bytes, and the JSON in them.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read or is not JSON.
    package func json() throws(UserFacingError) -> (bytes: [UInt8], json: JSON) {
        let bytes = try self.bytes()
        return (bytes, try JSON(parsing: bytes, file: name, duplicates: .refused))
    }
}
