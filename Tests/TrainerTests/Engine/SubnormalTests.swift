import Testing

@testable import Trainer

#if arch(x86_64)
@Suite struct SubnormalTests {
    /// Subnormal numbers count as zero in every thread's share of the work.
    @Test(arguments: [1, 4]) func areFlushedInAllThreads(threads: Int) throws {
        let engine = try CPUEngine(threads: threads)
        let count = 400_000
        let tiny = try buffer([Float](repeating: .leastNormalMagnitude / 100, count: count), on: engine)
        let square = try buffer([Float](repeating: .leastNormalMagnitude / 100, count: count), on: engine)
        let weights = try engine.makeBuffer(count: count)
        for step in 1...20 {
            engine.adamW(
                weights: weights, gradients: Stored(values: try engine.makeBuffer(count: count)),
                mean: Stored(values: tiny),
                square: Stored(values: square),
                step: AdamWStep(
                    rate: 1, beta1: 0.9, beta2: 0.99, epsilon: 1e-8, decay: 0, step: step, gradientScale: 1))
        }
        for buffer in [tiny, square, weights] {
            #expect(values(buffer, on: engine).allSatisfy { $0 == 0 })
        }
    }

    @Test func areFlushedInProducts() throws {
        let engine = try CPUEngine(threads: 1)
        let y = try engine.makeBuffer(count: 1)
        engine.linear(
            y, try buffer([1e-20], on: engine), weight: Stored(values: try buffer([1e-20], on: engine)),
            bias: nil,
            shape: LinearShape(rows: 1, inputs: 1, outputs: 1))
        #expect(values(y, on: engine) == [0])
    }

    /// Only while the engine works: its caller's arithmetic is as before.
    @Test(arguments: [1, 3]) func areKeptByTheCaller(threads: Int) throws {
        let engine = try CPUEngine(threads: threads)
        var numbers = Numbers(seed: 1)
        let x = try buffer(numbers.floats(300_000), on: engine)
        let smallest = Float.leastNormalMagnitude * Float(numbers.floats(1)[0].magnitude + 1)
        #expect(smallest / 4 > 0)
        #expect(engine.sumOfSquares(Stored(values: x)) > 0)
        #expect(smallest / 4 > 0)
    }
}
#endif
