import Models
import Testing

@testable import Trainer

/// Products with matrices that are kept in fewer bits, beside the same products in float32.
@Suite struct PackedMatrixTests {
    private static let sizes = [
        (1, 2, 1), (5, 30, 7), (1, 576, 100), (16, 66, 9), (70, 514, 34), (3, 1_030, 800), (600, 20, 1_600),
    ]

    /// Float32 values that the precision holds exactly, and the same packed.
    private func pair(
        _ values: [Float], _ precision: Precision, on engine: CPUEngine
    ) throws -> (exact: Tensor<CPUBuffer>, packed: Tensor<CPUBuffer>) {
        let packed = try Tensor(count: values.count, precision: precision, on: engine)
        unsafe packed.storage.values(UInt16.self).update(
            from: values.map { precision == .bf16 ? UInt16($0.bitPattern >> 16) : Float16($0).bitPattern },
            count: values.count)
        return (try tensor(TrainerTests.values(packed, on: engine), on: engine), packed)
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
                tensor(numbers.floats(R * I), on: engine), tensor(numbers.floats(R * O), on: engine)
            )
            let weight = try pair(numbers.floats(O * I), precision, on: engine)
            let outcomes = try [weight.exact, weight.packed].map { weight in
                let y = Tensor(try engine.makeBuffer(count: R * O))
                let dx = Tensor(try engine.makeBuffer(count: R * I))
                engine.linear(y, x, weight: weight, bias: nil, shape: shape, adds: false)
                engine.linearBackward(dx: dx, dy: dy, weight: weight, shape: shape, adds: false)
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
        let tokens = try integers([3, 0, 10, 3], on: engine)
        let rows = try [table.exact, table.packed].map { table in
            let out = try tensor([Float](repeating: 1, count: 4 * 6), on: engine)
            let shape = RowShape(rows: 4, columns: 6)
            engine.embed(out, table: table, indices: tokens, factor: 1, shape: shape, adds: false)
            let plain = values(out, on: engine)
            engine.embed(out, table: table, indices: tokens, factor: 2, shape: shape, adds: true)
            return (plain: plain, tripled: values(out, on: engine))
        }
        #expect(rows[0].plain == rows[1].plain && rows[0].tripled == rows[1].tripled)
        #expect(rows[0].plain[0..<6] == rows[0].plain[18..<24])
        #expect(largestDifference(rows[0].tripled, rows[0].plain.map { 3 * $0 }) < 1e-6)
    }

    /// A packed gradient is the float32 gradient, rounded once each time it is written.
    @Test(arguments: sizes) func gradients(rows: Int, inputs: Int, outputs: Int) throws {
        let shape = LinearShape(rows: rows, inputs: inputs, outputs: outputs)
        for threads in 1...3 {
            let engine = try CPUEngine(threads: threads)
            var numbers = Numbers(seed: rows + inputs + outputs)
            let x = try tensor(numbers.floats(rows * inputs), on: engine)
            let dy = try tensor(numbers.floats(rows * outputs), on: engine)
            let packed = try Tensor(count: inputs * outputs, precision: .bf16, on: engine)
            let exact = Tensor(try engine.makeBuffer(count: inputs * outputs))
            for accumulate in [false, true] {
                // What is added to is what was rounded before.
                engine.upload(values(packed, on: engine).span, to: exact)
                for gradient in [packed, exact] {
                    engine.linearBackward(
                        dWeight: gradient, dBias: nil, dy: dy, x: x, shape: shape, accumulate: accumulate)
                }
                #expect(values(packed, on: engine) == values(exact, on: engine).map(roundedToBfloat16))
            }
        }
    }

    /// Experts of odd sizes, so that some begin in the middle of a word; the last one is chosen by nobody.
    @Test(arguments: [Precision.bf16, .f16]) func experts(precision: Precision) throws {
        let shape = ExpertShape(rows: 30, experts: 3, chosen: 2)
        let linear = LinearShape(rows: 0, inputs: 7, outputs: 5)
        for threads in 1...3 {
            let engine = try CPUEngine(threads: threads)
            var numbers = Numbers(seed: 6)
            let offsets = try integers([0, 23, 60, 60], on: engine)
            let x = try tensor(numbers.floats(60 * 7), on: engine)
            let dy = try tensor(numbers.floats(60 * 5), on: engine)
            let weight = try pair(numbers.floats(3 * 35), precision, on: engine)
            let results = try [weight.exact, weight.packed].map { weight in
                let y = Tensor(try engine.makeBuffer(count: 60 * 5))
                let dx = Tensor(try engine.makeBuffer(count: 60 * 7))
                engine.expertLinear(
                    y, x, weight: weight, bias: nil, offsets: offsets, linear: linear, shape: shape)
                engine.expertLinearBackward(
                    dx: dx, dy: dy, weight: weight, offsets: offsets, linear: linear, shape: shape)
                return (values(y, on: engine), values(dx, on: engine))
            }
            #expect(relativeDifference(results[1].0, results[0].0) <= 2e-6)
            #expect(relativeDifference(results[1].1, results[0].1) <= 2e-6)
            guard precision == .bf16 else { continue }  // no gradient is kept in float16
            let packed = try pair(numbers.floats(3 * 35), .bf16, on: engine).packed
            let exact = Tensor(try engine.makeBuffer(count: 3 * 35))
            for accumulate in [true, false] {
                engine.upload(values(packed, on: engine).span, to: exact)
                for gradient in [packed, exact] {
                    engine.expertLinearBackward(
                        dWeight: gradient, dBias: nil, dy: dy, x: x, offsets: offsets, linear: linear,
                        shape: shape, accumulate: accumulate)
                }
                #expect(values(packed, on: engine) == values(exact, on: engine).map(roundedToBfloat16))
            }
            #expect(values(packed, on: engine)[70...].allSatisfy { $0 == 0 })
        }
    }

    @Test(arguments: [1, 255, 1_024, 70_001], [Precision.f32, .bf16, .int8])
    func optimizer(count: Int, moments: Precision) throws {
        let engine = try CPUEngine(threads: 2)
        var numbers = Numbers(seed: count)
        let gradients = try pair(numbers.floats(count), .bf16, on: engine)
        let norms = [gradients.exact, gradients.packed].map { gradients in
            let norm = engine.makeScalar()
            engine.gradientNorm([gradients], to: norm)
            return engine.read(norm)
        }
        #expect(abs(norms[1] / norms[0] - 1) < 1e-6)
        let start = numbers.floats(count)
        let moved = try [gradients.exact, gradients.packed].map { gradients in
            let weights = try tensor(start, on: engine)
            let mean = try Tensor(count: count, precision: moments, on: engine)
            let square = try Tensor(count: count, precision: moments, on: engine)
            let norm = engine.makeScalar()
            engine.set(norm, to: 2)
            for step in 1...3 {
                engine.adamW(
                    [
                        AdamWUpdate(
                            weights: weights, gradients: gradients, mean: mean, square: square,
                            step: AdamWStep(
                                rate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1, step: step))
                    ], norm: norm, clip: 1)
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
