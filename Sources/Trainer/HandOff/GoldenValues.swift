internal import Formats
internal import Models

/// What the trainer itself makes of the first step's sequences, which a framework's model is compared with.
struct GoldenValues {
    /// The sequences: (R, 3, T).
    var rows: [PlannedSequences.Row] = []
    /// The cross entropy of each token in nats, 0 where nothing is asked for: (R, T).
    var losses: [[Float]] = []
    /// Places of the first sequence, and the logits there: (P, V).
    var positions: [Int] = [], logits: [[Float]] = []

    /// How many places have logits.
    private static let places = 8

    /// Computes some sequences of a plan, one after the other.
    ///
    /// - Parameters:
    ///   - plan: what is handed over.
    ///   - model: what it begins with.
    ///   - count: how many of the first step's sequences.
    ///   - threads: how many compute.
    ///   - isCancelled: asked before each sequence; true stops.
    ///   - progress: told how many sequences are done, of all.
    /// - Throws: a `UserFacingError` when the model can't be read, is too large, or it was stopped.
    init(
        _ plan: HandOffPlan, _ model: PretrainedModel, count: Int, threads: Int, isCancelled: () -> Bool,
        progress: (Int, Int) -> Void
    ) throws {
        let length = plan.sequences.length
        let engine = try DefaultEngine(threads: threads)
        let transformer = try model.evaluated(batch: 1, length: length, on: engine, isCancelled: isCancelled)
        positions = (0..<min(Self.places, length)).map {
            $0 * (length - 1) / max(1, min(Self.places, length) - 1)
        }
        let vocabulary = model.architecture.vocabularySize
        for index in 0..<count {
            if isCancelled() { throw UserFacingError.interrupted("; nothing is kept") }
            progress(index, count)
            let row = try plan.sequences.row(index)
            var batch = TokenBatch(batch: 1, sequenceLength: length, tokens: row.tokens, targets: row.targets)
            batch.attentionStart = row.starts
            batch.countsPositionsFromRowStart = plan.stage.countsFromRow
            var wanted = index == 0 ? positions[...] : []
            var logits: [[Float]] = []
            _ = transformer.loss(batch) { rows, block in
                while let place = wanted.first, rows.contains(place) {
                    var values = [Float](repeating: 0, count: vocabulary)
                    var span = values.mutableSpan
                    let start = (place - rows.lowerBound) * vocabulary
                    engine.download(block[start..<start + vocabulary], to: &span)
                    logits.append(values)
                    wanted.removeFirst()
                }
            }
            if index == 0 { self.logits = logits }
            rows.append(row)
            losses.append(transformer.rowLosses())
        }
    }

    /// The mean loss of the targets, in nats.
    var loss: Double {
        let targets = rows.reduce(0) { $0 + $1.targets.count { $0 >= 0 } }
        return losses.reduce(0) { $0 + $1.reduce(0) { $0 + Double($1) } } / Double(max(1, targets))
    }

    /// Writes `golden.safetensors`: `losses`, `logits`, `positions`, `rows`.
    func write(to path: String) throws(UserFacingError) {
        let (count, length) = (rows.count, rows.first?.tokens.count ?? 0)
        let file = try SafetensorsStream(
            path: path,
            [
                .init("logits", .f32, shape: [logits.count, logits.first?.count ?? 0]),
                .init("losses", .f32, shape: [count, length]),
                .init("positions", .i32, shape: [positions.count]),
                .init("rows", .i32, shape: [count, 3, length]),
            ])
        for (index, values) in [logits.flatMap(\.self), losses.flatMap(\.self)].enumerated() {
            try Self.append(values.map(\.bitPattern), to: index, of: file)
        }
        let numbers = [positions.map(Int32.init), rows.flatMap { $0.tokens + $0.targets + $0.starts }]
        for (index, values) in numbers.enumerated() {
            try Self.append(values.map { UInt32(bitPattern: $0) }, to: index + 2, of: file)
        }
        try file.close()
    }

    private static func append(
        _ words: [UInt32], to tensor: Int, of file: SafetensorsStream
    ) throws(UserFacingError) {
        let bytes = words.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (8 * $0)) } }
        unsafe try file.append(bytes.span.bytes, to: tensor)
    }
}
