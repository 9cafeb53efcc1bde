/// Sequences of tokens and what should follow each.
public struct TokenBatch: Sendable, Equatable {
    /// How many sequences.
    public private(set) var batch: Int
    /// How many tokens each has.
    public let sequenceLength: Int
    /// The tokens: (B, T).
    public var tokens: [Int32]
    /// The token that should follow each: (B, T); negative where none is asked for.
    public var targets: [Int32]
    /// The first position of its sequence that each token may see: (B, T).
    public var attentionStart: [Int32]
    /// Whether a token's position is its place in the row, in place of that in what it sees.
    public var countsPositionsFromRowStart = false
    /// Whether each token is of the model's original domain: (B, T); empty where nothing is known of that.
    public var isReplay: [Bool] = []
    /// The same text in the tokens that the model had before; nil where it is read once.
    public var old: OldTokens?
    /// The documents that the tokens are of, for messages.
    public var documents: [DocumentReference] = []

    /// How many targets there are.
    public var targetCount: Int { targets.count { $0 >= 0 } }

    /// Sequences whose tokens see all that stands before them.
    public init(batch: Int, sequenceLength: Int, tokens: [Int32], targets: [Int32]) {
        precondition(tokens.count == batch * sequenceLength && targets.count == batch * sequenceLength)
        self.batch = batch
        self.sequenceLength = sequenceLength
        self.tokens = tokens
        self.targets = targets
        attentionStart = [Int32](repeating: 0, count: batch * sequenceLength)
    }

    /// Adds a sequence.
    mutating func append(_ tokens: [Int32], targets: [Int32], attentionStart: [Int32]) {
        precondition([tokens, targets, attentionStart].allSatisfy { $0.count == sequenceLength })
        batch += 1
        self.tokens += tokens
        self.targets += targets
        self.attentionStart += attentionStart
    }

    /// Rows of `sequenceLength` tokens that predict their own continuation; the last token of a row predicts nothing.
    public init(rows: ArraySlice<Int32>, sequenceLength: Int) {
        var targets: [Int32] = []
        targets.reserveCapacity(rows.count)
        for index in rows.indices {
            let last = (index - rows.startIndex) % sequenceLength == sequenceLength - 1
            targets.append(last ? -1 : rows[index + 1])
        }
        self.init(
            batch: rows.count / sequenceLength, sequenceLength: sequenceLength, tokens: Array(rows),
            targets: targets)
    }

    /// The position of each token, from 0, in its document or in its row: (B, T).
    var positions: [Int32] {
        attentionStart.enumerated().map { row, start in
            Int32(row % sequenceLength) - (countsPositionsFromRowStart ? 0 : start)
        }
    }

    /// How many tokens the longest document has.
    var longestDocument: Int { Int(positions.max() ?? -1) + 1 }
}

/// A document of the data, named for messages.
public struct DocumentReference: Sendable, Hashable {
    /// The file.
    public let path: String
    /// Which of its documents, or rows, from 1.
    public let number: Int

    /// A document by its place in a file.
    public init(path: String, number: Int) {
        self.path = path
        self.number = number
    }

    /// What messages call some documents: each file once, with the numbers in it, at most eight.
    static func list(_ documents: [DocumentReference]) -> String {
        var paths: [String] = []
        for document in documents where !paths.contains(document.path) { paths.append(document.path) }
        return paths.map { path in
            let numbers = Set(documents.lazy.filter { $0.path == path }.map(\.number)).sorted()
            let more = numbers.count > 8 ? " and \(numbers.count - 8) more" : ""
            return path + " " + numbers.prefix(8).map(String.init).joined(separator: ", ") + more
        }.joined(separator: "; ")
    }
}
