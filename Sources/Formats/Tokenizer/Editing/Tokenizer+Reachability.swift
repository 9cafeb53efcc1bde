extension Tokenizer {
    /// How a token can be reached.
    public enum Reach: Sendable, Equatable {
        /// Its text, typed alone, is encoded as this token.
        case typed
        /// It can't be typed alone, being a part of a character or without the space that a text begins with, but its
        /// bytes go through the merges to this token.
        case merged
        /// Its text is encoded as these instead.
        case not([Int32])
    }

    /// How a token can be reached by encoding.
    ///
    /// - Throws: ``UserFacingError`` when a pattern gives up on its text.
    public func reach(of id: Int32) throws(UserFacingError) -> Reach {
        // A special token is reached by whoever means it, also where those that texts spell out are split.
        if splitsSpecialTokens {
            var tokenizer = self
            tokenizer.splitsSpecialTokens = false
            return try tokenizer.reach(of: id)
        }
        let bytes = bytes(of: id)
        var typed: [Int32]?
        if let text = String(validating: bytes, as: UTF8.self) {
            let ids = try encode(text, addSpecialTokens: false)
            if ids == [id] { return .typed }
            // A text may get a space at its front, which takes the place of the token's own.
            if text.hasPrefix(" "), try encode(String(text.dropFirst()), addSpecialTokens: false) == [id] {
                return .typed
            }
            typed = ids
            guard putsSpaceBefore else { return .not(ids) }
        }
        let merged = pieces(of: bytes)
        return merged == [id] ? .merged : .not(typed ?? merged)
    }

    /// The bytes that a token stands for inside a text.
    public func bytes(of id: Int32) -> [UInt8] {
        guard vocabulary.tokens.indices.contains(Int(id)) else { return [] }
        if let text = addedTokens.text(of: id) { return text }
        let spelling = Array(vocabulary.tokens[Int(id)].utf8)
        if bytePair?.byteTokens != nil { return ByteAlphabet.decode(spelling.span) ?? spelling }
        if let byte = bytePair?.unknown.bytes?.firstIndex(of: id) { return [UInt8(byte)] }
        return spelling.replacing(Self.spaceMark, with: [UInt8(ascii: " ")])
    }

    /// The tokens that bytes become inside a text, where nothing is put before them and nothing divides them.
    public func pieces(of bytes: [UInt8]) -> [Int32] {
        if bytes.isEmpty { return [] }
        var ids: [Int32] = []
        var workspace = WordWorkspace()
        if bytePair?.byteTokens != nil {
            encode(word: bytes.span, into: &ids, &workspace)
        } else if String(validating: bytes, as: UTF8.self) != nil {
            encode(
                word:
                    bytes.replacing([UInt8(ascii: " ")], with: Self.spaceMark).span, into: &ids, &workspace)
        } else {
            for byte in bytes {
                if let token = bytePair?.unknown.bytes?[Int(byte)], token >= 0 { ids.append(token) }
            }
        }
        return ids
    }

    /// Whether something may be put before a text.
    private var putsSpaceBefore: Bool {
        let isPrepended = preTokenizer.steps.contains { step in
            switch step {
            case .prependSpace: true
            case .replaceSpaces(let metaspace): metaspace.prepending != .never
            default: false
            }
        }
        return isPrepended || normalizer?.prepends ?? false
    }
}

extension Normalizer {
    /// Whether it puts something before a text.
    fileprivate var prepends: Bool {
        switch self {
        case .prepend: true
        case .sequence(let normalizers): normalizers.contains(where: \.prepends)
        default: false
        }
    }
}
