/// The added tokens of a tokenizer, by when they are looked for.
struct AddedTokens: Sendable {
    /// Looked for in the original text.
    let original: AddedTokenMatcher
    /// Looked for in the normalised text, their own text being normalised, too.
    let normalized: AddedTokenMatcher
    private let special: Set<Int32>

    init(_ tokens: [AddedToken], _ normalizer: Normalizer?) throws(TokenizerError) {
        // Of tokens with the same text the first counts, and special ones come first.
        let ordered = tokens.filter(\.isSpecial) + tokens.filter { !$0.isSpecial }
        let before = ordered.filter { !$0.isNormalized }
        let after = ordered.filter(\.isNormalized)
        original = AddedTokenMatcher(before, contents: before.map { Array($0.content.utf8) })
        var contents: [[UInt8]] = []
        for token in after {
            let content = Array(token.content.utf8)
            contents.append(try normalizer?.apply(to: content) ?? content)
        }
        normalized = AddedTokenMatcher(after, contents: contents)
        special = Set(tokens.lazy.filter(\.isSpecial).map(\.id))
    }

    /// Whether decoding may leave the token out.
    func isSpecial(_ id: Int32) -> Bool { special.contains(id) }
}
