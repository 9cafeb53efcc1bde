extension TokenizerFiles {
    /// The files with more tokens; everything else in them stays as it is.
    ///
    /// - Parameter extra: the tokens.
    /// - Returns: the files, of which those that change are in memory.
    /// - Throws: ``UserFacingError`` when a file is not what it should be.
    public func extended(by extra: VocabularyExtension) throws(UserFacingError) -> TokenizerFiles {
        let loaded = try agreeing()
        var result = self
        try result.replace("tokenizer.json", with: try extendedTokenizer(loaded.main, by: extra))
        result.remove(notFollowing)
        if let vocabulary = try json("vocab.json")?.object {
            var vocabulary = vocabulary
            for token in extra.inVocabulary { vocabulary[token.spelling] = JSON(Int(token.id)) }
            try result.replace("vocab.json", with: .object(vocabulary))
        }
        if let merges = try bytes("merges.txt") {
            var merges = merges
            if let last = merges.last, last != UInt8(ascii: "\n") { merges.append(UInt8(ascii: "\n")) }
            for merge in extra.merges { merges += Array("\(merge.left) \(merge.right)\n".utf8) }
            result.replace("merges.txt", with: merges)
        }
        if let model = try result.bytes("tokenizer.model"), !(extra.tokens.isEmpty && extra.added.isEmpty) {
            var pieces = try SentencePieceModel(model, file: Path.join(path, "tokenizer.model"))
            try pieces.append(extra, to: loaded.tokenizer)
            result.replace("tokenizer.model", with: pieces.bytes)
        }
        if !extra.added.isEmpty { try extendAddedTokens(&result, extra.added) }
        return result
    }

    // MARK: tokenizer.json

    private func extendedTokenizer(
        _ json: JSON, by extra: VocabularyExtension
    ) throws(UserFacingError) -> JSON {
        let file = Path.join(path, "tokenizer.json")
        guard var root = json.object, var model = root["model"]?.object else {
            throw .malformed(file: file, found: "no model", expected: "an object with the vocabulary")
        }
        var added = root["added_tokens"]?.array ?? []
        if !extra.inVocabulary.isEmpty {
            guard var vocabulary = model["vocab"]?.object else {
                throw .malformed(
                    file: file, found: "no object model.vocab",
                    expected: "tokens with their ids, to add others")
            }
            // A reader that finds an added token outside the vocabulary gives it the next free id, which is wrong as
            // soon as the vocabulary goes beyond it.
            for token in added {
                guard let content = token["content"]?.string, let id = token["id"] else { continue }
                if vocabulary[content] == nil { vocabulary[content] = id }
            }
            for token in extra.inVocabulary { vocabulary[token.spelling] = JSON(Int(token.id)) }
            if !extra.placeholders.isEmpty {
                for token in extra.added { vocabulary[token.content] = JSON(Int(token.id)) }
            }
            model["vocab"] = .object(vocabulary)
        }
        if !extra.merges.isEmpty {
            model["merges"] = try extendedMerges(model["merges"], by: extra.merges, file: file)
        }
        for token in extra.added { added.append(token.json) }
        root["added_tokens"] = .array(added)
        root["model"] = .object(model)
        return .object(root)
    }

    /// The merges in the form that they have: pairs in newer files, text in older ones.
    private func extendedMerges(
        _ merges: JSON?, by extra: [VocabularyExtension.Merge], file: String
    ) throws(UserFacingError) -> JSON {
        guard var list = merges?.array else {
            throw .malformed(file: file, found: "no model.merges", expected: "a list of merges")
        }
        let hasSpaces = extra.contains { $0.left.utf8.contains(0x20) || $0.right.utf8.contains(0x20) }
        let isText = list.first?.string != nil
        guard !(isText && hasSpaces) else {
            throw .malformed(
                file: file, found: "merges as text, in which a piece may have no space",
                expected: "merges as pairs; load and save it with a newer version of tokenizers first")
        }
        for merge in extra {
            list.append(
                isText
                    ? .string("\(merge.left) \(merge.right)")
                    : .array([.string(merge.left), .string(merge.right)]))
        }
        return .array(list)
    }

    // MARK: The files that name added tokens

    private func extendAddedTokens(
        _ result: inout TokenizerFiles, _ added: [VocabularyExtension.AddedToken]
    ) throws(UserFacingError) {
        let special = added.filter(\.isSpecial).map { JSON.string($0.content) }
        if var configuration = try json("tokenizer_config.json")?.object {
            if var decoder = configuration["added_tokens_decoder"]?.object {
                for token in added { decoder["\(token.id)"] = token.settings }
                configuration["added_tokens_decoder"] = .object(decoder)
            }
            for key in ["additional_special_tokens", "extra_special_tokens"] {
                guard let list = configuration[key]?.array else { continue }
                configuration[key] = .array(list + special)
            }
            try result.replace("tokenizer_config.json", with: .object(configuration))
        }
        if var map = try json("special_tokens_map.json")?.object, !special.isEmpty {
            map["additional_special_tokens"] = .array(
                (map["additional_special_tokens"]?.array ?? []) + special)
            try result.replace("special_tokens_map.json", with: .object(map))
        }
        if var map = try json("added_tokens.json")?.object {
            for token in added { map[token.content] = JSON(Int(token.id)) }
            try result.replace("added_tokens.json", with: .object(map))
        }
    }
}

extension VocabularyExtension {
    /// What the model's vocabulary gets.
    fileprivate var inVocabulary: [Token] { (tokens + placeholders).sorted { $0.id < $1.id } }
}

extension VocabularyExtension.AddedToken {
    /// As `added_tokens` of tokenizer.json has it.
    fileprivate var json: JSON {
        var object = JSONObject()
        object["id"] = JSON(Int(id))
        for (key, value) in settings.object ?? JSONObject() { object[key] = value }
        return .object(object)
    }

    /// As `added_tokens_decoder` of tokenizer_config.json has it.
    var settings: JSON {
        [
            "content": .string(content), "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": .bool(!isSpecial), "special": .bool(isSpecial),
        ]
    }
}
