import Testing

@testable import Trainer

private struct SwiGLUTrial: Trial {
    var shape: RowShape
    var scale: Float

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: shape.count)
        let gateUp = numbers.floats(2 * shape.count, scale: scale)
        let dy = try bench.input(numbers.floats(shape.count))
        bench.engine.swiGLU(
            try bench.output("y", count: shape.count), gateUp: try bench.input(gateUp), shape: shape)
        bench.engine.swiGLUBackward(
            y: try bench.output("y again", count: shape.count),
            gateUp: try bench.output("dGateUp", gateUp), dy: dy, shape: shape)
    }
}

@Suite struct SwiGLUTests {
    // 3 or 4 values of each column are touched; 16,384 are a piece. Gates of ±100 leave the range of e^x.
    @Test(
        arguments: [(1, 1), (3, 7), (37, 300), (5, 1_365), (2, 6_001)], [1, 10, 100, 1_000] as [Float])
    func twins(size: (rows: Int, columns: Int), scale: Float) throws {
        let shape = RowShape(rows: size.rows, columns: size.columns)
        try expectTwins(SwiGLUTrial(shape: shape, scale: scale))
    }

    /// Each value on its own, for the exponential over its whole range.
    @Test func isExactToTheLastDigits() throws {
        let gates = [Float](stride(from: -86, through: 100, by: 0.0371))
        let shape = RowShape(rows: gates.count, columns: 1)
        let gateUp: [Float] = gates.flatMap { [$0, 1] as [Float] }
        let (engine, twin) = (try CPUEngine(threads: 1), ReferenceEngine())
        let y = try engine.makeBuffer(count: gates.count)
        engine.swiGLU(y, gateUp: try buffer(gateUp, on: engine), shape: shape)
        let expected = ReferenceBuffer(zeros(gates.count))
        twin.swiGLU(expected, gateUp: ReferenceBuffer(gateUp.map(Double.init)), shape: shape)
        for (gate, (found, expected)) in zip(gates, zip(values(y, on: engine), expected.values)) {
            #expect(abs(Double(found) - expected) <= 4e-7 * abs(expected), "at \(gate)")
        }
    }

    @Test(arguments: [(1, 1), (2, 3), (3, 5)]) func gradients(rows: Int, columns: Int) {
        var numbers = Numbers(seed: columns)
        let engine = ReferenceEngine()
        let shape = RowShape(rows: rows, columns: columns)
        let (x, dy) = (numbers.doubles(2 * shape.count).map { 4 * $0 }, numbers.doubles(shape.count))
        let dx = ReferenceBuffer(x)
        engine.swiGLUBackward(
            y: ReferenceBuffer(zeros(shape.count)), gateUp: dx, dy: ReferenceBuffer(dy), shape: shape)
        expectGradient(dx.values, at: x) { x in
            let y = ReferenceBuffer(zeros(shape.count))
            engine.swiGLU(y, gateUp: ReferenceBuffer(x), shape: shape)
            return dot(y.values, dy)
        }
    }
}
