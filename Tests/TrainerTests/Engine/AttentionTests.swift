import Testing

@testable import Trainer

private struct AttentionTrial: Trial, CustomTestStringConvertible {
    var shape: AttentionShape
    /// The tokens that each token sees, itself included, and where documents begin.
    var window: Int?
    var documents: [Int] = []
    /// Queries and keys are multiples of this, so that with 16 channels a head float32 holds the scores exactly.
    var integers: Int?

    init(time: Int, batch: Int = 2, window: Int? = nil, documents: [Int] = []) {
        shape = AttentionShape(batch: batch, time: time, heads: 4, keyValueHeads: 2, headSize: 10)
        self.window = window
        self.documents = documents
    }

    var testDescription: String {
        "\(shape.batch) × \(shape.time), heads \(shape.heads)/\(shape.keyValueHeads) of \(shape.headSize), "
            + "window \(window.map(String.init) ?? "–"), documents at \(documents)"
    }

    var first: [Int32] {
        (0..<shape.rows).map { row in
            let position = row % shape.time
            let document = documents.last { $0 <= position } ?? 0
            return Int32(max(document, window.map { position - $0 + 1 } ?? 0))
        }
    }

    func queriesKeysValues(_ numbers: inout Numbers) -> [Float] {
        let values = numbers.floats(shape.rows * shape.width, scale: integers == nil ? 2 : 8)
        guard let integers else { return values }
        return values.map { $0.rounded() * Float(integers) }
    }

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        var numbers = Numbers(seed: shape.time)
        let qkv = try bench.input(queriesKeysValues(&numbers))
        let dOut = try bench.input(numbers.floats(shape.rows * shape.outputWidth))
        let first = engine.makeIndices(first)
        let out = try bench.output("out", count: shape.rows * shape.outputWidth)
        let lse = try bench.output("lse", count: shape.rows * shape.heads)
        engine.attention(out, lse: lse, qkv: qkv, first: first, shape: shape)
        engine.attentionBackward(
            dqkv: try bench.output("dqkv", count: shape.rows * shape.width), dOut: dOut, qkv: qkv, out: out,
            lse: lse, first: first, shape: shape)
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

    @Test(arguments: [(1, 1, 2), (3, 3, 8), (4, 1, 64), (5, 5, 7)])
    func twinsOfHeads(heads: Int, keyValueHeads: Int, headSize: Int) throws {
        var trial = AttentionTrial(time: 70)
        trial.shape.heads = heads
        trial.shape.keyValueHeads = keyValueHeads
        trial.shape.headSize = headSize
        try expectTwins(trial)
    }

    /// Scores up to some ten thousands, of both signs, where softmax picks few keys.
    ///
    /// The backward pass takes its weights from e^(score − lse), so they are as exact as lse's last place.
    @Test(arguments: zip([1, 4, 16], [4e-6, 6e-5, 1e-3] as [Float]))
    func twinsOfLargeScores(integers: Int, tolerance: Float) throws {
        var trial = AttentionTrial(time: 130, batch: 1, documents: [0, 100])
        trial.shape.headSize = 16
        trial.integers = integers
        try expectTwins(trial, within: tolerance)
    }

    /// A token that sees itself alone takes its own value over, bit by bit.
    @Test func aWindowOfOneCopiesValues() throws {
        let trial = AttentionTrial(time: 130, batch: 1, window: 1)
        var numbers = Numbers(seed: trial.shape.time)
        let x = trial.queriesKeysValues(&numbers)
        let out = try #require(outcome(of: trial, on: CPUEngine(threads: 2))["out"])
        let shape = trial.shape
        for row in 0..<shape.rows {
            for head in 0..<shape.heads {
                let value =
                    row * shape.width + (shape.heads + shape.keyValueHeads + head / 2) * shape.headSize
                let result = row * shape.outputWidth + head * shape.headSize
                #expect(x[value..<value + shape.headSize] == out[result..<result + shape.headSize])
            }
        }
    }

    /// What a token does not see, changes nothing: other documents and the future.
    @Test func unseenTokensDoNotMatter() throws {
        let shape = AttentionShape(batch: 1, time: 150, heads: 2, keyValueHeads: 1, headSize: 8)
        var numbers = Numbers(seed: 1)
        var x = numbers.floats(shape.rows * shape.width)
        let first = (0..<150).map { Int32($0 < 70 ? 0 : 70) }
        let engine = try CPUEngine(threads: 1)
        func out() throws -> [Float] {
            let out = try engine.makeBuffer(count: shape.rows * shape.outputWidth)
            let lse = try engine.makeBuffer(count: shape.rows * shape.heads)
            engine.attention(
                out, lse: lse, qkv: try buffer(x, on: engine), first: engine.makeIndices(first), shape: shape)
            return values(out, on: engine)
        }
        let seen = 70 * shape.outputWidth..<110 * shape.outputWidth
        let before = try out()[seen]
        for row in Array(0..<70) + Array(110..<150) {
            for i in row * shape.width..<(row + 1) * shape.width { x[i] = 100 - x[i] }
        }
        #expect(try out()[seen] == before)
    }

    @Test(arguments: [
        AttentionShape(batch: 1, time: 3, heads: 1, keyValueHeads: 1, headSize: 2),
        AttentionShape(batch: 2, time: 4, heads: 2, keyValueHeads: 1, headSize: 3),
        AttentionShape(batch: 1, time: 6, heads: 4, keyValueHeads: 2, headSize: 2),
    ])
    func gradients(_ shape: AttentionShape) {
        var numbers = Numbers(seed: shape.time)
        let engine = ReferenceEngine()
        let x = numbers.doubles(shape.rows * shape.width).map { 2 * $0 }
        let dOut = numbers.doubles(shape.rows * shape.outputWidth)
        let first = (0..<shape.rows).map { Int32(max(0, $0 % shape.time - 3)) }
        let out = ReferenceBuffer(zeros(shape.rows * shape.outputWidth))
        let lse = ReferenceBuffer(zeros(shape.rows * shape.heads))
        let dx = ReferenceBuffer(zeros(x.count))
        engine.attention(out, lse: lse, qkv: ReferenceBuffer(x), first: first, shape: shape)
        engine.attentionBackward(
            dqkv: dx, dOut: ReferenceBuffer(dOut), qkv: ReferenceBuffer(x), out: out, lse: lse, first: first,
            shape: shape)
        expectGradient(dx.values, at: x) { x in
            engine.attention(out, lse: lse, qkv: ReferenceBuffer(x), first: first, shape: shape)
            return dot(out.values, dOut)
        }
    }
}
