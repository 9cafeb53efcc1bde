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
    init(_ field: TokenizerField, vocabulary: Vocabulary, isByteLevel: Bool) throws(TokenizerError) {
        let list = field["vocab"]
        guard let vocab = list.json?.array else { throw list.failure("an array of pieces and their scores") }
        var pieces = ByteTrie()
        var scores: [Double] = []
        scores.reserveCapacity(vocab.count)
        for (index, entry) in vocab.enumerated() {
            guard let text = entry[0]?.string, let score = entry[1]?.double, entry[2] == nil else {
                throw TokenizerField(file: field.file, path: "\(list.path)[\(index)]", json: entry)
                    .failure("a piece and its score")
            }
            scores.append(score)
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
    ) throws(TokenizerError) {
        guard isByteLevel else { return try divide(word, into: &ids, &path) }
        spelled.removeAll(keepingCapacity: true)
        ByteAlphabet.encode(word, into: &spelled)
        try divide(spelled.span, into: &ids, &path)
    }

    private func divide(
        _ word: Span<UInt8>, into ids: inout [Int32], _ path: inout BestPath
    ) throws(TokenizerError) {
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
                throw .noUnknown(file: file, text: text, key: "model.unk_id")
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

/// For each place of a word the best way to get there: its last piece, and the sum of all its scores.
struct BestPath: Sendable {
    private struct Place: Sendable {
        var score = 0.0
        /// Where the last piece begins; -1 before there is any way.
        var start: Int32 = -1
        var id: Int32 = -1
    }

    private var places: [Place] = []
    private var pieces: [(range: Range<Int>, id: Int32)] = []

    /// Begins with a word of so many bytes.
    mutating func begin(count: Int) {
        places.removeAll(keepingCapacity: true)
        places.append(contentsOf: repeatElement(Place(), count: count + 1))
    }

    /// Takes a piece when it is the best way to its end, and tells whether it is; of equal ways the first
    /// stays.
    @inline(__always)
    @discardableResult
    mutating func offer(_ range: Range<Int>, _ id: Int32, score: Double) -> Bool {
        let total = score + places[range.lowerBound].score
        let end = range.upperBound
        guard places[end].start < 0 || total > places[end].score else { return false }
        places[end] = Place(score: total, start: Int32(range.lowerBound), id: id)
        return true
    }

    /// Gives the pieces of the best way from left to right, runs of the unknown one as one.
    mutating func trace(unknown: Int32, _ body: (Range<Int>, Int32) -> Void) {
        pieces.removeAll(keepingCapacity: true)
        var end = places.count - 1
        while end > 0 {
            let place = places[end]
            let start = Int(place.start)
            if place.id == unknown, let last = pieces.last, last.id == unknown {
                pieces[pieces.count - 1].range = start..<last.range.upperBound
            } else {
                pieces.append((start..<end, place.id))
            }
            end = start
        }
        for piece in pieces.reversed() { body(piece.range, piece.id) }
    }
}
