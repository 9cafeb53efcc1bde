import Models
import Testing

@testable import Trainer

private struct AttentionTrial: Trial, CustomTestStringConvertible {
    var shape: AttentionShape
    /// The tokens that each token sees, itself included, and where documents begin.
    var window: Int?
    var documents: [Int] = []
    /// Queries and keys are multiples of this, so that with 16 channels a head float32 holds the scores exactly.
    var integers: Int?
    var hasBias = false, hasSinks = false

    init(time: Int, batch: Int = 2, window: Int? = nil, documents: [Int] = []) {
        shape = AttentionShape(batch: batch, sequenceLength: time, heads: 4, keyValueHeads: 2, headSize: 10)
        self.window = window
        self.documents = documents
    }

    var testDescription: String {
        "\(shape.batch) × \(shape.sequenceLength), heads \(shape.heads)/\(shape.keyValueHeads) of "
            + "\(shape.headSize), \(shape.arrangement), window \(window.map(String.init) ?? "–"), "
            + "documents at \(documents), cap \(shape.softCap ?? 0), bias \(hasBias), sinks \(hasSinks)"
    }

    var first: [Int32] {
        (0..<shape.rows).map { row in
            let position = row % shape.sequenceLength
            let document = documents.last { $0 <= position } ?? 0
            return Int32(max(document, window.map { position - $0 + 1 } ?? 0))
        }
    }

    func queriesKeysValues(_ numbers: inout Numbers) -> [Float] {
        let values = numbers.floats(shape.rows * shape.qkvWidth, scale: integers == nil ? 2 : 8)
        guard let integers else { return values }
        return values.map { $0.rounded() * Float(integers) }
    }

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        var numbers = Numbers(seed: shape.sequenceLength)
        let qkv = try bench.input(queriesKeysValues(&numbers))
        let dOut = try bench.input(numbers.floats(shape.rows * shape.outputWidth))
        let biases = numbers.floats(shape.heads * shape.sequenceLength)
        let (bias, before) = (hasBias ? try bench.input(biases) : nil, numbers.floats(shape.heads))
        let sinks = hasSinks ? try bench.input(numbers.floats(shape.heads, scale: 3)) : nil
        let first = try bench.input(first)
        let out = try bench.output("out", count: shape.rows * shape.outputWidth)
        let lse = try bench.output("logSumExp", count: shape.rows * shape.heads)
        engine.attention(
            out, logSumExp: lse, qkv: qkv, first: first, bias: bias, sinks: sinks, shape: shape)
        engine.attentionBackward(
            dqkv: try bench.output("dqkv", count: shape.rows * shape.qkvWidth),
            dSinks: hasSinks ? try bench.output("dSinks", count: shape.heads) : nil, dOut: dOut, qkv: qkv,
            out: out, logSumExp: lse, first: first, bias: bias, sinks: sinks, shape: shape, accumulate: false)
        guard hasSinks else { return }
        engine.attentionBackward(
            dqkv: try bench.output("dqkv again", count: shape.rows * shape.qkvWidth),
            dSinks: try bench.output("dSinks, added to", before), dOut: dOut, qkv: qkv, out: out,
            logSumExp: lse, first: first, bias: bias, sinks: sinks, shape: shape, accumulate: true)
    }
}

@Suite struct AttentionTests {
    // 64 queries, and keys, are a tile.
    private static let trials = [
        AttentionTrial(time: 1), AttentionTrial(time: 5), AttentionTrial(time: 63),
        AttentionTrial(time: 64), AttentionTrial(time: 65), AttentionTrial(time: 130, batch: 1),
        AttentionTrial(time: 200, batch: 1),
        AttentionTrial(time: 130, batch: 1, window: 1), AttentionTrial(time: 130, window: 7),
        AttentionTrial(time: 200, batch: 1, window: 64), AttentionTrial(time: 200, batch: 1, window: 65),
        AttentionTrial(time: 200, batch: 1, window: 500),
        // The second document's first tiles are masked whole for it, but not for its tile's other rows.
        AttentionTrial(time: 200, batch: 1, documents: [0, 140]),
        AttentionTrial(time: 130, documents: [0, 1, 2, 63, 64, 65, 128, 129]),
        AttentionTrial(time: 200, batch: 1, window: 30, documents: [0, 50, 140, 170]),
    ]

