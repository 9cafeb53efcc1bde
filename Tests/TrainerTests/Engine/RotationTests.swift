import Testing

@testable import Trainer

private struct RotationTrial: Trial {
    var shape: AttentionShape

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: shape.width)
        let x = numbers.floats(shape.rows * shape.width)
        let angles = RotaryEmbedding(theta: 10_000).table(length: shape.time, headSize: shape.headSize)
        let (cosine, sine) = (try bench.input(angles.cosine), try bench.input(angles.sine))
        for back in [false, true] {
            bench.engine.rotate(
                try bench.output(back ? "back" : "forward", x), cosine: cosine, sine: sine, shape: shape,
                back: back)
        }
    }
}

@Suite struct RotationTests {
    private static let shapes = [
        AttentionShape(batch: 1, time: 1, heads: 1, keyValueHeads: 1, headSize: 2),
        AttentionShape(batch: 2, time: 3, heads: 4, keyValueHeads: 2, headSize: 6),
        AttentionShape(batch: 3, time: 65, heads: 6, keyValueHeads: 2, headSize: 34),
    ]

    @Test(arguments: shapes) func twins(_ shape: AttentionShape) throws {
        try expectTwins(RotationTrial(shape: shape))
    }

    /// Turning keeps values, lengths and, between a query and a key, what depends on their distance alone.
    @Test func scoresDependOnDistance() throws {
        let shape = AttentionShape(batch: 1, time: 9, heads: 1, keyValueHeads: 1, headSize: 4)
        let token: [Float] = [0.3, -0.8, 0.5, 0.1, 0.9, 0.2, -0.4, 0.6, 1, 2, 3, 4]
        let engine = try CPUEngine(threads: 1)
        let x = try buffer((0..<9).flatMap { _ in token }, on: engine)
        let angles = RotaryEmbedding(theta: 100).table(length: 9, headSize: 4)
        engine.rotate(
            x, cosine: try buffer(angles.cosine, on: engine), sine: try buffer(angles.sine, on: engine),
            shape: shape, back: false)
        let turned = values(x, on: engine)
        func score(_ query: Int, _ key: Int) -> Float {
            (0..<4).reduce(0) { $0 + turned[query * 12 + $1] * turned[key * 12 + 4 + $1] }
        }
        for key in 0..<6 { #expect(abs(score(key + 3, key) - score(3, 0)) < 1e-6) }
        #expect(abs(score(3, 0) - score(0, 0)) > 0.1)
        for row in 0..<9 { #expect(Array(turned[row * 12 + 8..<row * 12 + 12]) == [1, 2, 3, 4]) }
    }

    /// The gradient of a rotation is the rotation back.
    @Test(
        arguments: shapes.prefix(2) + [
            AttentionShape(batch: 1, time: 4, heads: 2, keyValueHeads: 1, headSize: 4)
        ])
    func gradients(_ shape: AttentionShape) {
        var numbers = Numbers(seed: shape.time)
        let engine = ReferenceEngine()
        let angles = RotaryEmbedding(theta: 100).table(length: shape.time, headSize: shape.headSize)
        let cosine = ReferenceBuffer(angles.cosine.map(Double.init))
        let sine = ReferenceBuffer(angles.sine.map(Double.init))
        let (x, dy) = (
            numbers.doubles(shape.rows * shape.width), numbers.doubles(shape.rows * shape.width)
        )
        let dx = ReferenceBuffer(dy)
        engine.rotate(dx, cosine: cosine, sine: sine, shape: shape, back: true)
        expectGradient(dx.values, at: x) { x in
            let y = ReferenceBuffer(x)
            engine.rotate(y, cosine: cosine, sine: sine, shape: shape, back: false)
            return dot(y.values, dy)
        }
    }
}
