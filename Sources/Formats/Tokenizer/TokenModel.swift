/// What turns a word into tokens.
enum TokenModel: Sendable {
    case bytePair(BytePairEncoding)
    case unigram(Unigram)
    case wordPiece(WordPiece)
    case wordLevel(WordLevel)

    /// Storage that encoding uses again and again.
    struct Workspace: Sendable {
        /// The word that a byte-pair encoding merges.
        var word = MergingWord()
        /// The best ways to each place of the word that a unigram model divides.
        var path = BestPath()
        /// A word as the vocabulary spells it.
        var spelled: [UInt8] = []
        fileprivate var cache = WordCache()
    }

    /// Reads `model`.
    ///
    /// - Parameters:
    ///   - field: the model.
    ///   - vocabulary: its vocabulary joined with the added tokens.
    ///   - isByteLevel: whether words come as bytes that the vocabulary spells in ``ByteAlphabet``.
    /// - Throws: ``UserFacingError`` for a field that is not what it should be, or a piece that is missing.
    init(_ field: TokenizerField, vocabulary: Vocabulary, isByteLevel: Bool) throws(UserFacingError) {
        switch try Kind(field) {
        case .bytePair:
            self = .bytePair(
                try BytePairEncoding(field, vocabulary: vocabulary, isByteLevel: isByteLevel))
        case .unigram:
            self = .unigram(try Unigram(field, vocabulary: vocabulary, isByteLevel: isByteLevel))
        case .wordPiece:
            self = .wordPiece(try WordPiece(field, vocabulary: vocabulary, isByteLevel: isByteLevel))
        case .wordLevel:
            self = .wordLevel(try WordLevel(field, vocabulary: vocabulary, isByteLevel: isByteLevel))
        }
    }

    /// The kinds of models, by their names in the file.
    enum Kind: String {
        case bytePair = "BPE"
        case unigram = "Unigram"
        case wordPiece = "WordPiece"
        case wordLevel = "WordLevel"

        /// Reads the `type`, which older files leave out: then the members tell, as they do the reference.
        init(_ field: TokenizerField) throws(UserFacingError) {
            if field["type"].isAbsent, !field["vocab"].isAbsent {
                if !field["merges"].isAbsent {
                    self = .bytePair
                } else if !field["max_input_chars_per_word"].isAbsent {
                    self = .wordPiece
                } else {
                    self = field["vocab"].json?.array != nil ? .unigram : .wordLevel
                }
                return
            }
            let name = try field["type"].string()
            guard let kind = Kind(rawValue: name) else {
                throw field.unsupported("the model \"\(name)\"")
            }
            self = kind
        }
    }

    /// Appends the ids of a word, which is not empty, to `ids`.
    ///
    /// - Throws: ``UserFacingError``.
    @inline(__always)
    func encode(
        _ word: Span<UInt8>, into ids: inout [Int32], _ workspace: inout Workspace
    ) throws(UserFacingError) {
        if workspace.cache.append(word, to: &ids) { return }
        let start = ids.count
        switch self {
        case .bytePair(let model): model.encode(word, into: &ids, &workspace.word)
        case .unigram(let model): try model.encode(word, into: &ids, &workspace.path, &workspace.spelled)
        case .wordPiece(let model): model.encode(word, into: &ids, &workspace.spelled)
        case .wordLevel(let model): try model.encode(word, into: &ids, &workspace.spelled)
        }
        workspace.cache.insert(word, ids.span.extracting(start..<ids.count))
    }

    /// The byte-pair encoding; nil for other models.
    var bytePair: BytePairEncoding? {
        if case .bytePair(let model) = self { model } else { nil }
    }

    /// The token for what the model does not know.
    var unknown: Int32? {
        switch self {
        case .bytePair(let model): model.unknown.token
        case .unigram(let model): model.unknown
        case .wordPiece(let model): model.unknown
        case .wordLevel(let model): model.unknown
        }
    }
}
