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
    /// How many tokens of each source are shown at most, those before it began left out; nil where there is no end.
    let limits: [Int]?
    /// What had been shown of each source when it began.
    private var begun: [Int]
    private let names: [String]
    private let shares: [Double]
    private let isReplay: [Bool]
    private let length: Int
    private let packing: Packing
    /// How many tokens of one source stand side by side: a sequence's, or half of them.
    private let span: Int
    private var streams: [TokenStream]

    /// About how many tokens of a source are shuffled with each other.
    public static let blockSize = 1 << 20

    /// A mixture.
    ///
    /// - Parameters:
    ///   - sources: at least one, as ``SourceCache`` opens them.
    ///   - length: T.
    ///   - extent: where it ends.
    ///   - packing: what stands in a sequence, and what a token sees of it.
    ///   - seed: decides the order.
    ///   - blockSize: about how many tokens of a source are shuffled with each other.
    /// - Throws: ``UserFacingError`` when they can't be packed like this.
    public init(
        _ sources: [OpenedSource], length: Int, extent: DataExtent = .unlimited, packing: Packing,
        seed: UInt64, blockSize: Int = DataMixture.blockSize
    ) throws(UserFacingError) {
        precondition(!sources.isEmpty)
        try packing.check(sources: sources.count, length: length)
        let span = packing == .bilingual ? length / 2 : length
        let total = sources.reduce(0) { $0 + $1.source.weight }
        names = sources.map(\.source.name)
        shares = sources.map { $0.source.weight / total }
        isReplay = sources.map(\.source.isReplay)
        sizes = sources.map(\.size)
        limits = Self.limits(extent, shares: shares, sizes: sizes.map(\.tokens))
        begun = sources.map { _ in 0 }
        (self.length, self.packing, self.span) = (length, packing, span)
        streams = sources.enumerated().map { index, source in
            TokenStream(
                encoder: source.encoder, size: source.size, length: span,
                sequencesOfBlock: Self.sequencesOfBlock(span, blockSize), seed: seed, source: index)
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
        case .tokens(let tokens): return apportion(tokens, shares)
        }
    }

    /// Numbers in proportion to some shares that make a whole number together: by largest remainders.
    private static func apportion(_ whole: Int, _ shares: [Double]) -> [Int] {
        let exact = shares.map { $0 * Double(whole) }
        var parts = exact.map { Int($0) }
        let order = shares.indices.sorted { left, right in
            (exact[left] - Double(parts[left]), -left) > (exact[right] - Double(parts[right]), -right)
        }
        for index in 0..<whole - parts.reduce(0, +) { parts[order[index % order.count]] += 1 }
        return parts
    }

    /// How many sequences there are until the end.
    ///
    /// - Parameter earlier: what will have been shown before, where it goes on from another mixture.
    /// - Returns: the number; nil where there is no end.
    func sequenceCount(from earlier: [SourceProgress] = []) -> Int? {
        limits.map { limits in
            let spans = limits.indices.reduce(0) { sum, index in
                // What an earlier one has left of a span comes first, by itself.
                let before = earlier.isEmpty ? 0 : earlier[index].shown
                return sum + (before + limits[index] + span - 1) / span - before / span
            }
            return packing == .bilingual ? (spans + 1) / 2 : spans
        }
    }

    /// What will have been shown at the end, or about after so many tokens where there is none.
    ///
    /// - Parameters:
    ///   - tokens: how many are shown from the beginning on.
    ///   - earlier: what will have been shown before, where it goes on from another mixture.
    /// - Returns: the sources, with what was shown of them before.
    func progress(after tokens: Int, from earlier: [SourceProgress] = []) -> [SourceProgress] {
        let before = earlier.isEmpty ? names.map { _ in 0 } : earlier.map(\.shown)
        // Without an end all spans are whole, and of each source there are as many as its share of all makes.
        let spans = before.reduce(tokens / span) { $0 + $1 / span }
        let whole = Self.apportion(spans, shares).map { $0 * span }
        return names.indices.map { index in
            let shown = limits.map { before[index] + $0[index] } ?? max(before[index], whole[index])
            return SourceProgress(
                name: names[index], shown: shown, size: sizes[index].tokens,
                synthetic: sizes[index].synthetic.map {
                    Int((Double($0) * Double(shown) / Double(sizes[index].tokens)).rounded())
                })
        }
    }

    /// What was shown so far, by source.
    public var sources: [SourceProgress] {
        streams.indices.map { index in
            SourceProgress(
                name: names[index], shown: streams[index].shown, size: sizes[index].tokens,
                synthetic: streams[index].synthetic)
        }
    }

    /// The memory that it takes beside its sources': the order of documents, a block of each source, and its longest
    /// document as text and tokens.
    func byteCount(blockSize: Int = DataMixture.blockSize) -> Int {
        sizes.reduce(0) { sum, size in
            let block = min(size.tokens + span, Self.sequencesOfBlock(span, blockSize) * span + 1)
            return sum + 8 * size.documents + 4 * block + 16 * size.longest
        }
    }

    /// Where the data stands.
    public var position: DataPosition {
        DataPosition(sources: streams.map(\.position), begun: begun)
    }

    /// Goes on from where the data stood before.
    public mutating func move(to position: DataPosition) throws(UserFacingError) {
        guard position.sources.count == streams.count, position.begun.count == streams.count,
            zip(position.begun, position.sources).allSatisfy({ $0 >= 0 && $0 <= $1.shown })
        else { throw .badPosition(path: "the mixture") }
        for index in streams.indices { try streams[index].move(to: position.sources[index]) }
        begun = position.begun
    }

    /// Begins where another mixture of the same sources, weights, length and seed stands, as if it were that one.
    ///
    /// Shares and passes count on; tokens or passes until the end count from here.
    public mutating func begin(at position: DataPosition) throws(UserFacingError) {
        try move(to: position)
        begun = streams.map(\.shown)
    }

    /// The next sequences.
    public mutating func next(_ count: Int) throws(UserFacingError) -> TokenBatch {
        var batch = TokenBatch(batch: 0, sequenceLength: length, tokens: [], targets: [])
        var documents: [DocumentReference] = []
        var replayed: [Bool] = []
        for row in 0..<count {
            var (tokens, targets, starts): ([Int32], [Int32], [Int]) = ([], [], [0])
            var last: Int?
            for _ in 0..<length / span {
                guard let index = nextSource(beside: last) else { break }
                let sequence = try streams[index].next(limit: room(of: index))
                documents += sequence.documents.map {
                    DocumentReference(path: streams[index].encoder.path, number: $0.index + 1)
                }
                if packing == .documents { starts = sequence.documents.map(\.start) }
                tokens += sequence.tokens
                targets += sequence.targets
                replayed += repeatElement(isReplay[index], count: sequence.tokens.count)
                last = index
            }
            replayed += repeatElement(false, count: (row + 1) * length - replayed.count)
            // What fills a sequence repeats it, and what fills the batch its first one, so that experts are chosen as by
            // text; nothing sees it that is asked for.
            let own = tokens.isEmpty ? Array(batch.tokens.prefix(length)) : tokens
            if tokens.count < length { starts.append(tokens.count) }
            while tokens.count < length { tokens.append(own.isEmpty ? 0 : own[tokens.count % own.count]) }
            targets += [Int32](repeating: -1, count: length - targets.count)
            batch.append(tokens, targets: targets, attentionStart: firstVisible(starts))
        }
        (batch.documents, batch.isReplay) = (documents, replayed)
        return batch
    }

    /// The source that gives the next span: the one that is furthest behind its share.
    ///
    /// Beside a span of one source goes one of another that is behind its share. Only when the first source is still
    /// behind by a span and a half, as one with more than half of all tokens comes to be, does it take both: so its share
    /// is kept, and there are as many sequences of two sources as the shares allow.
    ///
    /// - Parameter first: the source that the sequence has already; nil where it has none.
    /// - Returns: its number; nil at the end.
    private func nextSource(beside first: Int?) -> Int? {
        let total = Double(streams.reduce(span) { $0 + $1.shown })
        let behind = shares.indices.filter { room(of: $0) > 0 }.map { index in
            (index: index, tokens: shares[index] * total - Double(streams[index].shown))
        }
        func furthest(_ sources: [(index: Int, tokens: Double)]) -> (index: Int, tokens: Double)? {
            // Of equals the first.
            sources.reduce(nil) { best, one in best.map { one.tokens > $0.tokens } ?? true ? one : best }
        }
        guard let next = furthest(behind) else { return nil }
        guard next.index == first, next.tokens < 1.5 * Double(span),
            let other = furthest(behind.filter { $0.index != first }), other.tokens > 0
        else { return next.index }
        return other.index
    }

    /// How many tokens of a source may be shown yet; a span's where there is no end.
    private func room(of index: Int) -> Int {
        limits.map { begun[index] + $0[index] - streams[index].shown } ?? span
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
