public import Formats

/// Text and its share of a mixture.
public struct TextSource: Sendable, Equatable {
    /// What reports call it.
    public var name: String
    /// A file of text, a folder or a pattern of such, a pipe, `-` for standard input, or tokens that ``Tokenization``
    /// packed into a `.safetensors` file.
    public var path: String
    /// Its share, relative to the other sources'; above zero.
    public var weight: Double
    /// Whether it holds what the model was trained on before.
    public var isReplay: Bool

    /// A source of text, called by its path unless it has a name.
    public init(name: String? = nil, path: String, weight: Double, isReplay: Bool = false) {
        self.name = name ?? path
        self.path = path
        self.weight = weight
        self.isReplay = isReplay
    }
}

/// Sequences from several files of text, in exact proportion to their weights.
///
/// Documents are laid end to end and cut into sequences. A sequence of T tokens predicts T tokens: its own but
/// the first, and the one after. A document's last token predicts the next document's first, which is how the
/// model learns where texts end.
public struct DataMixture: TrainingData {
    private let weights: [Double]
    private let length: Int
    private let isolatesDocuments: Bool
    /// What there is to know of the texts, a sentence each.
    public let warnings: [String]
    /// What is in each source.
    let contents: [TextContent]
    private var streams: [TokenStream]
    private var taken: [Int]

    /// A mixture.
    ///
    /// - Parameters:
    ///   - sources: at least one.
    ///   - options: how documents are read.
    ///   - tokenizer: the model's.
    ///   - rows: rows of the model's embedding.
    ///   - endOfText: the token that ends a text, used where the tokenizer marks neither start nor end.
    ///   - length: T.
    ///   - isolatesDocuments: whether a token sees only its own document.
    ///   - seed: decides the documents' order.
    ///   - lanes: how many documents of a source are read in turn.
    /// - Throws: ``UserFacingError`` naming the file and the line that cannot be read.
    public init(
        _ sources: [TextSource], options: TextOptions = TextOptions(), tokenizer: Tokenizer, rows: Int,
        endOfText: Int?, length: Int,
        isolatesDocuments: Bool, seed: UInt64, lanes: Int = 64
    ) throws(UserFacingError) {
        precondition(!sources.isEmpty)
        let tokenizer = tokenizer.reading(options)
        let separator = try DocumentEncoder.separator(of: tokenizer, endOfText: endOfText)
        streams = []
        var (warnings, contents): ([String], [TextContent]) = ([], [])
        for (index, source) in sources.enumerated() {
            guard source.weight > 0, source.weight.isFinite else {
                throw .badWeight(path: source.path, weight: source.weight)
            }
            let encoder = try DocumentEncoder(
                path: source.path, options: options, tokenizer: tokenizer, rows: rows, separator: separator)
            warnings += encoder.warnings
            contents.append(try encoder.content())
            streams.append(try TokenStream(encoder: encoder, seed: seed, source: index, lanes: lanes))
        }
        self.warnings = warnings
        self.contents = contents
        let total = sources.reduce(0) { $0 + $1.weight }
        weights = sources.map { $0.weight / total }
        taken = [Int](repeating: 0, count: sources.count)
        self.length = length
        self.isolatesDocuments = isolatesDocuments
    }

    /// Where the data stands.
    public var position: DataPosition { DataPosition(taken: taken, streams: streams.map(\.position)) }

    /// Goes on from where the data stood before.
    public mutating func move(to position: DataPosition) throws(UserFacingError) {
        guard position.taken.count == streams.count, position.streams.count == streams.count,
            position.taken.allSatisfy({ $0 >= 0 })
        else { throw .badPosition(path: "the mixture") }
        taken = position.taken
        for index in streams.indices { try streams[index].move(to: position.streams[index]) }
    }

    /// The next sequences.
    public mutating func next(_ count: Int) throws(UserFacingError) -> TokenBatch {
        var tokens: [Int32] = []
        var targets: [Int32] = []
        var first: [Int32] = []
        var documents: [DocumentReference] = []
        for _ in 0..<count {
            let source = takeSource()
            let sequence = try streams[source].next(length + 1)
            documents += sequence.documents.map {
                DocumentReference(path: streams[source].encoder.path, number: $0 + 1)
            }
            tokens += sequence.tokens.dropLast()
            targets += sequence.tokens.dropFirst()
            first += isolatesDocuments ? firstVisible(sequence.starts) : [Int32](repeating: 0, count: length)
        }
        var batch = TokenBatch(batch: count, sequenceLength: length, tokens: tokens, targets: targets)
        batch.attentionStart = first
        batch.documents = documents
        return batch
    }

    /// The source that is furthest behind its share, which gets the next sequence.
    private mutating func takeSource() -> Int {
        let total = Double(taken.reduce(0, +) + 1)
        var chosen = 0
        var behind = -Double.infinity
        for index in weights.indices {
            let lag = weights[index] * total - Double(taken[index])
            if lag > behind { (chosen, behind) = (index, lag) }
        }
        taken[chosen] += 1
        return chosen
    }

    /// The first position that each of a sequence's tokens sees, given where documents begin in it.
    private func firstVisible(_ starts: [Int]) -> [Int32] {
        var first = [Int32](repeating: 0, count: length)
        for (index, start) in starts.enumerated() where start < length {
            let end = index + 1 < starts.count ? min(starts[index + 1], length) : length
            for position in start..<end { first[position] = Int32(start) }
        }
        return first
    }
}
