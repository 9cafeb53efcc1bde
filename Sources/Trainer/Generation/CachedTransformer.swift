internal import Formats
internal import Models

/// A model that goes on with sequences a token at a time: a prompt is one pass of the transformer, which keeps its keys
/// and values; then each token of each sequence is a row of a pass.
///
/// Every sequence is computed as if it were alone. Its logits are those of a pass over all of it, within rounding, but
/// for "dynamic" rotary embeddings beyond the length that they begin to grow at: what is kept stays turned as it was, as
/// in transformers. Where LongRoPE changes from its short to its long factors, the sequence is computed once more, as
/// transformers does for Phi-3.
final class CachedTransformer<Device: Engine> {
    /// The model, with memory for a pass of one row; its weights are those of all passes.
    let model: Transformer<Device>
    private var cache: KeyValueCache<Device>
    /// The tokens of each sequence.
    private var tokens: [[Int32]]
    /// Passes of other numbers of rows, which share the weights.
    private var steps: [Int: Transformer<Device>]
    private var places: Device.Buffer

    /// A model whose weights are all zero, with room for `sequences` sequences of `length` tokens.
    init(
        _ architecture: Architecture, layout: ParameterLayout, sequences: Int, length: Int, on engine: Device
    ) throws(UserFacingError) {
        let plan = ActivationPlan(architecture, layout: layout, batch: 1, sequenceLength: 1)
        let model = try Transformer(architecture, layout: layout, plan: plan, on: engine)
        let cache = try KeyValueCache(layout, sequences: sequences, length: length, on: engine)
        let places = try engine.makeBuffer(count: max(sequences, length))
        (self.model, self.cache, self.places) = (model, cache, places)
        steps = [1: model]
        tokens = Array(repeating: [], count: sequences)
    }

    /// How many sequences there is room for, and of how many tokens.
    var sequences: Int { cache.sequences }
    var length: Int { cache.length }

    /// Makes room for other sequences; what was kept is gone.
    func makeRoom(sequences: Int, length: Int) throws(UserFacingError) {
        guard sequences > cache.sequences || length > cache.length else { return }
        let (sequences, length) = (max(sequences, cache.sequences), max(length, cache.length))
        cache = try KeyValueCache(model.layout, sequences: sequences, length: length, on: model.engine)
        tokens = Array(repeating: [], count: sequences)
        places = try model.engine.makeBuffer(count: max(sequences, length))
    }

    /// Begins a sequence; what was kept in its place is gone.
    ///
    /// - Returns: the logits of what follows the tokens: (V).
    func begin(_ sequence: Int, with tokens: [Int32]) throws(UserFacingError) -> [Float] {
        precondition(!tokens.isEmpty && tokens.count <= cache.length, "there is no room for the tokens")
        self.tokens[sequence] = tokens
        let transformer = try pass(rows: tokens.count)
        transformer.load(
            TokenBatch(
                batch: 1, sequenceLength: tokens.count, tokens: tokens,
                targets: tokens.map { _ in -1 }))
        let start = sequence * cache.length
        let kept = rows(at: (0..<tokens.count).map { Int32(start + $0) }, isStep: false)
        transformer.forward(Pass(model: transformer, kept: kept))
        return transformer.readLogits(tokens.count - 1..<tokens.count)[0]
    }

    /// Goes on with sequences, each by one token.
    ///
    /// - Returns: the logits of what follows in each: (V).
    func step(_ next: [(sequence: Int, token: Int32)]) throws(UserFacingError) -> [[Float]] {
        let again = next.indices.filter { changesFrequencies(at: tokens[next[$0].sequence].count) }
        guard again.isEmpty else { return try stepAgain(next, again) }
        let transformer = try pass(rows: next.count)
        let positions = next.map { tokens[$0.sequence].count }
        precondition(positions.allSatisfy { $0 < cache.length }, "there is no room for another token")
        transformer.loadStep(tokens: next.map(\.token), positions: positions)
        let kept = rows(
            at: zip(next, positions).map { Int32($0.sequence * cache.length + $1) }, isStep: true)
        transformer.forward(Pass(model: transformer, kept: kept))
        for (sequence, token) in next { tokens[sequence].append(token) }
        return transformer.readLogits(0..<next.count)
    }