    @Test(arguments: trials) fileprivate func twins(_ trial: AttentionTrial) throws {
        try expectTwins(trial)
    }

    @Test(
        arguments: [(1, 1, 2), (3, 3, 8), (4, 1, 64), (5, 5, 7)], [Attention.Arrangement.stacked, .grouped])
    func twinsOfHeads(
        heads: (queries: Int, keyValues: Int, size: Int), arrangement: Attention.Arrangement
    ) throws {
        var trial = AttentionTrial(time: 70)
        trial.shape = AttentionShape(
            batch: 2, sequenceLength: 70, heads: heads.queries, keyValueHeads: heads.keyValues,
            headSize: heads.size, arrangement: arrangement)
        try expectTwins(trial)
    }

    /// A scale of its own, the cap, position biases and sinks, each alone and all together.
    private static let variants: [@Sendable (inout AttentionTrial) -> Void] = [
        { $0.shape.scale = 0.7 }, { $0.shape.softCap = 3 }, { $0.hasBias = true }, { $0.hasSinks = true },
        { $0.shape.arrangement = .grouped },
        {
            $0.shape.softCap = 2
            $0.hasBias = true
        },
        {
            $0.shape.scale = 0.5
            $0.shape.softCap = 4
            $0.hasBias = true
            $0.hasSinks = true
            $0.shape.arrangement = .grouped
        },
    ]

    @Test(arguments: variants.indices) func twinsOfVariants(_ variant: Int) throws {
        for trial in [
            AttentionTrial(time: 5), AttentionTrial(time: 65), AttentionTrial(time: 130, batch: 1, window: 1),
            AttentionTrial(time: 130, batch: 1, window: 70),
            AttentionTrial(time: 130, batch: 1, documents: [0, 1, 2, 63, 64, 65, 128, 129]),
        ] {
            var trial = trial
            Self.variants[variant](&trial)
            try expectTwins(trial, within: 3e-6)
        }
    }

    /// Scores up to some ten thousands, of both signs, where softmax picks few keys.
    ///
    /// The backward pass takes its weights from e^(score − lse), so they are as exact as lse's last place.
    @Test(arguments: zip([1, 4, 16], [4e-6, 6e-5, 1e-3] as [Float]))
    func twinsOfLargeScores(integers: Int, tolerance: Float) throws {
        var trial = AttentionTrial(time: 130, batch: 1, documents: [0, 100])
        trial.shape = AttentionShape(batch: 1, sequenceLength: 130, heads: 4, keyValueHeads: 2, headSize: 16)
        trial.integers = integers
        try expectTwins(trial, within: tolerance)
    }

    /// A token that sees itself alone takes its own value over, bit by bit.
    @Test(arguments: [Attention.Arrangement.stacked, .grouped])
    func aWindowOfOneCopiesValues(_ arrangement: Attention.Arrangement) throws {
        var trial = AttentionTrial(time: 130, batch: 1, window: 1)
        trial.shape.arrangement = arrangement
        let shape = trial.shape
        var numbers = Numbers(seed: shape.sequenceLength)
        let x = trial.queriesKeysValues(&numbers)
        let out = try #require(outcome(of: trial, on: CPUEngine(threads: 2))["out"])
        for row in 0..<shape.rows {
            for head in 0..<shape.heads {
                let value = row * shape.qkvWidth + shape.value(head / 2)
                let result = row * shape.outputWidth + head * shape.headSize
                #expect(x[value..<value + shape.headSize] == out[result..<result + shape.headSize])
            }
        }
    }

    /// Both arrangements hold the same numbers at other places, and give the same bits.
    @Test func arrangementsAgree() throws {
        let stacked = AttentionShape(batch: 1, sequenceLength: 90, heads: 6, keyValueHeads: 2, headSize: 5)
        var grouped = stacked
        grouped.arrangement = .grouped
        var numbers = Numbers(seed: 2)
        let x = numbers.floats(stacked.rows * stacked.qkvWidth)
        var y = x
        for row in 0..<stacked.rows {
            func move(_ from: Int, _ to: Int) {
                for d in 0..<5 { y[row * stacked.qkvWidth + to + d] = x[row * stacked.qkvWidth + from + d] }
            }
            for head in 0..<6 { move(stacked.query(head), grouped.query(head)) }
            for head in 0..<2 {
                move(stacked.key(head), grouped.key(head))
                move(stacked.value(head), grouped.value(head))
            }
        }
        let engine = try CPUEngine(threads: 2)
        let results = try [(x, stacked), (y, grouped)].map { x, shape in
            let out = Tensor(try engine.makeBuffer(count: shape.rows * shape.outputWidth))
            engine.attention(
                out, logSumExp: Tensor(try engine.makeBuffer(count: shape.rows * 6)),
                qkv: try tensor(x, on: engine),
                first: try integers([Int32](repeating: 0, count: 90), on: engine), bias: nil, sinks: nil,
                shape: shape)
            return values(out, on: engine)
        }
        #expect(results[0] == results[1] && x != y)
    }

