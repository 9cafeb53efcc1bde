/// A vocabulary of whole words.
struct WordLevel: Sendable {
    private let vocabulary: Vocabulary
    private let isByteLevel: Bool
    let unknown: Int32?
    private let file: String

    /// Reads a `model` of the type WordLevel.
    init(_ field: TokenizerField, vocabulary: Vocabulary, isByteLevel: Bool) throws(UserFacingError) {
        self.vocabulary = vocabulary
        self.isByteLevel = isByteLevel
        // The reference, too, only misses the token for unknown words when it meets one.
        unknown = vocabulary.modelID(of: try field["unk_token"].string().utf8.span)
        file = field.file
    }

    /// Appends the id of a word.
    func encode(
        _ word: Span<UInt8>, into ids: inout [Int32], _ spelled: inout [UInt8]
    ) throws(UserFacingError) {
        let found: Int32?
        if isByteLevel {
            spelled.removeAll(keepingCapacity: true)
            ByteAlphabet.encode(word, into: &spelled)
            found = vocabulary.modelID(of: spelled.span)
        } else {
            found = vocabulary.modelID(of: word)
        }
        guard let id = found ?? unknown else {
            let text = String(decoding: Array(copying: word), as: UTF8.self)
            throw .noUnknownToken(file: file, text: text, key: "model.unk_token")
        }
        ids.append(id)
    }
}
