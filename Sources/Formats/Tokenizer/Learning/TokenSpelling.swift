/// How a byte-pair encoding spells its tokens, as far as learning has to know.
struct TokenSpelling {
    private let tokenizer: Tokenizer
    /// Whether tokens are spelled in ``ByteAlphabet``.
    let isByteLevel: Bool
    /// Whether any two neighbours that make a token are a merge, as in SentencePiece's vocabularies.
    let joinsEverySplit: Bool
    private let unjoinable: Set<Int32>

    /// Looks at a tokenizer.
    ///
    /// - Throws: ``UserFacingError`` for vocabularies that mark where in a word a piece stands.
    init(_ tokenizer: Tokenizer) throws(UserFacingError) {
        guard let model = tokenizer.bytePair else {
            throw .cannotLearn(file: "tokenizer.json", what: "the model is no byte-pair encoding")
        }
        guard model.continuationPrefix.isEmpty, model.endSuffix.isEmpty else {
            throw .cannotLearn(
                file: "tokenizer.json",
                what: "pieces are marked by where they stand in a word "
                    + "(continuing_subword_prefix or end_of_word_suffix)")
        }
        self.tokenizer = tokenizer
        isByteLevel = model.byteTokens != nil
        joinsEverySplit = model.unknown.bytes != nil
        unjoinable = Set((model.unknown.bytes ?? []) + [model.unknown.token].compactMap(\.self))
    }

    /// How many tokens stand for a missing character of so many bytes.
    func tokens(forMissing bytes: Int) -> Int { joinsEverySplit ? bytes : 1 }

    /// Whether a token may become a part of another: bytes that stand for a missing character may not.
    func isJoinable(_ id: Int32) -> Bool { unjoinable.isEmpty || !unjoinable.contains(id) }

    /// Divides a word at the characters that are no tokens, which are told with their scalar value.
    func forEachPart(of word: Span<UInt8>, _ visit: (Range<Int>, _ missing: Int32?) -> Void) {
        guard !isByteLevel else { return visit(0..<word.count, nil) }
        var start = 0
        var place = 0
        while place < word.count {
            let (scalar, length) = word.scalar(at: place)
            if tokenizer.vocabulary.modelID(of: word.extracting(place..<place + length)) == nil {
                if start < place { visit(start..<place, nil) }
                visit(place..<place + length, Int32(scalar))
                start = place + length
            }
            place += length
        }
        if start < word.count { visit(start..<word.count, nil) }
    }

    /// Whether a token of this spelling, typed alone, is one word: else it could not be reached.
    ///
    /// What is only a part of a character can't be typed, and is fine.
    func standsAlone(_ spelling: [UInt8]) -> Bool {
        let text: [UInt8]
        if isByteLevel {
            guard let raw = ByteAlphabet.decode(spelling.span), String(validating: raw, as: UTF8.self) != nil
            else { return true }
            text = raw
        } else {
            text = spelling.replacing(Tokenizer.spaceMark, with: [UInt8(ascii: " ")])
        }
        guard let words = try? tokenizer.words(of: text), words.pieces.count == 1, words.pieces[0].token < 0
        else {
            return false
        }
        // Some tokenizers put a space before a text that has none.
        return words.bytes.suffix(isByteLevel ? text.count : spelling.count)
            == (isByteLevel ? text : spelling)[...]
    }
}
