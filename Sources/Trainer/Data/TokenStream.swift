internal import Formats

/// The tokens of a file's documents, in a new order each pass, for ever.
///
/// Sequences are taken from several documents in turn, each read in a lane of its own, so that the sequences of one
/// step do not all come from the same long document. Documents are encoded when they are reached: opening is
/// quick, memory holds one document a lane, and going on at a position costs no more than encoding those.
struct TokenStream {
    let encoder: DocumentEncoder
    private let seed: UInt64
    private let source: Int
    private var lanes: [Lane]
    private var next: Int
    private var turn = 0
    /// The order of the pass that was asked for last.
    private var order: (epoch: Int, documents: [UInt32])

    private struct Lane {
        var document: Int
        /// Which document of the file it is.
        var index: Int
        var token: Int
        var tokens: [Int32]
    }

    /// A stream at its beginning.
    init(encoder: DocumentEncoder, seed: UInt64, source: Int, lanes: Int) throws(UserFacingError) {
        self.encoder = encoder
        self.seed = seed
        self.source = source
        order = (0, documentOrder(count: encoder.count, seed: seed, source: source, epoch: 0))
        self.lanes = []
        next = 0
        for _ in 0..<min(lanes, encoder.count) {
            self.lanes.append(Lane(document: 0, index: 0, token: 0, tokens: []))
            try advance(self.lanes.count - 1)
        }
    }

    /// Where the stream stands.
    var position: StreamPosition {
        StreamPosition(
            next: next, turn: turn, lanes: lanes.map { .init(document: $0.document, token: $0.token) })
    }

    /// Goes to a position that a stream of the same file and seed had.
    mutating func move(to position: StreamPosition) throws(UserFacingError) {
        guard position.lanes.count == lanes.count, position.turn >= 0, position.next >= 0 else {
            throw .badPosition(path: encoder.path)
        }
        for (number, lane) in position.lanes.enumerated() {
            guard lane.document >= 0, lane.document < position.next else {
                throw .badPosition(path: encoder.path)
            }
            let (index, tokens) = try tokens(of: lane.document)
            guard lane.token >= 0, lane.token < tokens.count else {
                throw .badPosition(path: encoder.path)
            }
            lanes[number] = Lane(
                document: lane.document, index: index, token: lane.token, tokens: tokens)
        }
        next = position.next
        turn = position.turn
    }

    /// The next `count` tokens of one document and those after it, and the positions at which documents begin.
    ///
    /// The last of them is left for the lane's next turn, since nothing has been predicted from it.
    mutating func next(
        _ count: Int
    ) throws(UserFacingError) -> (tokens: [Int32], starts: [Int], documents: [Int]) {
        let index = turn % lanes.count
        turn += 1
        var taken: [Int32] = []
        var starts: [Int] = []
        var documents: [Int] = []
        taken.reserveCapacity(count)
        while taken.count < count {
            if lanes[index].token == lanes[index].tokens.count { try advance(index) }
            let lane = lanes[index]
            if lane.token == 0 { starts.append(taken.count) }
            let part = min(count - taken.count, lane.tokens.count - lane.token)
            documents.append(lane.index)
            taken += lane.tokens[lane.token..<lane.token + part]
            lanes[index].token += part
        }
        lanes[index].token -= 1
        return (taken, starts, documents)
    }

    /// Lets a lane begin the next document that has tokens.
    private mutating func advance(_ index: Int) throws(UserFacingError) {
        for _ in 0..<encoder.count {
            let (place, tokens) = try tokens(of: next)
            lanes[index] = Lane(document: next, index: place, token: 0, tokens: tokens)
            next += 1
            if !lanes[index].tokens.isEmpty { return }
        }
        throw .noTokens(path: encoder.path)
    }

    /// A document, counted over all passes: which of the file it is, and its tokens.
    private mutating func tokens(
        of document: Int
    ) throws(UserFacingError) -> (index: Int, tokens: [Int32]) {
        let (epoch, place) = document.quotientAndRemainder(dividingBy: encoder.count)
        if order.epoch != epoch {
            let documents = documentOrder(count: encoder.count, seed: seed, source: source, epoch: epoch)
            order = (epoch, documents)
        }
        let index = Int(order.documents[place])
        return (index, try encoder.tokens(index))
    }
}
