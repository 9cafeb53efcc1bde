/// A byte-pair encoding: a word begins as its characters (or bytes), and neighbours merge, the pair of the
/// earliest merge first and of equal ones the leftmost, until no two neighbours have a merge.
///
/// Source: Sennrich et al. 2016 (arXiv 1508.07909); the treatment of unknown characters is that of Hugging
/// Face tokenizers.
struct BytePairEncoding: Sendable {
    let vocabulary: Vocabulary
    let merges: MergeTable
    /// For byte-level vocabularies the token of each byte, -1 where there is none; else nil.
    let byteTokens: [Int32]?
    /// The token of each character up to U+FFFF, -1 where there is none; empty for byte-level vocabularies.
    let characterTokens: [Int32]
    let unknown: Unknown
    /// What is put before each character of a word but the first when it is looked up.
    let continuationPrefix: [UInt8]
    /// What is put after the last character of a word when it is looked up.
    let endSuffix: [UInt8]
    /// The words that are taken as they stand, without merging; nil when merges always decide.
    let wholeWords: WholeWords?

    /// What becomes of characters that are no tokens.
    struct Unknown: Sendable {
        /// The token for them; without one they are dropped.
        let token: Int32?
        /// Whether a run of them is one token.
        let isFused: Bool
        /// The tokens `<0x00>` … `<0xFF>` of their bytes, which are preferred; nil when they aren't used,
        /// -1 where one is missing.
        let bytes: [Int32]?
    }

    /// Words by their bytes: of byte-level vocabularies the bytes they stand for, else their text.
    struct WholeWords: Sendable {
        var table = ByteStringTable()
        var ids: [Int32] = []

        func id(of word: Span<UInt8>) -> Int32? { table.index(of: word).map { ids[$0] } }
    }

    /// Reads a `model` of the type BPE.
    ///
    /// - Parameters:
    ///   - field: the model.
    ///   - vocabulary: its vocabulary joined with the added tokens.
    ///   - isByteLevel: whether words come as bytes that the vocabulary spells in ``ByteAlphabet``.
    /// - Throws: ``UserFacingError`` for a field that is not what it should be, or a piece that is missing.
    init(_ field: TokenizerField, vocabulary: Vocabulary, isByteLevel: Bool) throws(UserFacingError) {
        if let dropout = field["dropout"].ifPresent, dropout.json?.double != 0 {
            throw dropout.unsupported("random merging (a dropout of \(dropout.json?.kind ?? ""))")
        }
        self.vocabulary = vocabulary
        continuationPrefix = try Self.affix(field["continuing_subword_prefix"])
        endSuffix = try Self.affix(field["end_of_word_suffix"])
        unknown = try Unknown(field, vocabulary)
        merges = try MergeTable(field["merges"], vocabulary, prefix: continuationPrefix)
        byteTokens = isByteLevel ? Self.byteTokens(vocabulary) : nil
        characterTokens = isByteLevel ? [] : Self.characterTokens(vocabulary)
        wholeWords =
            try field["ignore_merges"].bool(default: false)
            ? WholeWords(vocabulary, isByteLevel: isByteLevel) : nil
    }

    private static func affix(_ field: TokenizerField) throws(UserFacingError) -> [UInt8] {
        field.isAbsent ? [] : Array(try field.string().utf8)
    }

    private static func byteTokens(_ vocabulary: Vocabulary) -> [Int32] {
        ByteAlphabet.scalars.map { scalar in
            vocabulary.modelID(of: String(Character(scalar)).utf8.span) ?? -1
        }
    }

    private static func characterTokens(_ vocabulary: Vocabulary) -> [Int32] {
        var tokens = [Int32](repeating: -1, count: 0x10000)
        for id in vocabulary.modelIDs {
            let scalars = vocabulary.tokens[id].unicodeScalars
            guard let scalar = scalars.first, scalars.count == 1, scalar.value < 0x10000 else { continue }
            tokens[Int(scalar.value)] = Int32(id)
        }
        return tokens
    }
}

extension BytePairEncoding.Unknown {
    fileprivate init(_ field: TokenizerField, _ vocabulary: Vocabulary) throws(UserFacingError) {
        if let name = field["unk_token"].ifPresent {
            let text = try name.string()
            guard let id = vocabulary.modelID(of: text.utf8.span) else {
                throw .wrongReference(file: field.file, path: name.path, token: text)
            }
            token = id
        } else {
            token = nil
        }
        isFused = try field["fuse_unk"].bool(default: false)
        bytes = try field["byte_fallback"].bool(default: false) ? vocabulary.byteTokens : nil
    }
}

extension BytePairEncoding.WholeWords {
    fileprivate init(_ vocabulary: Vocabulary, isByteLevel: Bool) {
        table = ByteStringTable(capacity: vocabulary.count)
        for id in vocabulary.modelIDs {
            let text = vocabulary.tokens[id]
            guard isByteLevel else {
                add(text.utf8.span, id)
                continue
            }
            if let raw = ByteAlphabet.decode(text.utf8.span) { add(raw.span, id) }
        }
    }

    private mutating func add(_ word: Span<UInt8>, _ id: Int) {
        table.insert(word)
        ids.append(Int32(id))
    }
}

extension MergeTable {
    /// Reads `merges`: pairs `["a", "b"]`, or in older files strings `"a b"`.
    ///
    /// - Parameters:
    ///   - field: the array.
    ///   - vocabulary: where the pieces must be.
    ///   - prefix: the continuation prefix, which the right piece loses when it is joined.
    /// - Throws: ``UserFacingError`` for what is no merge, or a piece that is missing.
    fileprivate init(
        _ field: TokenizerField, _ vocabulary: Vocabulary, prefix: [UInt8]
    ) throws(UserFacingError) {
        guard let merges = field.json?.array else { throw field.failure("an array of merges") }
        self.init(capacity: merges.count)
        var joined: [UInt8] = []
        for (index, merge) in merges.enumerated() {
            guard let (left, right) = pieces(of: merge) else {
                // A comment that older files begin with.
                if merge.string?.hasPrefix("#version") ?? false { continue }
                throw TokenizerField(file: field.file, path: "\(field.path)[\(index)]", json: merge)
                    .failure("two pieces")
            }
            func id(_ piece: Span<UInt8>) throws(UserFacingError) -> Int32 {
                if let id = vocabulary.modelID(of: piece) { return id }
                let text = String(decoding: Array(copying: piece), as: UTF8.self)
                throw .missingMergePiece(
                    file: field.file, index: index, merge: "\(left) \(right)", piece: text)
            }
            joined.removeAll(keepingCapacity: true)
            joined.append(contentsOf: left.utf8)
            joined.append(contentsOf: right.utf8.dropFirst(prefix.count))
            insert(
                try id(left.utf8.span), try id(right.utf8.span),
                Merge(rank: UInt32(index), id: try id(joined.span)))
        }
    }
}

private func pieces(of merge: JSON) -> (left: String, right: String)? {
    switch merge {
    case .array(let pair) where pair.count == 2:
        guard let left = pair[0].string, let right = pair[1].string else { return nil }
        return (left, right)
    case .string(let text):
        guard let space = text.utf8.firstIndex(of: UInt8(ascii: " ")) else { return nil }
        let right = text[text.utf8.index(after: space)...]
        guard !right.utf8.contains(UInt8(ascii: " ")) else { return nil }
        return (String(text[..<space]), String(right))
    default:
        return nil
    }
}
