import Testing

@testable import Trainer

private struct GatedUnitTrial: Trial {
    var shape: RowShape
    var scale: Float
    var gate = GateActivation.silu

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: shape.count)
        let gateUp = numbers.floats(2 * shape.count, scale: scale)
        let dy = try bench.input(numbers.floats(shape.count))
        bench.engine.gatedUnit(
            try bench.output("y", count: shape.count), gateUp: try bench.input(gateUp), gate: gate,
            shape: shape)
        bench.engine.gatedUnitBackward(
            y: try bench.output("y again", count: shape.count),
            gateUp: try bench.output("dGateUp", gateUp), dy: dy, gate: gate, shape: shape)
    }
}

@Suite struct GatedUnitTests {
    // 3 or 4 values of each column are touched; 16,384 are a piece. Gates of ±100 leave the range of e^x.
    @Test(
        arguments: [(1, 1), (3, 7), (37, 300), (5, 1_365), (2, 6_001)], [1, 10, 100, 1_000] as [Float])
    func twins(size: (rows: Int, columns: Int), scale: Float) throws {
        let shape = RowShape(rows: size.rows, columns: size.columns)
        try expectTwins(GatedUnitTrial(shape: shape, scale: scale))
    }

    @Test(
        arguments: [GateActivation.gelu, .geluTanh], [(1, 1), (3, 7), (37, 300), (5, 1_365)])
    func twinsOfGELU(gate: GateActivation, size: (rows: Int, columns: Int)) throws {
        let shape = RowShape(rows: size.rows, columns: size.columns)
        for scale in [1, 10, 100] as [Float] {
            try expectTwins(GatedUnitTrial(shape: shape, scale: scale, gate: gate))
        }
    }

    /// Hendrycks and Gimpel's function at points whose values are tabulated.
    @Test func valuesOfGELU() {
        #expect(abs(GateActivation.gelu.value(1) - 0.841344746) < 1e-9)
        #expect(abs(GateActivation.gelu.value(-2) + 0.045500264) < 1e-9)
        #expect(abs(GateActivation.geluTanh.value(1) - 0.841191990) < 1e-8)
    }

    /// Each value on its own, for the exponential over its whole range.
    @Test func isExactToTheLastDigits() throws {
        let gates = [Float](stride(from: -86, through: 100, by: 0.0371))
        let shape = RowShape(rows: gates.count, columns: 1)
        let gateUp: [Float] = gates.flatMap { [$0, 1] as [Float] }
        let (engine, twin) = (try CPUEngine(threads: 1), ReferenceEngine())
        let y = try engine.makeBuffer(count: gates.count)
        engine.gatedUnit(y, gateUp: try buffer(gateUp, on: engine), gate: .silu, shape: shape)
        let expected = ReferenceBuffer(zeros(gates.count))
        twin.gatedUnit(
            expected, gateUp: ReferenceBuffer(gateUp.map(Double.init)), gate: .silu, shape: shape)
        for (gate, (found, expected)) in zip(gates, zip(values(y, on: engine), expected.values)) {
            #expect(abs(Double(found) - expected) <= 4e-7 * abs(expected), "at \(gate)")
        }
    }

    @Test(arguments: [(1, 1), (2, 3), (3, 5)], [GateActivation.silu, .gelu, .geluTanh])
    func gradients(size: (rows: Int, columns: Int), gate: GateActivation) {
        let (rows, columns) = size
        var numbers = Numbers(seed: columns)
        let engine = ReferenceEngine()
        let shape = RowShape(rows: rows, columns: columns)
        let (x, dy) = (numbers.doubles(2 * shape.count).map { 4 * $0 }, numbers.doubles(shape.count))
        let dx = ReferenceBuffer(x)
        engine.gatedUnitBackward(
            y: ReferenceBuffer(zeros(shape.count)), gateUp: dx, dy: ReferenceBuffer(dy), gate: gate,
            shape: shape)
        expectGradient(dx.values, at: x) { x in
            let y = ReferenceBuffer(zeros(shape.count))
            engine.gatedUnit(y, gateUp: ReferenceBuffer(x), gate: gate, shape: shape)
            return dot(y.values, dy)
        }
    }
}
