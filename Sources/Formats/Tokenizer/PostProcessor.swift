/// Puts special tokens around a text's ids.
struct PostProcessor: Sendable {
    private enum Part: Sendable {
        case tokens([Int32])
        case text
    }

    /// What the result is made of, when special tokens are wanted.
    private var parts: [Part] = [.text]

    /// Reads `post_processor`; missing or null adds nothing.
    init(_ field: TokenizerField, _ vocabulary: Vocabulary) throws(UserFacingError) {
        guard let field = field.ifPresent else { return }
        switch try field["type"].string() {
        case "Sequence":
            for element in try field["processors"].elements() {
                let inner = try PostProcessor(element, vocabulary)
                guard inner.addsTokens else { continue }
                // Each works on the pieces of the one before it, as if they were several texts.
                guard !addsTokens else {
                    throw element.unsupported("a second post-processor that adds tokens")
                }
                parts = inner.parts
            }
        case "ByteLevel":
            break  // It only moves offsets, which ids don't have.
        case "TemplateProcessing":
            parts = try Self.template(field, vocabulary)
        case "BertProcessing", "RobertaProcessing":
            parts = [
                .tokens([try Self.token(field["cls"], vocabulary)]), .text,
                .tokens([try Self.token(field["sep"], vocabulary)]),
            ]
        case let name:
            throw field.unsupported("the post-processor \"\(name)\"")
        }
    }

    private static func template(
        _ field: TokenizerField, _ vocabulary: Vocabulary
    ) throws(UserFacingError) -> [Part] {
        var parts: [Part] = []
        for element in try field["single"].elements() {
            if let sequence = element["Sequence"].ifPresent {
                guard try sequence["id"].string() == "A" else { throw sequence["id"].failure("\"A\"") }
                parts.append(.text)
                continue
            }
            let name = try element["SpecialToken"]["id"].string()
            let special = field["special_tokens"][name]
            var ids: [Int32] = []
            let tokens = try special["tokens"].elements()
            for (index, id) in try special["ids"].elements().enumerated() {
                guard index < tokens.count else {
                    throw special["tokens"].failure("as many as there are ids")
                }
                ids.append(try checked(try id.id(), tokens[index], vocabulary))
            }
            parts.append(.tokens(ids))
        }
        return parts
    }

    /// A pair `["[CLS]", 101]`.
    private static func token(
        _ field: TokenizerField, _ vocabulary: Vocabulary
    ) throws(UserFacingError) -> Int32 {
        let pair = try field.elements()
        guard pair.count == 2 else { throw field.failure("a token and its id") }
        return try checked(try pair[1].id(), pair[0], vocabulary)
    }

    private static func checked(
        _ id: Int32, _ token: TokenizerField, _ vocabulary: Vocabulary
    ) throws(UserFacingError) -> Int32 {
        let text = try token.string()
        guard vocabulary.id(of: text.utf8.span) == id else {
            throw .wrongReference(file: token.file, path: token.path, token: text, id: Int(id))
        }
        return id
    }

    /// Whether there is anything but the text.
    private var addsTokens: Bool {
        if parts.count == 1, case .text = parts[0] { false } else { true }
    }

    /// The ids with special tokens around them.
    func apply(to ids: [Int32]) -> [Int32] {
        guard addsTokens else { return ids }
        var output: [Int32] = []
        output.reserveCapacity(ids.count + parts.count)
        for part in parts {
            switch part {
            case .tokens(let tokens): output.append(contentsOf: tokens)
            case .text: output.append(contentsOf: ids)
            }
        }
        return output
    }
}
