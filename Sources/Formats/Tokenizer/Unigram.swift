/// A unigram language model: of all ways to divide a word into pieces, the one whose pieces' scores have the
/// largest sum.
///
/// Source: Kudo 2018 (arXiv 1804.10959); ties, scores and unknown characters are treated as Hugging Face
/// tokenizers do.
struct Unigram: Sendable {
    private let vocabulary: Vocabulary
    private let isByteLevel: Bool
    private let pieces: ByteTrie
    /// The score of each piece, a logarithm of its probability.
    private let scores: [Double]
    /// The piece for characters that are none; nil when they are an error.
    let unknown: Int32?
    private let unknownScore: Double
    /// The tokens `<0x00>` … `<0xFF>`, -1 where one is missing; nil when bytes don't stand in for the unknown.
    private let byteTokens: [Int32]?
    private let file: String

    /// How much less an unknown character scores than the least piece.
    private static let penalty = 10.0

    /// Reads a `model` of the type Unigram.
    init(_ field: TokenizerField, vocabulary: Vocabulary, isByteLevel: Bool) throws(UserFacingError) {
        let list = field["vocab"]
        guard let vocab = list.json?.array else { throw list.failure("an array of pieces and their scores") }
        var pieces = ByteTrie()
        var scores: [Double] = []
        scores.reserveCapacity(vocab.count)
        for (index, entry) in vocab.enumerated() {
            guard let text = entry[0]?.string, case .number(let score)? = entry[1], entry[2] == nil else {
                throw TokenizerField(file: field.file, path: "\(list.path)[\(index)]", json: entry)
                    .failure("a piece and its score")
            }
            scores.append(score.asReferenceReads)
            if !text.isEmpty { pieces.insert(text.utf8.span, value: Int32(index)) }
        }
        let unknown = try field["unk_id"].ifPresent?.id()
        if let unknown, unknown >= scores.count {
            throw field["unk_id"].failure("the id of one of the \(scores.count) pieces")
        }
        self.pieces = pieces
        self.unknown = unknown
        unknownScore = (scores.min() ?? .infinity) - Self.penalty
        self.scores = scores
        self.vocabulary = vocabulary
        self.isByteLevel = isByteLevel
        file = field.file
        byteTokens = try field["byte_fallback"].bool(default: false) ? vocabulary.byteTokens : nil
    }

    /// Appends the ids of a word.
    func encode(
        _ word: Span<UInt8>, into ids: inout [Int32], _ path: inout BestPath, _ spelled: inout [UInt8]
    ) throws(UserFacingError) {
        guard isByteLevel else { return try divide(word, into: &ids, &path) }
        spelled.removeAll(keepingCapacity: true)
        ByteAlphabet.encode(word, into: &spelled)
        try divide(spelled.span, into: &ids, &path)
    }

    private func divide(
        _ word: Span<UInt8>, into ids: inout [Int32], _ path: inout BestPath
    ) throws(UserFacingError) {
        path.begin(count: word.count)
        var start = 0
        while start < word.count {
            let (_, length) = word.scalar(at: start)
            var isPiece = false
            pieces.forEachPrefix(of: word, from: start) { end, piece in
                path.offer(start..<end, Int32(piece), score: scores[piece])
                if end - start == length { isPiece = true }
            }
            if !isPiece, path.offer(start..<(start + length), unknown ?? -1, score: unknownScore),
                unknown == nil
            {
                let text = String(decoding: Array(copying: word), as: UTF8.self)
                throw .noUnknownToken(file: file, text: text, key: "model.unk_id")
            }
            start += length
        }
        path.trace(unknown: unknown ?? -1) { range, id in
            if id == unknown {
                appendUnknown(word.extracting(range), to: &ids)
            } else {
                ids.append(id)
            }
        }
    }

    /// Appends the ids of a run of unknown characters, which joined may be a piece after all.
    private func appendUnknown(_ text: Span<UInt8>, to ids: inout [Int32]) {
        if let id = vocabulary.modelID(of: text) {
            ids.append(id)
        } else if let byteTokens, text.indices.allSatisfy({ byteTokens[Int(text[$0])] >= 0 }) {
            for index in text.indices { ids.append(byteTokens[Int(text[index])]) }
        } else if let unknown {
            ids.append(unknown)
        }
    }
}

extension JSONNumber {
    /// The number as Rust's `serde_json` reads it, which may be the second nearest double.
    ///
    /// It divides the digits, rounded to a double, by a power of ten, so that the result is rounded twice. That
    /// decides between ways to divide a word whose scores have the same sum.
    var asReferenceReads: Double {
        var digits: UInt64 = 0
        var exponent = 0
        var rest = text.utf8[...]
        let isNegative = rest.first == UInt8(ascii: "-")
        if isNegative { rest.removeFirst() }
        var isFraction = false
        while let byte = rest.first, byte != UInt8(ascii: "e"), byte != UInt8(ascii: "E") {
            rest.removeFirst()
            if byte == UInt8(ascii: ".") {
                isFraction = true
                continue
            }
            let (product, isTooLarge) = digits.multipliedReportingOverflow(by: 10)
            let (sum, overflow) = product.addingReportingOverflow(UInt64(byte - UInt8(ascii: "0")))
            guard !isTooLarge, !overflow else {
                if isFraction { continue }  // further digits are dropped
                return double
            }
            digits = sum
            if isFraction { exponent -= 1 }
        }
        exponent += Int(String(rest.dropFirst()) ?? "") ?? 0
        guard (-308...308).contains(exponent), let power = Double("1e\(abs(exponent))") else { return double }
        let value = exponent < 0 ? Double(digits) / power : Double(digits) * power
        return isNegative ? -value : value
    }
}
