internal import Formats

/// A tokenizer as a preset of KerasHub has it: a class with its settings in tokenizer.json, and its vocabulary in the
/// folder assets/tokenizer.
struct KerasTokenizer: Sendable {
    /// The class that it is of.
    let kind: KerasTokenizerClass
    /// What tokenizer.json says.
    let json: JSON
    /// The model, for messages.
    let path: String
    private let assets: [AuxiliaryFile]

    /// Where its vocabulary lies.
    static let folder = "assets/tokenizer/"

    /// Reads a preset's tokenizer; nil when there is no tokenizer.json, or it is Hugging Face's.
    ///
    /// - Throws: ``UserFacingError`` when it is of a class that is not known, or can't be read.
    init?(of auxiliaryFiles: [AuxiliaryFile], path: String) throws(UserFacingError) {
        guard let main = auxiliaryFiles.first(where: { $0.name == "tokenizer.json" }) else { return nil }
        let json = try main.json().json
        guard let name = json["class_name"]?.string else { return nil }
        let file = Path.join(path, "tokenizer.json")
        guard let kind = KerasTokenizerClass.named(name) else {
            throw .unknownKerasTokenizer(file: file, name: name)
        }
        self.init(kind, json: json, assets: auxiliaryFiles, path: path)
    }

    /// A tokenizer of a class, with the files of its vocabulary.
    init(_ kind: KerasTokenizerClass, json: JSON, assets: [AuxiliaryFile], path: String) {
        self.kind = kind
        self.json = json
        self.path = path
        self.assets = assets.filter { $0.name.hasPrefix(Self.folder) }
    }

    /// A file of its vocabulary.
    func asset(_ name: String) throws(UserFacingError) -> [UInt8] {
        guard let auxiliaryFile = assets.first(where: { $0.name == Self.folder + name }) else {
            throw .malformed(
                file: Path.join(path, "tokenizer.json"), found: "a \(kind.name) without its vocabulary",
                expected: "the file \(Self.folder)\(name) beside it")
        }
        return try auxiliaryFile.bytes()
    }

    /// Whether its vocabulary lies in files of the same bytes as these.
    func hasAssets(_ files: [AuxiliaryFile]) throws(UserFacingError) -> Bool {
        for file in files where file.name.hasPrefix(Self.folder) {
            guard let own = assets.first(where: { $0.name == file.name }),
                try own.bytes() == file.bytes()
            else { return false }
        }
        return true
    }

    /// The same tokenizer in Hugging Face's terms.
    ///
    /// - Throws: ``UserFacingError`` when its vocabulary is not what it should be.
    func huggingFace() throws(UserFacingError) -> ConvertedTokenizer {
        switch kind.kind {
        case .bytePair(let normalizer, let words): try bytePairs(normalizer, words)
        case .sentencePiece: try pieces()
        }
    }

    /// Hugging Face's tokenizer.json of these parts, and the file that names the special tokens.
    func files(
        added: [AddedTokenEntry], normalizer: JSON, preTokenizer: JSON, decoder: JSON, model: JSON,
        ids: (String) -> Int?, more: [AuxiliaryFile] = []
    ) -> ConvertedTokenizer {
        let roles = kind.roles.compactMap { role in ids(role.token).map { (role.role, role.token, $0) } }
        let first = roles.first { $0.0 == "bos" && kind.begins }.map { ($0.1, $0.2) }
        let main: JSON = [
            "version": "1.0", "truncation": .null, "padding": .null,
            "added_tokens": .array(added.sorted { $0.id < $1.id }.map(\.json)), "normalizer": normalizer,
            "pre_tokenizer": preTokenizer, "post_processor": first.map(Self.template) ?? .null,
            "decoder": decoder, "model": model,
        ]
        var settings = JSONObject()
        settings["tokenizer_class"] = "PreTrainedTokenizerFast"
        for (role, token, _) in roles { settings[role + "_token"] = .string(token) }
        settings["clean_up_tokenization_spaces"] = false
        let files = [("tokenizer.json", main), ("tokenizer_config.json", JSON.object(settings))].map {
            AuxiliaryFile(name: $0, content: .bytes($1.serialized() + [UInt8(ascii: "\n")]))
        }
        return ConvertedTokenizer(
            files: TokenizerFiles(of: files + more, path: path), roles: roles.map { ($0.0, $0.2) })
    }

    /// A post-processor that puts a token before each text.
    private static func template(_ token: String, _ id: Int) -> JSON {
        func part(_ sequence: String, _ type: Int) -> [JSON] {
            [
                ["SpecialToken": ["id": .string(token), "type_id": JSON(type)]],
                ["Sequence": ["id": .string(sequence), "type_id": JSON(type)]],
            ]
        }
        var known = JSONObject()
        known[token] = ["id": .string(token), "ids": [JSON(id)], "tokens": [.string(token)]]
        return [
            "type": "TemplateProcessing", "single": .array(part("A", 0)),
            "pair": .array(part("A", 0) + part("B", 1)), "special_tokens": .object(known),
        ]
    }
}

/// A tokenizer of KerasHub's in Hugging Face's terms.
struct ConvertedTokenizer {
    /// Its files.
    let files: TokenizerFiles
    /// The ids of special tokens by what they are for: `bos`, `eos`, `pad`, `unk`.
    let roles: [(role: String, id: Int)]
}

/// An added token as tokenizer.json lists it.
struct AddedTokenEntry {
    let id: Int
    let content: String
    let isSpecial: Bool

    var json: JSON {
        [
            "id": JSON(id), "content": .string(content), "single_word": false, "lstrip": false,
            "rstrip": false,
            "normalized": false, "special": .bool(isSpecial),
        ]
    }
}
