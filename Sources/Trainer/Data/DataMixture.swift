public import Formats

/// How long a run reads a mixture.
public enum DataExtent: Sendable, Equatable {
    /// Without an end.
    case unlimited
    /// So many tokens, starts and ends included.
    case tokens(Int)
    /// Until each source was shown so many times, the others going on at their shares.
    case passes(Int)
}

/// Sequences from several sources of text, in exact proportion to their weights.
///
/// A sequence of T tokens predicts what follows each of them, but never a document's start. So a pass predicts every
/// token but the starts once, the ends of texts included.
public struct DataMixture: TrainingData {
    /// What one pass over each source would show.
    let sizes: [DataSize]
    /// How many tokens of each source are shown at most; nil where there is no end.
    let limits: [Int]?
    private let names: [String]
    private let shares: [Double]
    private let length: Int
    private let isolatesDocuments: Bool
    private var streams: [TokenStream]

    /// About how many tokens of a source are shuffled with each other.
    public static let blockSize = 1 << 20

    /// A mixture.
    ///
    /// - Parameters:
    ///   - sources: at least one, as ``SourceCache`` opens them.
    ///   - length: T.
    ///   - extent: where it ends.
    ///   - isolatesDocuments: whether a token sees only its own document.
    ///   - seed: decides the order.
    ///   - blockSize: about how many tokens of a source are shuffled with each other.
    public init(
        _ sources: [OpenedSource], length: Int, extent: DataExtent = .unlimited, isolatesDocuments: Bool,
        seed: UInt64, blockSize: Int = DataMixture.blockSize
    ) {
        precondition(!sources.isEmpty)
        let total = sources.reduce(0) { $0 + $1.source.weight }
        names = sources.map(\.source.name)
        shares = sources.map { $0.source.weight / total }
        sizes = sources.map(\.size)
        limits = Self.limits(extent, shares: shares, sizes: sizes.map(\.tokens))
        self.length = length
        self.isolatesDocuments = isolatesDocuments
        streams = sources.enumerated().map { index, source in
            TokenStream(
                encoder: source.encoder, size: source.size, length: length,
                sequencesOfBlock: Self.sequencesOfBlock(length, blockSize), seed: seed, source: index)
        }
    }

    /// How many sequences are shuffled with each other; enough for a step's to be of several documents.
    private static func sequencesOfBlock(_ length: Int, _ blockSize: Int) -> Int {
        blockSize == Self.blockSize ? max(64, blockSize / length) : max(1, blockSize / length)
    }

    /// How many tokens of each source an extent shows; together exactly as many as are asked for.
    private static func limits(_ extent: DataExtent, shares: [Double], sizes: [Int]) -> [Int]? {
        switch extent {
        case .unlimited: return nil
        case .passes(let passes):
            let total = zip(shares, sizes).reduce(0) { max($0, Double(passes * $1.1) / $1.0) }
            // The source that takes longest is shown to its last token, whatever its share is rounded to.
            return zip(shares, sizes).map { share, size in
                max(passes * size, Int((share * total).rounded()))
            }
        case .tokens(let tokens):
            var limits = shares.map { Int($0 * Double(tokens)) }
            let rest = tokens - limits.reduce(0, +)
            let order = shares.indices.sorted { left, right in
                let (a, b) = (shares[left] * Double(tokens), shares[right] * Double(tokens))
                return (a - Double(limits[left]), -left) > (b - Double(limits[right]), -right)
            }
            for index in 0..<rest { limits[order[index % order.count]] += 1 }
            return limits
        }
    }

    /// How many sequences there are until the end; nil where there is none.
    var sequenceCount: Int? {
        limits.map { limits in limits.reduce(0) { $0 + ($1 + length - 1) / length } }
    }

    /// What will have been shown after so many tokens in all, or at the end.
    func progress(after tokens: Int) -> [SourceProgress] {
        names.indices.map { index in
            SourceProgress(
                name: names[index], shown: limits?[index] ?? Int((shares[index] * Double(tokens)).rounded()),
                size: sizes[index].tokens)
        }
    }

    /// What was shown so far, by source.
    public var sources: [SourceProgress] {
        streams.indices.map { index in
            SourceProgress(name: names[index], shown: streams[index].shown, size: sizes[index].tokens)
        }
    }

    /// The memory that it takes beside its sources': the order of documents, a block of each source, and its longest
    /// document as text and tokens.
    func byteCount(blockSize: Int = DataMixture.blockSize) -> Int {
        sizes.reduce(0) { sum, size in
            let block = min(size.tokens + length, Self.sequencesOfBlock(length, blockSize) * length + 1)
            return sum + 8 * size.documents + 4 * block + 16 * size.longest
        }
    }

    /// Where the data stands.
    public var position: DataPosition { DataPosition(sources: streams.map(\.position)) }

    /// Goes on from where the data stood before.
    public mutating func move(to position: DataPosition) throws(UserFacingError) {
        guard position.sources.count == streams.count else { throw .badPosition(path: "the mixture") }
        for index in streams.indices { try streams[index].move(to: position.sources[index]) }
    }

    /// The next sequences.
    public mutating func next(_ count: Int) throws(UserFacingError) -> TokenBatch {
        var batch = TokenBatch(batch: 0, sequenceLength: length, tokens: [], targets: [])
        var documents: [DocumentReference] = []
        for _ in 0..<count {
            guard let index = nextSource() else {
                // What fills the batch repeats its first sequence, so that experts are chosen as by text.
                batch.append(
                    batch.tokens.isEmpty
                        ? [Int32](repeating: 0, count: length) : Array(batch.tokens[..<length]),
                    targets: [Int32](repeating: -1, count: length),
                    attentionStart: [Int32](repeating: 0, count: length))
                continue
            }
            let limit = (limits?[index]).map { $0 - streams[index].shown } ?? length
            let sequence = try streams[index].next(limit: limit)
            documents += sequence.documents.map {
                DocumentReference(path: streams[index].encoder.path, number: $0.index + 1)
            }
            var (tokens, targets) = (Array(sequence.tokens), sequence.targets)
            var starts = isolatesDocuments ? sequence.documents.map(\.start) : [0]
            if tokens.count < length {
                starts.append(tokens.count)
                let own = tokens
                while tokens.count < length { tokens.append(own[tokens.count % own.count]) }
                targets += [Int32](repeating: -1, count: length - own.count)
            }
            batch.append(tokens, targets: targets, attentionStart: firstVisible(starts))
        }
        batch.documents = documents
        return batch
    }

    /// The source that is furthest behind its share, which gives the next sequence; nil at the end.
    private func nextSource() -> Int? {
        let total = Double(streams.reduce(0) { $0 + $1.shown } + length)
        var chosen: Int?
        var furthest = -Double.infinity
        for index in shares.indices where limits.map({ streams[index].shown < $0[index] }) ?? true {
            let behind = shares[index] * total - Double(streams[index].shown)
            if behind > furthest { (chosen, furthest) = (index, behind) }
        }
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
