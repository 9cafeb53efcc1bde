internal import Formats

extension KerasTokenizer {
    /// A byte-pair tokenizer's vocabulary and merges.
    static let vocabularyName = "vocabulary.json", mergesName = "merges.txt"

    /// A byte-pair tokenizer in Hugging Face's terms.
    func bytePairs(
        _ normalizer: JSON, _ words: KerasTokenizerClass.Words
    ) throws(UserFacingError) -> ConvertedTokenizer {
        let file = Path.join(path, Self.folder + Self.vocabularyName)
        let json: JSON
        let bytes = try asset(Self.vocabularyName)
        json = try JSON(parsing: bytes, file: file, duplicates: .refused)
        guard let tokens = json.object, tokens.allSatisfy({ $0.value.int != nil }) else {
            throw .malformed(file: file, found: json.kind, expected: "an object of tokens with their ids")
        }
        var vocabulary = JSONObject()
        for (token, id) in tokens.sorted(by: { ($0.value.int ?? 0) < ($1.value.int ?? 0) }) {
            vocabulary[token] = id
        }
        let model: JSON = [
            "type": "BPE", "dropout": .null, "unk_token": .null, "continuing_subword_prefix": .null,
            "end_of_word_suffix": .null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
            "vocab": .object(vocabulary), "merges": .array(try merges()),
        ]
        let added = unsplittable.compactMap { token in
            tokens[token]?.int.map { AddedTokenEntry(id: $0, content: token, isSpecial: true) }
        }
        return files(
            added: added, normalizer: normalizer, preTokenizer: try dividing(words),
            decoder: [
                "type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true,
            ],
            model: model, ids: { tokens[$0]?.int })
    }

    /// The tokens that are found in a text before everything else: those that the settings name, else the class's own.
    private var unsplittable: [String] {
        let named = json["config"]?["unsplittable_tokens"]?.array?.compactMap(\.string)
        var seen: Set<String> = []
        return (named ?? kind.roles.map(\.token) + kind.others).filter { seen.insert($0).inserted }
    }

    private func merges() throws(UserFacingError) -> [JSON] {
        let lines = try asset(Self.mergesName).split(separator: UInt8(ascii: "\n"))
        var merges: [JSON] = []
        for (index, line) in lines.enumerated() {
            let text = String(
                validating: line.last == UInt8(ascii: "\r") ? line.dropLast() : line, as: UTF8.self)
            if let text, text.contains("#version:") { continue }
            let parts = text?.split(separator: " ", omittingEmptySubsequences: false) ?? []
            guard parts.count == 2 else {
                throw .malformed(
                    file: Path.join(path, Self.folder + Self.mergesName),
                    found: "\(parts.count) pieces in line \(index + 1)", expected: "two, with a space between"
                )
            }
            merges.append(.array(parts.map { .string(String($0)) }))
        }
        return merges
    }

    private func dividing(_ words: KerasTokenizerClass.Words) throws(UserFacingError) -> JSON {
        let prefix = JSON.bool(json["config"]?["add_prefix_space"]?.bool ?? false)
        func split(at pattern: String) -> JSON {
            [
                "type": "Sequence",
                "pretokenizers": [
                    [
                        "type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated",
                        "invert": false,
                    ],
                    [
                        "type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true,
                        "use_regex": false,
                    ],
                ],
            ]
        }
        switch words {
        case .gpt2:
            return ["type": "ByteLevel", "add_prefix_space": prefix, "trim_offsets": true, "use_regex": true]
        case .pattern(let pattern): return split(at: pattern)
        case .setting:
            guard let pattern = json["config"]?["split_pattern"]?.string else {
                throw .malformed(
                    file: Path.join(path, "tokenizer.json"), found: "no config.split_pattern",
                    expected: "the pattern that divides a text into words")
            }
            return split(at: pattern)
        }
    }
}
