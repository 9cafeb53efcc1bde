import Models
import Testing

@testable import Trainer

#if arch(x86_64)
@Suite struct SubnormalTests {
    /// Subnormal numbers count as zero in every thread's share of the work.
    @Test(arguments: [1, 4]) func areFlushedInAllThreads(threads: Int) throws {
        let engine = try CPUEngine(threads: threads)
        let count = 400_000
        let subnormal = [Float](repeating: .leastNormalMagnitude / 100, count: count)
        let (tiny, square) = (try tensor(subnormal, on: engine), try tensor(subnormal, on: engine))
        let weights = Tensor(try engine.makeBuffer(count: count))
        for step in 1...20 {
            engine.adamW(
                [
                    AdamWUpdate(
                        weights: weights, gradients: Tensor(try engine.makeBuffer(count: count)), mean: tiny,
                        square: square,
                        step: AdamWStep(
                            rate: 1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0, step: step))
                ], norm: engine.makeScalar(), clip: nil)
        }
        for tensor in [tiny, square, weights] {
            #expect(values(tensor, on: engine).allSatisfy { $0 == 0 })
        }
    }

    @Test func areFlushedInProducts() throws {
        let engine = try CPUEngine(threads: 1)
        let y = Tensor(try engine.makeBuffer(count: 1))
        let tiny = try tensor([1e-20], on: engine)
        engine.linear(
            y, tiny, weight: tiny, bias: nil, shape: LinearShape(rows: 1, inputs: 1, outputs: 1), adds: false)
        #expect(values(y, on: engine) == [0])
    }

    /// Only while the engine works: its caller's arithmetic is as before.
    @Test(arguments: [1, 3]) func areKeptByTheCaller(threads: Int) throws {
        let engine = try CPUEngine(threads: threads)
        var numbers = Numbers(seed: 1)
        let x = try tensor(numbers.floats(300_000), on: engine)
        let smallest = Float.leastNormalMagnitude * Float(numbers.floats(1)[0].magnitude + 1)
        #expect(smallest / 4 > 0)
        let norm = engine.makeScalar()
        engine.gradientNorm([x], to: norm)
        #expect(engine.read(norm) > 0)
        #expect(smallest / 4 > 0)
    }
}
#endif
