import Models
import Testing

@testable import Trainer

private struct GLUTrial: Trial {
    var shape: RowShape
    var scale: Float
    var unit = GatedUnit.product(.silu)

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: shape.count)
        let gateUp = numbers.floats(2 * shape.count, scale: scale)
        let dy = try bench.input(numbers.floats(shape.count))
        bench.engine.glu(
            try bench.output("y", count: shape.count), gateUp: try bench.input(gateUp), unit: unit,
            shape: shape)
        bench.engine.gluBackward(
            y: try bench.output("y again", count: shape.count),
            gateUp: try bench.output("dGateUp", gateUp), dy: dy, unit: unit, shape: shape)
    }
}

private struct ActivationTrial: Trial {
    var count: Int
    var scale: Float
    var activation: Activation

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: count)
        let x = numbers.floats(count, scale: scale)
        let dy = try bench.input(numbers.floats(count))
        bench.engine.activate(
            try bench.output("y", count: count), try bench.input(x), activation: activation)
        let place = try bench.output("y in place", x)
        bench.engine.activate(place, place, activation: activation)
        bench.engine.activateBackward(
            y: try bench.output("y again", count: count), x: try bench.output("dx", x), dy: dy,
            activation: activation)
    }
}

@Suite struct ActivationTests {
    /// Every kind of unit, side by side and in turn.
    private static let units =
        (Activation.allCases.map { GatedUnit.Kind.product($0) }
        + [.clamped(alpha: 1.702, limit: 7)]).flatMap { kind in
            [false, true].map { GatedUnit(kind: kind, isInterleaved: $0) }
        }

    // 3 or 4 values of each column are touched; 16,384 are a piece. Gates of ±100 leave the range of e^x.
    @Test(
        arguments: [(1, 1), (3, 7), (37, 300), (5, 1_365), (2, 6_001)], [1, 10, 100, 1_000] as [Float])
    func twins(size: (rows: Int, columns: Int), scale: Float) throws {
        let shape = RowShape(rows: size.rows, columns: size.columns)
        try expectTwins(GLUTrial(shape: shape, scale: scale))
    }

    @Test(arguments: units, [(1, 1), (3, 7), (37, 300), (5, 1_365)])
    func twinsOfUnits(unit: GatedUnit, size: (rows: Int, columns: Int)) throws {
        let shape = RowShape(rows: size.rows, columns: size.columns)
        for scale in [1, 10, 100] as [Float] {
            try expectTwins(GLUTrial(shape: shape, scale: scale, unit: unit))
        }
    }

    @Test(arguments: Activation.allCases, [1, 29, 8_193])
    func twinsOfActivations(activation: Activation, count: Int) throws {
        for scale in [1, 10, 100] as [Float] {
            try expectTwins(ActivationTrial(count: count, scale: scale, activation: activation))
        }
    }

    /// Hendrycks and Gimpel's function at points whose values are tabulated.
    @Test func valuesOfGELU() {
        #expect(abs(Activation.gelu.value(1) - 0.841344746) < 1e-9)
        #expect(abs(Activation.gelu.value(-2) + 0.045500264) < 1e-9)
        #expect(abs(Activation.geluTanh.value(1) - 0.841191990) < 1e-8)
    }

    /// Each value on its own, for the exponential over its whole range.
    @Test func isExactToTheLastDigits() throws {
        let gates = [Float](stride(from: -86, through: 100, by: 0.0371))
        let shape = RowShape(rows: gates.count, columns: 1)
        let gateUp: [Float] = gates.flatMap { [$0, 1] as [Float] }
        let (engine, twin) = (try CPUEngine(threads: 1), ReferenceEngine())
        let y = Tensor(try engine.makeBuffer(count: gates.count))
        engine.glu(y, gateUp: try tensor(gateUp, on: engine), unit: .product(.silu), shape: shape)
        let expected = ReferenceTensor.zeros(gates.count)
        twin.glu(
            expected, gateUp: Tensor(gateUp.map(Double.init)), unit: .product(.silu), shape: shape)
        for (gate, (found, expected)) in zip(gates, zip(values(y, on: engine), expected.values)) {
            #expect(abs(Double(found) - expected) <= 4e-7 * abs(expected), "at \(gate)")
        }
    }

    /// What is not a number must be seen in the loss, not vanish.
    @Test(arguments: units) func brokenValuesAreSeen(_ unit: GatedUnit) throws {
        let engine = try CPUEngine(threads: 1)
        let shape = RowShape(rows: 1, columns: 1)
        for gateUp in [[.nan, 1], [1, .nan]] as [[Float]] {
            let (y, x) = (Tensor(try engine.makeBuffer(count: 1)), try tensor(gateUp, on: engine))
            engine.glu(y, gateUp: x, unit: unit, shape: shape)
            #expect(values(y, on: engine)[0].isNaN)
        }
    }

    @Test(arguments: units, [(1, 1), (2, 3), (3, 5)])
    func gradients(unit: GatedUnit, size: (rows: Int, columns: Int)) {
        var unit = unit
        // So narrow that some values are clamped.
        if case .clamped = unit.kind { unit.kind = .clamped(alpha: 1.702, limit: 2) }
        var numbers = Numbers(seed: size.columns + 1)
        let engine = ReferenceEngine()
        let shape = RowShape(rows: size.rows, columns: size.columns)
        let (x, dy) = (numbers.doubles(2 * shape.count).map { 4 * $0 + 0.7 }, numbers.doubles(shape.count))
        let dx = ReferenceTensor(x)
        engine.gluBackward(
            y: .zeros(shape.count), gateUp: dx, dy: Tensor(dy), unit: unit, shape: shape)
        expectGradient(dx.values, at: x) { x in
            let y = ReferenceTensor.zeros(shape.count)
            engine.glu(y, gateUp: Tensor(x), unit: unit, shape: shape)
            return dot(y.values, dy)
        }
    }

    @Test(arguments: Activation.allCases, [3, 4, 17])
    func gradientsOfActivations(activation: Activation, count: Int) {
        var numbers = Numbers(seed: count)
        let engine = ReferenceEngine()
        let (x, dy) = (numbers.doubles(count).map { 4 * $0 }, numbers.doubles(count))
        let dx = ReferenceTensor(x)
        engine.activateBackward(y: .zeros(count), x: dx, dy: Tensor(dy), activation: activation)
        expectGradient(dx.values, at: x) { x in
            let y = ReferenceTensor.zeros(count)
            engine.activate(y, Tensor(x), activation: activation)
            return dot(y.values, dy)
        }
    }
}
