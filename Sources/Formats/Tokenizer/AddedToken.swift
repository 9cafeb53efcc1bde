/// A token that is found in a text before everything else, and never split.
struct AddedToken: Sendable {
    let id: Int32
    /// The text that stands for it.
    let content: String
    /// Whether it is only found where no word character touches it.
    let isSingleWord: Bool
    /// Whether it takes the white space before it along.
    let stripsLeft: Bool
    /// Whether it takes the white space after it along.
    let stripsRight: Bool
    /// Whether it is looked for in the normalised text instead of the original.
    let isNormalized: Bool
    /// Whether decoding may leave it out.
    let isSpecial: Bool

    /// Reads an element of `added_tokens`.
    init(_ field: TokenizerField) throws(UserFacingError) {
        id = try field["id"].id()
        content = try field["content"].string()
        isSingleWord = try field["single_word"].bool(default: false)
        stripsLeft = try field["lstrip"].bool(default: false)
        stripsRight = try field["rstrip"].bool(default: false)
        isSpecial = try field["special"].bool(default: false)
        isNormalized = try field["normalized"].bool(default: !isSpecial)
    }
}

/// Finds added tokens in a text: the leftmost, of those the longest, then on after its end.
struct AddedTokenMatcher: Sendable {
    let tokens: [AddedToken]
    private let trie: ByteTrie

    /// A matcher for `tokens`, each found where its text of `contents` stands.
    init(_ tokens: [AddedToken], contents: [[UInt8]]) {
        self.tokens = tokens
        var trie = ByteTrie()
        for (index, content) in contents.enumerated() where !content.isEmpty {
            trie.insert(content.span, value: Int32(index))
        }
        self.trie = trie
    }

    /// Whether there is nothing to find.
    var isEmpty: Bool { tokens.isEmpty }

    /// Divides the pieces of `text` at the tokens found in them.
    ///
    /// - Parameters:
    ///   - text: what is divided.
    ///   - splitsSpecial: whether special tokens that are found stay text; what they overlap is not found either.
    func divide(_ text: inout PreTokenizedString, splitsSpecial: Bool) {
        guard !isEmpty else { return }
        text.dividePieces { bytes, pieces in
            var done = 0
            var position = 0
            while let (start, end, index) = trie.firstMatch(in: bytes, from: position) {
                position = end
                let token = tokens[index]
                if splitsSpecial && token.isSpecial { continue }
                if token.isSingleWord, touchesWord(bytes, start, end) { continue }
                // White space that the token before has taken is not taken twice.
                let from = token.stripsLeft ? max(startOfSpace(bytes, before: start), done) : start
                let to = token.stripsRight ? endOfSpace(bytes, after: end) : end
                if done < from { pieces.append(done..<from) }
                pieces.append(from..<to, token: token.id)
                done = to
            }
            if done < bytes.count { pieces.append(done..<bytes.count) }
        }
    }

    /// Calls `body` with each token that is found in a text.
    func forEachMatch(in text: Span<UInt8>, _ body: (AddedToken) -> Void) {
        guard !isEmpty else { return }
        var position = 0
        while let (start, end, index) = trie.firstMatch(in: text, from: position) {
            position = end
            if tokens[index].isSingleWord, touchesWord(text, start, end) { continue }
            body(tokens[index])
        }
    }

    private func touchesWord(_ bytes: Span<UInt8>, _ start: Int, _ end: Int) -> Bool {
        let before = start > 0 ? Unicode.Scalar(bytes.scalar(at: bytes.start(before: start)).value) : nil
        let after = end < bytes.count ? Unicode.Scalar(bytes.scalar(at: end).value) : nil
        return before?.isWord ?? false || after?.isWord ?? false
    }

    private func startOfSpace(_ bytes: Span<UInt8>, before end: Int) -> Int {
        var start = end
        while start > 0 {
            let previous = bytes.start(before: start)
            guard CharacterClass.whitespace.contains(bytes.scalar(at: previous).value) else { break }
            start = previous
        }
        return start
    }

    private func endOfSpace(_ bytes: Span<UInt8>, after start: Int) -> Int {
        var end = start
        while end < bytes.count {
            let (scalar, length) = bytes.scalar(at: end)
            guard CharacterClass.whitespace.contains(scalar) else { break }
            end += length
        }
        return end
    }
}
