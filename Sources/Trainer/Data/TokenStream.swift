internal import Formats

/// The tokens of a file's documents, one document after the other, in a new order each pass, for ever.
///
/// Documents are encoded when they are reached, so that opening is quick, memory does not grow with the file,
/// and going on at a position costs one document.
struct TokenStream {
    /// Where the stream stands.
    private(set) var position = StreamPosition()
    private let encoder: DocumentEncoder
    private let seed: UInt64
    private let source: Int
    private var order: [UInt32]
    private var tokens: [Int32] = []

    init(encoder: DocumentEncoder, seed: UInt64, source: Int) {
        self.encoder = encoder
        self.seed = seed
        self.source = source
        order = documentOrder(count: encoder.file.count, seed: seed, source: source, epoch: 0)
    }

    /// Goes to a position that this stream had before.
    mutating func move(to position: StreamPosition) throws(DataError) {
        self.position = position
        order = documentOrder(count: encoder.file.count, seed: seed, source: source, epoch: position.epoch)
        tokens = position.document == 0 ? [] : try encoder.tokens(Int(order[position.document - 1]))
    }

    /// The next `count` tokens, and the positions among them at which documents begin.
    ///
    /// The last of them is left for the next call, since nothing has been predicted from it.
    mutating func next(_ count: Int) throws(DataError) -> (tokens: [Int32], starts: [Int]) {
        var taken: [Int32] = []
        var starts: [Int] = []
        taken.reserveCapacity(count)
        while taken.count < count {
            if position.token == tokens.count { try advance() }
            if position.token == 0 { starts.append(taken.count) }
            let part = min(count - taken.count, tokens.count - position.token)
            taken += tokens[position.token..<position.token + part]
            position.token += part
        }
        position.token -= 1
        return (taken, starts)
    }

    /// Goes to the next document that has tokens.
    private mutating func advance() throws(DataError) {
        repeat {
            if position.document == order.count {
                position.epoch += 1
                position.document = 0
                order = documentOrder(
                    count: encoder.file.count, seed: seed, source: source, epoch: position.epoch)
            }
            tokens = try encoder.tokens(Int(order[position.document]))
            position.document += 1
            position.token = 0
        } while tokens.isEmpty
    }
}