    /// What a token does not see, changes nothing: other documents and the future.
    @Test func unseenTokensDoNotMatter() throws {
        let shape = AttentionShape(batch: 1, sequenceLength: 150, heads: 2, keyValueHeads: 1, headSize: 8)
        var numbers = Numbers(seed: 1)
        var x = numbers.floats(shape.rows * shape.qkvWidth)
        let engine = try CPUEngine(threads: 1)
        let first = try integers((0..<150).map { Int32($0 < 70 ? 0 : 70) }, on: engine)
        func out() throws -> [Float] {
            let out = Tensor(try engine.makeBuffer(count: shape.rows * shape.outputWidth))
            let lse = Tensor(try engine.makeBuffer(count: shape.rows * shape.heads))
            engine.attention(
                out, logSumExp: lse, qkv: try tensor(x, on: engine), first: first, bias: nil, sinks: nil,
                shape: shape)
            return values(out, on: engine)
        }
        let seen = 70 * shape.outputWidth..<110 * shape.outputWidth
        let before = try out()[seen]
        for row in Array(0..<70) + Array(110..<150) {
            for i in row * shape.qkvWidth..<(row + 1) * shape.qkvWidth { x[i] = 100 - x[i] }
        }
        #expect(try out()[seen] == before)
    }

    @Test(
        arguments: [
            AttentionShape(batch: 1, sequenceLength: 3, heads: 1, keyValueHeads: 1, headSize: 2),
            AttentionShape(batch: 2, sequenceLength: 4, heads: 2, keyValueHeads: 1, headSize: 3),
            AttentionShape(
                batch: 1, sequenceLength: 6, heads: 4, keyValueHeads: 2, headSize: 2, arrangement: .grouped),
        ], [false, true])
    func gradients(_ plain: AttentionShape, hasAll: Bool) {
        var shape = plain
        if hasAll { (shape.softCap, shape.scale) = (1.5, 0.9) }
        var numbers = Numbers(seed: shape.sequenceLength)
        let engine = ReferenceEngine()
        let x = numbers.doubles(shape.rows * shape.qkvWidth).map { 2 * $0 }
        let dOut = numbers.doubles(shape.rows * shape.outputWidth)
        let bias = hasAll ? ReferenceTensor(numbers.doubles(shape.heads * shape.sequenceLength)) : nil
        let sinks = numbers.doubles(shape.heads)
        let first = ReferenceTensor((0..<shape.rows).map { Int32(max(0, $0 % shape.sequenceLength - 3)) })
        let out = ReferenceTensor.zeros(shape.rows * shape.outputWidth)
        let lse = ReferenceTensor.zeros(shape.rows * shape.heads)
        func loss(x: [Double], sinks: [Double]) -> Double {
            engine.attention(
                out, logSumExp: lse, qkv: Tensor(x), first: first, bias: bias,
                sinks: hasAll ? Tensor(sinks) : nil, shape: shape)
            return dot(out.values, dOut)
        }
        _ = loss(x: x, sinks: sinks)
        let (dx, dSinks) = (ReferenceTensor.zeros(x.count), ReferenceTensor.zeros(shape.heads))
        engine.attentionBackward(
            dqkv: dx, dSinks: dSinks, dOut: Tensor(dOut), qkv: Tensor(x), out: out, logSumExp: lse,
            first: first, bias: bias, sinks: hasAll ? Tensor(sinks) : nil, shape: shape, accumulate: false)
        expectGradient(dx.values, at: x) { loss(x: $0, sinks: sinks) }
        if hasAll { expectGradient(dSinks.values, at: sinks) { loss(x: x, sinks: $0) } }
    }
}
