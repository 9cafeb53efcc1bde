/// SentencePiece's way with spaces: they become a visible character, "▁", one of which may also begin the
/// text.
struct Metaspace: Sendable {
    /// Where a replacement character is put before the text.
    enum Prepending: String, Sendable {
        /// Before every piece.
        case always
        /// Before the piece that begins the text.
        case first
        /// Nowhere.
        case never
    }

    /// The character, as UTF-8.
    let replacement: [UInt8]
    private(set) var prepending: Prepending
    /// Whether the text is divided before each replacement character.
    let divides: Bool

    /// Reads the pre-tokenizer or decoder of this name.
    init(_ field: TokenizerField) throws(UserFacingError) {
        var replacement: [UInt8] = []
        replacement.append(scalar: try field["replacement"].scalar().value)
        self.replacement = replacement
        divides = try field["split"].bool(default: true)
        // Older files say only whether there is one.
        let preset: Prepending = try field["add_prefix_space"].bool(default: true) ? .always : .never
        guard let scheme = field["prepend_scheme"].ifPresent else {
            prepending = preset
            return
        }
        guard let prepending = Prepending(rawValue: try scheme.string()) else {
            throw scheme.failure("\"always\", \"first\" or \"never\"")
        }
        self.prepending = prepending
    }

    /// The same, with nothing put before a text.
    var continuing: Self {
        var metaspace = self
        metaspace.prepending = .never
        return metaspace
    }

    /// Appends the piece with its spaces replaced.
    func write(_ piece: Span<UInt8>, isAtStart: Bool, into output: inout [UInt8]) {
        let isWanted = prepending == .always || (prepending == .first && isAtStart)
        let hasOne = piece[0] == UInt8(ascii: " ") || piece.hasBytes(replacement.span, at: 0)
        if isWanted, !hasOne { output.append(contentsOf: replacement) }
        for index in piece.indices {
            if piece[index] == UInt8(ascii: " ") {
                output.append(contentsOf: replacement)
            } else {
                output.append(piece[index])
            }
        }
    }

    /// A token's text with the replacement characters turned back into spaces.
    func read(_ token: [UInt8], isFirst: Bool) -> [UInt8] {
        let space: [UInt8] = isFirst && prepending != .never ? [] : [UInt8(ascii: " ")]
        return token.replacing(replacement, with: space)
    }
}

extension [UInt8] {
    /// The bytes with every occurrence of `literal`, which is not empty, replaced.
    func replacing(_ literal: [UInt8], with replacement: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(count)
        var index = 0
        while index < count {
            if span.hasBytes(literal.span, at: index) {
                output.append(contentsOf: replacement)
                index += literal.count
            } else {
                output.append(self[index])
                index += 1
            }
        }
        return output
    }
}
