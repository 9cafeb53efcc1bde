internal import Formats

/// The tokens of one source, pass by pass, shuffled and cut into sequences.
///
/// A pass takes the documents in a new order and lays them end to end. Consecutive sequences make a block, whose order
/// is shuffled; so a long document does not fill a step, and memory holds a block. The sequence in which a pass ends is
/// filled from the next pass and stands last in its block, so every token is shown once before any is shown again.
struct TokenStream {
    /// Where the documents come from.
    let encoder: DocumentEncoder
    /// How much there is.
    let size: DataSize
    /// Tokens that were handed out.
    private(set) var shown = 0
    /// How many of them are of documents marked as synthetic; nil where no document is.
    private(set) var synthetic: Int?
    private let seed: UInt64
    private let source: Int
    private let length: Int
    private let sequencesOfBlock: Int
    private var block: Block
    /// The order of the pass that is read; nil before anything is.
    private var order: (pass: Int, documents: [UInt32])?
    /// The document that was read last, since a long one is read again for each block that it reaches into.
    private var read: (document: UInt32, tokens: [Int32])?

    /// A place between two tokens of all passes.
    private struct Place {
        var pass = 0
        /// Which document of the pass, in its order.
        var document = 0
        /// How many tokens of it lie before.
        var token = 0
    }

    private struct Block {
        /// Where its first token stands, and where the next block's does.
        var start = Place(), end = Place()
        /// The tokens of its sequences, and the one behind them.
        var tokens: [Int32] = []
        /// Where documents begin among the tokens, or go on at the very start, and which they are.
        var documents: [(start: Int, isWhole: Bool, index: Int)] = []
        /// Which sequences come one after the other, and how many of them were handed out.
        var order: [UInt32] = []
        var next = 0

        /// The first document that begins at a token or behind it.
        func firstDocument(notBefore token: Int) -> Int {
            var (low, high) = (0, documents.count)
            while low < high {
                let middle = (low + high) / 2
                if documents[middle].start < token { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// Some tokens, what follows each of them, and where documents begin.
    struct Sequence {
        var tokens: ArraySlice<Int32>
        /// Negative where nothing is predicted.
        var targets: [Int32]
        /// The positions at which documents begin, or go on at the very start, and which of the source they are.
        var documents: [(start: Int, index: Int)]
    }

    /// A stream at its beginning.
    ///
    /// - Parameters:
    ///   - encoder: where the documents come from.
    ///   - size: how much there is in it.
    ///   - length: tokens of a sequence.
    ///   - sequencesOfBlock: how many sequences are shuffled with each other.
    ///   - seed: decides all orders.
    ///   - source: the number of the source, so that no two of a mixture have the same order.
    init(
        encoder: DocumentEncoder, size: DataSize, length: Int, sequencesOfBlock: Int, seed: UInt64,
        source: Int
    ) {
        (self.encoder, self.size, self.length) = (encoder, size, length)
        (self.sequencesOfBlock, self.seed, self.source) = (sequencesOfBlock, seed, source)
        block = Block()
        synthetic = size.synthetic.map { _ in 0 }
    }

    /// Where the stream stands.
    var position: StreamPosition {
        let isAtEnd = block.next == block.order.count
        let place = isAtEnd ? block.end : block.start
        return StreamPosition(
            pass: place.pass, document: place.document, token: place.token,
            sequence: isAtEnd ? 0 : block.next, shown: shown, synthetic: synthetic)
    }

    /// Goes to a position that a stream of the same source and seed had.
    mutating func move(to position: StreamPosition) throws(UserFacingError) {
        let place = Place(pass: position.pass, document: position.document, token: position.token)
        guard place.pass >= 0, (0..<encoder.count).contains(place.document), place.token >= 0,
            position.shown >= 0
        else { throw .badPosition(path: encoder.path) }
        let tokens = try document(at: place).tokens.count
        guard place.token == 0 || place.token < tokens else { throw .badPosition(path: encoder.path) }
        block = try makeBlock(from: place)
        guard (0..<block.order.count).contains(position.sequence) else {
            throw .badPosition(path: encoder.path)
        }
        block.next = position.sequence
        shown = position.shown
        if synthetic != nil { synthetic = position.synthetic ?? 0 }
    }

    /// The next sequence, of at most `limit` tokens; what it leaves of them comes first the next time.
    mutating func next(limit: Int) throws(UserFacingError) -> Sequence {
        if block.next == block.order.count { block = try makeBlock(from: block.end) }
        let done = shown % length
        let first = Int(block.order[block.next]) * length + done
        let range = first..<first + min(length - done, limit)
        shown += range.count
        if shown % length == 0 { block.next += 1 }
        var targets = Array(block.tokens[range.lowerBound + 1..<range.upperBound + 1])
        var documents: [(start: Int, index: Int)] = []
        // The document that goes on at the start is the last one that begins at it or before.
        let inside = block.firstDocument(notBefore: range.lowerBound + 1)
        for document in block.documents[(inside - 1)...] {
            let start = document.start - range.lowerBound
            guard start <= range.count else { break }
            // Nothing predicts a start.
            if start > 0, document.isWhole { targets[start - 1] = -1 }
            if start < range.count { documents.append((max(0, start), document.index)) }
        }
        if let before = synthetic {
            let ends = documents.dropFirst().map(\.start) + [range.count]
            synthetic = zip(documents, ends).reduce(before) { sum, document in
                sum + (encoder.isSynthetic(document.0.index) ? document.1 - document.0.start : 0)
            }
        }
        return Sequence(tokens: block.tokens[range], targets: targets, documents: documents)
    }

    /// Reads and shuffles the sequences from a place on: as many as a block has, or those up to the end of the pass.
    private mutating func makeBlock(from start: Place) throws(UserFacingError) -> Block {
        var block = Block(start: start)
        var place = start
        var sequences = sequencesOfBlock
        var endsPass = false
        while true {
            let (index, tokens) = try document(at: place)
            if place.token < tokens.count {
                block.documents.append((block.tokens.count, place.token == 0, index))
                let part = min(tokens.count - place.token, sequences * length + 1 - block.tokens.count)
                block.tokens += tokens[place.token..<place.token + part]
                place.token += part
                if block.tokens.count == sequences * length + 1 { break }
            }
            place = Place(pass: place.pass, document: place.document + 1)
            if place.document == encoder.count {
                place = Place(pass: place.pass + 1)
                if !endsPass { sequences = max(1, (block.tokens.count + length - 1) / length) }
                endsPass = true
            }
        }
        // The token behind the last sequence is the first of the next block.
        place.token -= 1
        block.end = place
        var generator = generator(
            seed: seed, source: source,
            stream: UInt64(start.pass) << 48 ^ UInt64(start.document) << 32 ^ UInt64(start.token) ^ 0x5EED)
        block.order = permutation(of: endsPass ? sequences - 1 : sequences, from: &generator)
        if endsPass { block.order.append(UInt32(sequences - 1)) }
        return block
    }

    /// The document at a place: which of the source it is, and its tokens.
    private mutating func document(at place: Place) throws(UserFacingError) -> (index: Int, tokens: [Int32]) {
        let documents =
            order.flatMap { $0.pass == place.pass ? $0.documents : nil }
            ?? documentOrder(count: encoder.count, seed: seed, source: source, pass: place.pass)
        order = (place.pass, documents)
        let index = documents[place.document]
        if let read, read.document == index { return (Int(index), read.tokens) }
        let tokens = try encoder.tokens(Int(index))
        read = (index, tokens)
        return (Int(index), tokens)
    }
}
