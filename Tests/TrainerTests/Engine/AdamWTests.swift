import Testing

@testable import Trainer

private struct AdamWTrial: Trial {
    var count: Int
    var decay: Float = 0.1
    var gradientScale: Float = 0.7
    var steps = 6
    var rate: Float = 0.05, beta2: Float = 0.999, weightScale: Float = 1

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: count)
        let zeros = [Float](repeating: 0, count: count)
        let weights = try bench.output("weights", numbers.floats(count, scale: weightScale))
        let mean = try bench.output("mean", zeros)
        let square = try bench.output("square", zeros)
        for step in 1...steps {
            bench.engine.adamW(
                weights: weights, gradients: Stored(values: try bench.input(numbers.floats(count))),
                mean: Stored(values: mean),
                square: Stored(values: square),
                step: AdamWStep(
                    rate: rate, beta1: 0.9, beta2: beta2, epsilon: 1e-8, decay: decay, step: step,
                    gradientScale: gradientScale))
        }
    }
}

private struct SumOfSquaresTrial: Trial {
    var count: Int

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: count)
        let sum = bench.engine.sumOfSquares(Stored(values: try bench.input(numbers.floats(count))))
        bench.note("sum", sum)
    }
}

@Suite struct AdamWTests {
    // 16,384 values are a piece.
    @Test(arguments: [1, 15, 16, 257, 16_385, 40_000]) func twins(count: Int) throws {
        try expectTwins(AdamWTrial(count: count))
    }

    @Test(arguments: [0, 0.5] as [Float], [1, 0.01] as [Float])
    func twinsOfSettings(decay: Float, gradientScale: Float) throws {
        try expectTwins(AdamWTrial(count: 100, decay: decay, gradientScale: gradientScale))
    }

    /// From zero on, weights are their steps alone, whose every digit counts.
    @Test(arguments: [1, 2, 3, 10, 100], [0.95, 0.999, 0.9999] as [Float])
    func twinsOfBareSteps(steps: Int, beta2: Float) throws {
        try expectTwins(
            AdamWTrial(count: 50, decay: 0, steps: steps, rate: 1, beta2: beta2, weightScale: 0))
    }

    /// The first step moves each weight by the rate, whatever the gradient's size (algorithm 2 by hand).
    @Test func theFirstStep() throws {
        let engine = try CPUEngine(threads: 1)
        let weights = try buffer([1, 1, 1], on: engine)
        engine.adamW(
            weights: weights, gradients: Stored(values: try buffer([1e-3, -1e3, 0], on: engine)),
            mean: Stored(values: try engine.makeBuffer(count: 3)),
            square: Stored(values: try engine.makeBuffer(count: 3)),
            step: AdamWStep(
                rate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-10, decay: 0.5, step: 1, gradientScale: 1))
        let expected: [Float] = [0.95 - 0.1, 0.95 + 0.1, 0.95]
        #expect(largestDifference(values(weights, on: engine), expected) < 1e-6)
    }

    // 1,024 values are a block, 65,536 a piece.
    @Test(arguments: [1, 1_023, 1_024, 1_025, 65_535, 65_536, 65_537, 200_001])
    func sumOfSquares(count: Int) throws {
        try expectTwins(SumOfSquaresTrial(count: count), within: 1e-6)
    }

    @Test func sumOfSquaresOfNothing() throws {
        let engine = try CPUEngine(threads: 2)
        #expect(engine.sumOfSquares(Stored(values: try engine.makeBuffer(count: 0))) == 0)
    }
}
