/// Parts of sequences of tokens, in rows of one length that the model computes some at a time.
struct PackedWindows: Sendable {
    /// A part of a sequence that the model sees at once.
    struct Window: Sendable {
        /// Which sequence.
        let sequence: Int
        /// The tokens that go in; each predicts the one behind it.
        let input: Range<Int>
        /// The first of them whose prediction counts.
        let first: Int
    }

    /// The windows of each row.
    let rows: [[Window]]
    private let sequences: [[Int32]]
    private let length: Int

    /// Puts windows into rows, several in a row where they are short: the longest that is left, and then the shortest as
    /// long as they fit.
    init(_ windows: [Window], of sequences: [[Int32]], into length: Int) {
        let windows = windows.sorted {
            ($0.input.count, $0.sequence, $0.first) > ($1.input.count, $1.sequence, $1.first)
        }
        precondition(windows.allSatisfy { $0.input.count <= length }, "a window fits into a row")
        var rows: [[Window]] = []
        var (longest, shortest) = (0, windows.count - 1)
        while longest <= shortest {
            var row = [windows[longest]]
            var room = length - windows[longest].input.count
            longest += 1
            while longest <= shortest, windows[shortest].input.count <= room {
                room -= windows[shortest].input.count
                row.append(windows[shortest])
                shortest -= 1
            }
            rows.append(row)
        }
        self.rows = rows
        self.sequences = sequences
        self.length = length
    }

    /// Puts the windows over sequences into rows: each predicts as many tokens as fit into it, the last one the rest with as much
    /// context as fits, so that every token is predicted once.
    init(rolling sequences: [[Int32]], window: Int, into length: Int) {
        let windows = sequences.enumerated().flatMap { index, sequence in
            let predicted = sequence.count - 1
            return stride(from: 0, to: predicted, by: window).map { done in
                let end = min(done + window, predicted)
                return Window(sequence: index, input: max(0, end - window)..<end, first: done)
            }
        }
        self.init(windows, of: sequences, into: length)
    }

    /// The rows, `size` at once; the last batch is filled up with rows that ask for nothing.
    func batches(of size: Int) -> some Sequence<EvaluationBatch> {
        stride(from: 0, to: rows.count, by: size).lazy.map { start in
            var batch = EvaluationBatch(
                sequences: TokenBatch(batch: 0, sequenceLength: length, tokens: [], targets: []))
            for index in start..<start + size { append(index < rows.count ? rows[index] : [], to: &batch) }
            return batch
        }
    }

    /// Puts a row's windows beside each other; none sees another.
    private func append(_ row: [Window], to batch: inout EvaluationBatch) {
        let first = batch.sequences.batch * length
        var (tokens, targets, starts): ([Int32], [Int32], [Int32]) = ([], [], [])
        for window in row {
            let sequence = sequences[window.sequence]
            let start = tokens.count
            for place in window.input {
                tokens.append(sequence[place])
                targets.append(place < window.first ? -1 : sequence[place + 1])
                starts.append(Int32(start))
            }
            batch.windows.append((window, first + start..<first + tokens.count))
            batch.lasts.append(first + tokens.count - 1)
        }
        // What fills the row sees itself and is not asked for anything.
        for place in tokens.count..<length {
            tokens.append(0)
            targets.append(-1)
            starts.append(Int32(place))
        }
        batch.sequences.append(tokens, targets: targets, attentionStart: starts)
    }
}

/// Windows beside each other that are computed at once.
struct EvaluationBatch: Sendable {
    /// Their tokens; each is asked for once in all batches.
    var sequences: TokenBatch
    /// The rows that predict the end of a text.
    var ends: [Int] = []
    /// The last row of each window.
    var lasts: [Int] = []
    /// The windows, and the rows of each.
    var windows: [(window: PackedWindows.Window, rows: Range<Int>)] = []
}
