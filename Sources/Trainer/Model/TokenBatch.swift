/// Sequences of tokens and what should follow each.
public struct TokenBatch: Sendable, Equatable {
    /// How many sequences.
    public let batch: Int
    /// How many tokens each has.
    public let time: Int
    /// The tokens: (B, T).
    public var tokens: [Int32]
    /// The token that should follow each: (B, T); negative where none is asked for.
    public var targets: [Int32]
    /// The first position of its sequence that each token may see: (B, T).
    public var first: [Int32]

    /// How many targets there are.
    public var targetCount: Int { targets.count { $0 >= 0 } }

    /// Sequences whose tokens see all that stands before them.
    public init(batch: Int, time: Int, tokens: [Int32], targets: [Int32]) {
        precondition(tokens.count == batch * time && targets.count == batch * time)
        self.batch = batch
        self.time = time
        self.tokens = tokens
        self.targets = targets
        first = [Int32](repeating: 0, count: batch * time)
    }

    /// Rows of `time` tokens that predict their own continuation; the last token of a row predicts nothing.
    public init(rows: ArraySlice<Int32>, time: Int) {
        var targets: [Int32] = []
        targets.reserveCapacity(rows.count)
        for index in rows.indices {
            let last = (index - rows.startIndex) % time == time - 1
            targets.append(last ? -1 : rows[index + 1])
        }
        self.init(batch: rows.count / time, time: time, tokens: Array(rows), targets: targets)
    }
}
