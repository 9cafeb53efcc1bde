import Models
import Testing

@testable import Trainer

private struct RoPETrial: Trial {
    var rotary: RotaryShape
    var shape: AttentionShape

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: shape.qkvWidth)
        let x = numbers.floats(shape.rows * shape.qkvWidth)
        let angles = RotaryEmbedding(theta: 10_000, size: rotary.size).table(length: shape.sequenceLength)
        let (cosine, sine) = (try bench.input(angles.cosine), try bench.input(angles.sine))
        for inverse in [false, true] {
            bench.engine.applyRoPE(
                try bench.output(inverse ? "inverse" : "forward", x), cosine: cosine, sine: sine,
                rotary: rotary, shape: shape, inverse: inverse)
        }
    }
}

@Suite struct RoPETests {
    private static let shapes = [
        AttentionShape(batch: 1, sequenceLength: 1, heads: 1, keyValueHeads: 1, headSize: 2),
        AttentionShape(batch: 2, sequenceLength: 3, heads: 4, keyValueHeads: 2, headSize: 6),
        AttentionShape(batch: 3, sequenceLength: 65, heads: 6, keyValueHeads: 2, headSize: 34),
    ]

    /// All channels or some, pairs of both kinds, heads in both arrangements.
    private static func trials(_ shape: AttentionShape) -> [RoPETrial] {
        [shape.headSize, shape.headSize / 4 * 2, 2].flatMap { size in
            [false, true].flatMap { isInterleaved in
                [Attention.Arrangement.stacked, .grouped].map { arrangement in
                    var shape = shape
                    shape.arrangement = arrangement
                    return RoPETrial(
                        rotary: RotaryShape(size: size, isInterleaved: isInterleaved), shape: shape)
                }
            }
        }
    }

    @Test(arguments: shapes) func twins(_ shape: AttentionShape) throws {
        for trial in Self.trials(shape) { try expectTwins(trial) }
    }

    /// Turning keeps values, lengths and, between a query and a key, what depends on their distance alone.
    @Test(arguments: [false, true]) func scoresDependOnDistance(isInterleaved: Bool) throws {
        let shape = AttentionShape(batch: 1, sequenceLength: 9, heads: 1, keyValueHeads: 1, headSize: 4)
        let token: [Float] = [0.3, -0.8, 0.5, 0.1, 0.9, 0.2, -0.4, 0.6, 1, 2, 3, 4]
        let engine = try CPUEngine(threads: 1)
        let x = try tensor((0..<9).flatMap { _ in token }, on: engine)
        let angles = RotaryEmbedding(theta: 100, size: 4).table(length: 9)
        engine.applyRoPE(
            x, cosine: try tensor(angles.cosine, on: engine), sine: try tensor(angles.sine, on: engine),
            rotary: RotaryShape(size: 4, isInterleaved: isInterleaved), shape: shape, inverse: false)
        let turned = values(x, on: engine)
        func score(_ query: Int, _ key: Int) -> Float {
            (0..<4).reduce(0) { $0 + turned[query * 12 + $1] * turned[key * 12 + 4 + $1] }
        }
        for key in 0..<6 { #expect(abs(score(key + 3, key) - score(3, 0)) < 1e-6) }
        #expect((1..<9).contains { abs(score($0, 0) - score(0, 0)) > 0.1 })
        for row in 0..<9 { #expect(Array(turned[row * 12 + 8..<row * 12 + 12]) == [1, 2, 3, 4]) }
    }

    /// The gradient of a rotation is the rotation back.
    @Test(
        arguments: shapes.prefix(2) + [
            AttentionShape(batch: 1, sequenceLength: 4, heads: 2, keyValueHeads: 1, headSize: 4)
        ])
    func gradients(_ shape: AttentionShape) {
        for trial in Self.trials(shape) {
            let (shape, rotary) = (trial.shape, trial.rotary)
            var numbers = Numbers(seed: shape.sequenceLength)
            let engine = ReferenceEngine()
            let angles = RotaryEmbedding(theta: 100, size: rotary.size).table(length: shape.sequenceLength)
            let cosine = ReferenceTensor(angles.cosine.map(Double.init))
            let sine = ReferenceTensor(angles.sine.map(Double.init))
            let (x, dy) = (
                numbers.doubles(shape.rows * shape.qkvWidth), numbers.doubles(shape.rows * shape.qkvWidth)
            )
            let dx = ReferenceTensor(dy)
            engine.applyRoPE(dx, cosine: cosine, sine: sine, rotary: rotary, shape: shape, inverse: true)
            expectGradient(dx.values, at: x) { x in
                let y = ReferenceTensor(x)
                engine.applyRoPE(y, cosine: cosine, sine: sine, rotary: rotary, shape: shape, inverse: false)
                return dot(y.values, dy)
            }
        }
    }
}
