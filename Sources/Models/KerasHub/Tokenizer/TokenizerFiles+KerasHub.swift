internal import Formats

extension KerasTokenizer {
    /// The files that a vocabulary may lie in.
    static let assetNames = [vocabularyName, mergesName, modelName].map { folder + $0 }
}

extension TokenizerFiles {
    /// Whether its tokens are spelled in the alphabet of bytes.
    var isByteLevel: Bool {
        get throws(UserFacingError) {
            if isEmpty { return false }
            return try tokenizer().isByteLevel
        }
    }

    /// The same tokenizer as a class of KerasHub's has it.
    ///
    /// - Parameters:
    ///   - kind: the class.
    ///   - old: the tokenizer.json that it has had, whose settings stay.
    /// - Returns: KerasHub's tokenizer.json and the files of the vocabulary.
    /// - Throws: ``UserFacingError`` when the class can't hold it.
    func kerasHub(
        _ kind: KerasTokenizerClass, like old: JSON? = nil
    ) throws(UserFacingError) -> [AuxiliaryFile] {
        let tokenizer = try tokenizer()
        if let missing = kind.needed.first(where: { tokenizer.id(of: $0) == nil }) {
            throw .noKerasForm(path: path, reason: "a \(kind.name) needs the token \(missing)")
        }
        guard try isByteLevel == kind.isBytePair else {
            throw .noKerasForm(
                path: path,
                reason: "a \(kind.name) takes " + (kind.isBytePair ? "byte pairs" : "SentencePiece's models")
                    + " only")
        }
        let root = try json("tokenizer.json") ?? .null
        let assets: [(String, [UInt8])] =
            kind.isBytePair ? try bytePairs(root) : [(KerasTokenizer.modelName, try pieces(tokenizer))]
        var main = old ?? kind.json
        if kind.isBytePair { try set(&main, of: kind, root, isNew: old == nil) }
        return [AuxiliaryFile(name: "tokenizer.json", content: .bytes(main.serialized(indent: 4)))]
            + assets.map { AuxiliaryFile(name: KerasTokenizer.folder + $0, content: .bytes($1)) }
    }

    // MARK: Byte pairs

    private func bytePairs(_ root: JSON) throws(UserFacingError) -> [(String, [UInt8])] {
        var vocabulary = root["model"]?["vocab"]?.object ?? JSONObject()
        for token in root["added_tokens"]?.array ?? [] {
            if let content = token["content"]?.string, let id = token["id"] { vocabulary[content] = id }
        }
        var merges = ""
        for merge in root["model"]?["merges"]?.array ?? [] {
            let text = merge.string ?? (merge.array ?? []).compactMap(\.string).joined(separator: " ")
            merges += text + "\n"
        }
        return [
            (KerasTokenizer.vocabularyName, JSON.object(vocabulary).serialized(indent: nil)),
            (KerasTokenizer.mergesName, Array(merges.utf8)),
        ]
    }

    /// Sets what a byte-pair class says of how text is divided.
    private func set(
        _ main: inout JSON, of kind: KerasTokenizerClass, _ root: JSON, isNew: Bool
    ) throws(UserFacingError) {
        var tokens = isNew ? [] : main["config"]?["unsplittable_tokens"]?.array ?? []
        for token in root["added_tokens"]?.array ?? [] {
            if let content = token["content"], !tokens.contains(content) { tokens.append(content) }
        }
        if case .bytePair(_, .setting) = kind.kind {
            if isNew { main["config"]?["split_pattern"] = .string(try pattern(root)) }
        } else {
            main["config"]?["unsplittable_tokens"] = .array(tokens)
        }
        if isNew, let last = steps(root).last, let prefix = last["add_prefix_space"] {
            main["config"]?["add_prefix_space"] = prefix
        }
    }

    /// The steps of the pre-tokenizer.
    private func steps(_ root: JSON) -> [JSON] {
        let first = root["pre_tokenizer"] ?? .null
        return first["pretokenizers"]?.array ?? [first]
    }

    /// The one pattern that divides a text into words.
    private func pattern(_ root: JSON) throws(UserFacingError) -> String {
        let steps = steps(root)
        if steps.count == 1, steps[0]["use_regex"]?.bool != false { return KerasTokenizerClass.gpt2Pattern }
        if steps.count == 2, let pattern = steps[0]["pattern"]?["Regex"]?.string,
            steps[0]["behavior"] == "Isolated", steps[0]["invert"]?.bool != true,
            steps[1]["use_regex"]?.bool == false
        {
            return pattern
        }
        throw .noKerasForm(path: path, reason: "it divides text by more than one pattern")
    }

    // MARK: SentencePiece

    /// SentencePiece's model with the tokens that tokenizer.json has beyond it.
    private func pieces(_ tokenizer: Tokenizer) throws(UserFacingError) -> [UInt8] {
        guard let bytes = try bytes(KerasTokenizer.huggingFaceModelName) else {
            throw .noKerasForm(
                path: path,
                reason:
                    "there is no \(KerasTokenizer.huggingFaceModelName), SentencePiece's own file, beside it")
        }
        var model = try SentencePieceModel(bytes, file: Path.join(path, KerasTokenizer.huggingFaceModelName))
        for (id, piece) in model.pieces.enumerated() where tokenizer.token(of: Int32(id)) != piece.text {
            throw .noKerasForm(
                path: path,
                reason: "token \(id) is \"\(tokenizer.token(of: Int32(id)) ?? "")\" in tokenizer.json and "
                    + "\"\(piece.text)\" in \(KerasTokenizer.huggingFaceModelName)")
        }
        for id in Int32(model.count)..<Int32(max(tokenizer.largestID + 1, model.count))
        where tokenizer.addedToken(id) == nil {
            throw .noKerasForm(
                path: path,
                reason: "token \(id) of tokenizer.json is not in \(KerasTokenizer.huggingFaceModelName)")
        }
        model.complete(by: tokenizer)
        return model.bytes
    }
}

extension KerasTokenizerClass {
    /// What KerasHub's tokenizer.json says of a new object of the class.
    fileprivate var json: JSON {
        var settings: JSON = [
            "name": .string(defaultName), "trainable": true,
            "dtype": [
                "module": "keras", "class_name": "DTypePolicy", "config": ["name": "int32"],
                "registered_name": .null,
            ],
            "config_file": "tokenizer.json",
        ]
        if !isBytePair { settings["proto"] = .null }
        settings["sequence_length"] = .null
        if isBytePair {
            settings["add_prefix_space"] = false
        } else {
            settings["add_bos"] = false
            settings["add_eos"] = false
        }
        return [
            "module": .string(module), "class_name": .string(name), "config": settings,
            "registered_name": .string("keras_hub>" + name),
        ]
    }

    private var defaultName: String {
        if case .bytePair(_, .setting) = kind { folder + "_tekken_tokenizer" } else { folder + "_tokenizer" }
    }
}
