import Testing

@testable import Trainer

/// Products with matrices that are kept in fewer bits, beside the same products in float32.
@Suite struct PackedMatrixTests {
    private static let sizes = [(1, 2, 1), (5, 30, 7), (70, 514, 34), (3, 1_030, 800), (600, 20, 1_600)]

    /// Float32 values that the precision holds exactly, and the same packed.
    private func pair(
        _ values: [Float], _ precision: Precision, on engine: CPUEngine
    ) throws -> (exact: Stored<CPUBuffer>, packed: Stored<CPUBuffer>) {
        let packed = try Stored(count: values.count, precision: precision, on: engine)
        unsafe packed.words.values(UInt16.self).update(
            from: values.map { precision == .bf16 ? UInt16($0.bitPattern >> 16) : Float16($0).bitPattern },
            count: values.count)
        return (Stored(values: try buffer(unpacked(packed), on: engine)), packed)
    }

    @Test(arguments: sizes, [Precision.bf16, .f16])
    func weights(size: (rows: Int, inputs: Int, outputs: Int), precision: Precision) throws {
        let (R, I, O) = size
        let shape = LinearShape(rows: R, inputs: I, outputs: O)
        var results: [[[Float]]] = []
        for threads in 1...3 {
            let engine = try CPUEngine(threads: threads)
            var numbers = Numbers(seed: R + I + O)
            let (x, dy) = try (
                buffer(numbers.floats(R * I), on: engine), buffer(numbers.floats(R * O), on: engine)
            )
            let weight = try pair(numbers.floats(O * I), precision, on: engine)
            let outcomes = try [weight.exact, weight.packed].map { weight in
                let (y, dx) = try (engine.makeBuffer(count: R * O), engine.makeBuffer(count: R * I))
                engine.linear(y, x, weight: weight, bias: nil, shape: shape)
                engine.linearBackward(dx: dx, dy: dy, weight: weight, shape: shape)
                return [values(y, on: engine), values(dx, on: engine)]
            }
            #expect(relativeDifference(outcomes[1][0], outcomes[0][0]) <= 2e-6)
            #expect(relativeDifference(outcomes[1][1], outcomes[0][1]) <= 2e-6)
            results.append(outcomes[1])
        }
        #expect(results[0] == results[1] && results[0] == results[2])
    }

    @Test(arguments: [Precision.bf16, .f16]) func embedding(precision: Precision) throws {
        let engine = try CPUEngine(threads: 2)
        var numbers = Numbers(seed: 5)
        let table = try pair(numbers.floats(11 * 6), precision, on: engine)
        let tokens = engine.makeIndices([3, 0, 10, 3])
        let rows = try [table.exact, table.packed].map { table in
            let out = try engine.makeBuffer(count: 4 * 6)
            engine.embed(out, table: table, tokens: tokens, shape: RowShape(rows: 4, columns: 6))
            return values(out, on: engine)
        }
        #expect(rows[0] == rows[1] && rows[0][0..<6] == rows[0][18..<24])
    }

    /// A packed gradient is the float32 gradient, rounded once each time it is written.
    @Test(arguments: sizes) func gradients(rows: Int, inputs: Int, outputs: Int) throws {
        let shape = LinearShape(rows: rows, inputs: inputs, outputs: outputs)
        for threads in 1...3 {
            let engine = try CPUEngine(threads: threads)
            var numbers = Numbers(seed: rows + inputs + outputs)
            let x = try buffer(numbers.floats(rows * inputs), on: engine)
            let dy = try buffer(numbers.floats(rows * outputs), on: engine)
            let packed = try Stored(count: inputs * outputs, precision: .bf16, on: engine)
            let exact = Stored(values: try engine.makeBuffer(count: inputs * outputs))
            for accumulate in [false, true] {
                // What is added to is what was rounded before.
                engine.upload(unpacked(packed).span, to: exact.words)
                for gradient in [packed, exact] {
                    engine.linearBackward(
                        dWeight: gradient, dBias: nil, dy: dy, x: x, shape: shape, accumulate: accumulate)
                }
                #expect(unpacked(packed) == unpacked(exact).map(roundedToBfloat16))
            }
        }
    }

    @Test(arguments: [1, 255, 1_024, 70_001], MomentPrecision.allCases)
    func optimizer(count: Int, moments: MomentPrecision) throws {
        let engine = try CPUEngine(threads: 2)
        var numbers = Numbers(seed: count)
        let gradients = try pair(numbers.floats(count), .bf16, on: engine)
        #expect(abs(engine.sumOfSquares(gradients.packed) / engine.sumOfSquares(gradients.exact) - 1) < 1e-6)
        let start = numbers.floats(count)
        let moved = try [gradients.exact, gradients.packed].map { gradients in
            let weights = try buffer(start, on: engine)
            let mean = try Stored(count: count, precision: moments.precision, on: engine)
            let square = try Stored(count: count, precision: moments.precision, on: engine)
            for step in 1...3 {
                engine.adamW(
                    weights: weights, gradients: gradients, mean: mean, square: square,
                    step: AdamWStep(
                        rate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1, step: step,
                        gradientScale: 0.5))
            }
            return values(weights, on: engine)
        }
        #expect(moved[0] == moved[1])
    }
}

/// To the nearest number of eight bits, ties to even: the rounding of a division by the last bit's value.
private func roundedToBfloat16(_ x: Float) -> Float {
    guard x != 0 else { return x }
    let last = Float(sign: .plus, exponent: x.exponent - 7, significand: 1)
    return (x / last).rounded(.toNearestOrEven) * last
}
