/// The added tokens of a tokenizer, by when they are looked for.
struct AddedTokens: Sendable {
    /// Looked for in the original text.
    let original: AddedTokenMatcher
    /// Looked for in the normalised text, their own text being normalised, too.
    let normalized: AddedTokenMatcher
    /// The special ones, looked for as they are spelled.
    let control: AddedTokenMatcher
    /// The text of each added token when it is decoded: as it is looked for.
    private let texts: [Int32: [UInt8]]
    private let special: Set<[UInt8]>

    init(_ tokens: [AddedToken], _ normalizer: Normalizer?) throws(UserFacingError) {
        // Of tokens that are found by the same text the last counts, and special ones come first.
        let ordered = tokens.filter(\.isSpecial) + tokens.filter { !$0.isSpecial }
        let before = ordered.filter { !$0.isNormalized }
        let after = ordered.filter(\.isNormalized)
        let originals = before.map { Array($0.content.utf8) }
        var normals: [[UInt8]] = []
        for token in after {
            let content = Array(token.content.utf8)
            normals.append(try normalizer?.apply(to: content) ?? content)
        }
        original = AddedTokenMatcher(before, contents: originals)
        normalized = AddedTokenMatcher(after, contents: normals)
        let special = tokens.filter(\.isSpecial)
        control = AddedTokenMatcher(special, contents: special.map { Array($0.content.utf8) })
        texts = Dictionary(
            zip((before + after).lazy.map(\.id), originals + normals), uniquingKeysWith: { _, last in last })
        self.special = Set(special.lazy.map { Array($0.content.utf8) })
    }

    /// The text that an added token is decoded to; nil for a token that is not an added one.
    func text(of id: Int32) -> [UInt8]? { texts[id] }

    /// Whether decoding may leave out an added token of this text.
    ///
    /// It goes by the text as the reference does, so a special token that normalisation changes stays.
    func isSpecial(_ text: [UInt8]) -> Bool { special.contains(text) }
}
