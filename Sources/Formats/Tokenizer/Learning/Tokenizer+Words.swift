extension Tokenizer {
    /// Storage for encoding words, used again and again.
    typealias WordWorkspace = TokenModel.Workspace

    /// The byte-pair encoding, which alone learns; nil for other models.
    var bytePair: BytePairEncoding? { model.bytePair }

    /// Appends the tokens of a word, as it comes to the model; none where the model has none for it.
    func encode(word: Span<UInt8>, into ids: inout [Int32], _ workspace: inout WordWorkspace) {
        if let bytePair {
            // Past the cache, which words that come once would only fill.
            bytePair.encode(word, into: &ids, &workspace.word)
        } else {
            try? model.encode(word, into: &ids, &workspace)
        }
    }

    /// The words that a text falls into before the model, and the added tokens found in it.
    func words(of text: [UInt8]) throws(UserFacingError) -> PreTokenizedString {
        var text = PreTokenizedString(text)
        addedTokens.original.divide(&text, splitsSpecial: splitsSpecialTokens)
        if let normalizer {
            try text.rewritePieces { piece, isAtStart, output throws(UserFacingError) in
                output.append(contentsOf: try normalizer.apply(to: Array(copying: piece), &isAtStart))
            }
        }
        addedTokens.normalized.divide(&text, splitsSpecial: splitsSpecialTokens)
        try preTokenizer.apply(to: &text)
        return text
    }

    /// Whether the pre-tokenizer divides a text at all; SentencePiece's tokenizers often have none that does.
    var dividesWords: Bool {
        preTokenizer.steps.contains { step in
            switch step {
            case .prependSpace, .replaceSpaces, .writeBytes: false
            default: true
            }
        }
    }

    /// Divides a piece before every "▁" that another character follows or precedes: "▁▁▁to▁be" is "▁▁", "▁to", "▁be".
    ///
    /// That is how SentencePiece's trainer divides a text that its models see in one piece (`split_by_whitespace`).
    static func forEachSpacedWord(in piece: Span<UInt8>, _ visit: (Range<Int>) -> Void) {
        let mark = spaceMark.span
        var start = 0
        var index = 0
        while index < piece.count {
            guard piece.hasBytes(mark, at: index) else {
                index += 1
                continue
            }
            var end = index
            while piece.hasBytes(mark, at: end) { end += mark.count }
            // The last mark of a run belongs to what follows; those before it are a word of their own.
            let last = end < piece.count ? end - mark.count : end
            if start < index { visit(start..<index) }
            if index < last { visit(index..<last) }
            start = last
            index = end
        }
        if start < piece.count { visit(start..<piece.count) }
    }

    /// "▁" (U+2581), which stands for a space in SentencePiece's vocabularies.
    static let spaceMark: [UInt8] = [0xE2, 0x96, 0x81]
}
