import CKernels
import Models
import Testing

@testable import Trainer

/// How packed moments are rounded: the twins of the kernels, and that they are right on average.
@Suite struct MomentTests {
    /// 24 bits from a value's place and a key.
    private static func dither(_ index: Int, _ key: UInt32) -> UInt32 {
        var h = UInt32(index) &* 0x9E37_79B9 &+ key
        h ^= h >> 16
        h = h &* 0x85EB_CA6B
        h ^= h >> 13
        return h >> 8
    }

    private static func gradients(_ count: Int, seed: Int) -> [Float] {
        var numbers = Numbers(seed: seed)
        // Magnitudes over five orders, as gradients have.
        return numbers.floats(count).map { $0 * $0 * $0 * $0 * $0 }
    }

    @Test(arguments: [1, 31, 256], [0, 9_000]) func bfloat16(count: Int, first: Int) {
        let values = Self.gradients(count, seed: count)
        var codes = [UInt16](repeating: 0, count: count)
        unsafe ck_pack_bf16(&codes, values, count, UInt32(first), 77)
        for (i, value) in values.enumerated() {
            let expected = (value.bitPattern &+ Self.dither(first + i, 77) >> 8) >> 16
            #expect(codes[i] == UInt16(expected))
        }
    }

    @Test(arguments: [1, 31, 256], [0, 9_000]) func meansInEightBits(count: Int, first: Int) {
        let values = Self.gradients(count, seed: count)
        var codes = [Int8](repeating: 0, count: count)
        let scale = unsafe ck_pack_mean(&codes, values, count, UInt32(first), 5)
        let top = values.map(abs).max() ?? 0
        #expect(scale == top)
        var unpacked = [Float](repeating: .nan, count: count)
        unsafe ck_unpack_mean(&unpacked, codes, count, scale)
        for (i, value) in values.enumerated() {
            let exact = (Double(abs(value)) / Double(top)).squareRoot() * 127
            let chance = Double(Self.dither(first + i, 5)) / 16_777_216
            let code = Double(abs(Int(codes[i])))
            #expect(
                abs(code - (exact + chance).rounded(.down))
                    <= (abs((exact + chance).remainder(dividingBy: 1)) < 1e-4 ? 1 : 0))
            let expected = (code / 127) * (code / 127) * Double(top) * (value < 0 ? -1 : 1)
            #expect(abs(Double(unpacked[i]) - expected) <= 1e-6 * Double(top))
        }
    }

    @Test(arguments: [1, 31, 256]) func squaresInEightBits(count: Int) {
        let values = Self.gradients(count, seed: count).map { $0 * $0 }
        var codes = [UInt8](repeating: 0, count: count)
        let scale = unsafe ck_pack_square(&codes, values, count, 0, 5)
        var unpacked = [Float](repeating: .nan, count: count)
        unsafe ck_unpack_square(&unpacked, codes, count, scale)
        for (i, value) in values.enumerated() {
            let exact = Double(value / scale).squareRoot().squareRoot() * 255
            #expect(abs(Double(codes[i]) - exact) <= 1)
            #expect(unpacked[i] > 0)  // a divisor is never zero
        }
    }

    /// Rounded again and again with other keys, a value comes out right on average in the code's own measure.
    @Test func roundingIsRightOnAverage() {
        let values: [Float] = [1, 0.3, 0.01, 0.0004, -0.2, -0.05]
        var sums = [Double](repeating: 0, count: values.count)
        let tries = 4_000
        for key in 0..<tries {
            var codes = [Int8](repeating: 0, count: values.count)
            _ = unsafe ck_pack_mean(&codes, values, values.count, 0, UInt32(key) &* 2_654_435_761)
            for i in values.indices { sums[i] += Double(codes[i]) }
        }
        for (sum, value) in zip(sums, values) {
            let exact = Double(abs(value)).squareRoot() * 127 * (value < 0 ? -1 : 1)
            #expect(abs(sum / Double(tries) - exact) < 0.05)
        }
    }

    @Test(arguments: [Precision.f32, .bf16, .int8]) func manySteps(_ precision: Precision) throws {
        let engine = try CPUEngine(threads: 2)
        let count = 1_000
        var numbers = Numbers(seed: 3)
        let weights = try tensor(numbers.floats(count), on: engine)
        let target = numbers.floats(count)
        let mean = try Tensor(count: count, precision: precision, on: engine)
        let square = try Tensor(count: count, precision: precision, on: engine)
        // Gradient descent on the distance to a target must reach it.
        for step in 1...300 {
            let gradients = zip(values(weights, on: engine), target).map { $0 - $1 }
            engine.adamW(
                [
                    AdamWUpdate(
                        weights: weights, gradients: try tensor(gradients, on: engine), mean: mean,
                        square: square,
                        step: AdamWStep(
                            rate: 0.05 * (1 - Float(step) / 301), beta1: 0.9, beta2: 0.95, epsilon: 1e-8,
                            decay: 0, step: step))
                ], norm: engine.makeScalar(), clip: nil)
        }
        #expect(largestDifference(values(weights, on: engine), target) < 0.03)
    }

    @Test(arguments: [Precision.bf16, .int8]) func partsAreTheWhole(_ precision: Precision) throws {
        let results = try [[0..<2_000], [0..<512, 512..<1_280, 1_280..<2_000]].map { parts in
            let engine = try CPUEngine(threads: 3)
            var numbers = Numbers(seed: 8)
            let weights = try tensor(numbers.floats(2_000), on: engine)
            let mean = try Tensor(count: 2_000, precision: precision, on: engine)
            let square = try Tensor(count: 2_000, precision: precision, on: engine)
            for step in 1...5 {
                let gradients = try tensor(numbers.floats(2_000), on: engine)
                let updates = parts.map { part in
                    AdamWUpdate(
                        weights: weights[part], gradients: gradients[part], mean: mean[part],
                        square: square[part],
                        step: AdamWStep(
                            rate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, decay: 0.1, step: step))
                }
                engine.adamW(updates, norm: engine.makeScalar(), clip: nil)
            }
            return values(weights, on: engine)
        }
        #expect(results[0] == results[1])
    }
}
