/// A vocabulary of word pieces: the longest piece that begins the word, then the longest that goes on, and so
/// on; a word that can't be put together is one unknown token.
///
/// Source: Wu et al. 2016 (arXiv 1609.08144), section 4.1; BERT's `WordpieceTokenizer`.
struct WordPiece: Sendable {
    private let vocabulary: Vocabulary
    private let isByteLevel: Bool
    let unknown: Int32
    /// What is put before a piece that goes on with a word when it is looked up.
    private let continuationPrefix: [UInt8]
    /// A word of more characters is unknown.
    private let longestWord: Int
    /// The bytes of the longest piece, beyond which nothing is found.
    private let longestPiece: Int

    /// Reads a `model` of the type WordPiece.
    init(_ field: TokenizerField, vocabulary: Vocabulary, isByteLevel: Bool) throws(UserFacingError) {
        let name = field["unk_token"]
        let text = try name.string()
        guard let unknown = vocabulary.modelID(of: text.utf8.span) else {
            throw .wrongReference(file: field.file, path: name.path, token: text)
        }
        self.unknown = unknown
        self.vocabulary = vocabulary
        self.isByteLevel = isByteLevel
        continuationPrefix = Array(try field["continuing_subword_prefix"].string().utf8)
        longestWord = try field["max_input_chars_per_word"].count()
        longestPiece = vocabulary.modelIDs.lazy.map { vocabulary.tokens[$0].utf8.count }.max() ?? 0
    }

    /// Appends the ids of a word.
    func encode(
        _ word: Span<UInt8>, into ids: inout [Int32], _ spelled: inout [UInt8]
    ) {
        // The word behind a prefix, so that every piece that goes on can be looked up with it in one stretch.
        spelled.removeAll(keepingCapacity: true)
        spelled.append(contentsOf: continuationPrefix)
        if isByteLevel {
            ByteAlphabet.encode(word, into: &spelled)
        } else {
            spelled.append(word)
        }
        let first = ids.count
        if !append(&spelled, to: &ids) {
            ids.removeLast(ids.count - first)
            ids.append(unknown)
        }
    }

    /// Appends the pieces of a word that stands behind a prefix; false when a part of it is no piece.
    private func append(_ spelled: inout [UInt8], to ids: inout [Int32]) -> Bool {
        let prefix = continuationPrefix.count
        guard spelled.count - prefix <= longestWord || characters(spelled) <= longestWord else {
            return false
        }
        var start = prefix
        while start < spelled.count {
            // The piece with its prefix, which at the word's start is none.
            let from = start == prefix ? start : start - prefix
            var end = min(spelled.count, from + longestPiece)
            while end < spelled.count, spelled[end] & 0xC0 == 0x80 { end -= 1 }
            var found: Int32?
            while start < end {
                found = vocabulary.modelID(of: spelled.span.extracting(from..<end))
                if found != nil { break }
                end = spelled.span.start(before: end)
            }
            guard let found else { return false }
            ids.append(found)
            start = end
            guard start < spelled.count else { break }
            // What was read makes room for the next piece's prefix.
            for index in 0..<prefix { spelled[start - prefix + index] = continuationPrefix[index] }
        }
        return true
    }

    private func characters(_ spelled: [UInt8]) -> Int {
        spelled[continuationPrefix.count...].reduce(0) { $0 + ($1 & 0xC0 == 0x80 ? 0 : 1) }
    }
}