    /// The same, where some of the sequences have to be computed once more.
    private func stepAgain(
        _ next: [(sequence: Int, token: Int32)], _ again: [Int]
    ) throws(UserFacingError) -> [[Float]] {
        var logits = [[Float]](repeating: [], count: next.count)
        for index in again {
            let (sequence, token) = next[index]
            logits[index] = try begin(sequence, with: tokens[sequence] + [token])
        }
        let others = next.indices.filter { !again.contains($0) }
        guard !others.isEmpty else { return logits }
        let stepped = try step(others.map { next[$0] })
        for (index, values) in zip(others, stepped) { logits[index] = values }
        return logits
    }

    /// Whether a token at a position is the first for which LongRoPE has its long factors.
    private func changesFrequencies(at position: Int) -> Bool {
        for layer in model.architecture.layers {
            guard let length = layer.attention.rotary?.lengthOfShortFactors else { continue }
            if Double(position) <= length && length < Double(position + 1) { return true }
        }
        return false
    }

    /// A pass of so many rows.
    ///
    /// Those of steps are kept, those of prompts are not.
    private func pass(rows: Int) throws(UserFacingError) -> Transformer<Device> {
        if let step = steps[rows] { return step }
        let transformer = try Transformer(
            model.architecture, layout: model.layout,
            plan: ActivationPlan(
                model.architecture, layout: model.layout, batch: 1, sequenceLength: rows),
            on: model.engine, sharing: model)
        if rows <= cache.sequences { steps[rows] = transformer }
        return transformer
    }

    private func rows(at places: [Int32], isStep: Bool) -> KeptRows<Device> {
        let tensor = Tensor(Region(.int32, start: 0, count: places.count), of: self.places)
        model.engine.upload(places.span, to: tensor)
        return KeptRows(cache: cache, places: tensor, isStep: isStep)
    }
}

extension Transformer {
    /// The numbers of a pass whose rows are tokens at any positions of their own sequences.
    ///
    /// The plan is one of one sequence with a token for each row, whose tables of angles are then those of the rows.
    fileprivate func loadStep(tokens: [Int32], positions: [Int]) {
        precondition(plan.batch == 1 && tokens.count == plan.rows && positions.count == plan.rows)
        engine.upload(tokens.span, to: integers(plan.tokens))
        let places = positions.map { Int32($0) }
        for (window, range) in plan.starts {
            let starts = places.map { max(0, $0 - Int32(clamping: window ?? .max) + 1) }
            engine.upload(starts.span, to: integers(range))
        }
        if let range = plan.embedding.positions { engine.upload(places.span, to: integers(range)) }
        for angles in plan.angles {
            var (cosine, sine): ([Float], [Float]) = ([], [])
            for position in positions {
                let table = angles.rotary.table(positions: position..<position + 1, longest: position + 1)
                cosine += table.cosine
                sine += table.sine
            }
            engine.upload(cosine, to: values(angles.cosine))
            engine.upload(sine, to: values(angles.sine))
        }
        forgetAngles()
    }

    /// The logits of some rows: (V) each.
    fileprivate func readLogits(_ rows: Range<Int>) -> [[Float]] {
        let size = architecture.vocabularySize
        var result: [[Float]] = []
        for start in stride(from: rows.lowerBound, to: rows.upperBound, by: plan.headRows) {
            let part = start..<min(start + plan.headRows, rows.upperBound)
            let logits = self.logits(
                part, LinearShape(rows: part.count, inputs: architecture.hiddenSize, outputs: size))
            for row in 0..<part.count { result.append(floats(of: logits[row * size..<(row + 1) * size])) }
        }
        return result
    }

    private func floats(of tensor: Tensor<Device.Buffer>) -> [Float] {
        var values = [Float](repeating: 0, count: tensor.count)
        var span = values.mutableSpan
        engine.download(tensor, to: &span)
        return values
    }
}
