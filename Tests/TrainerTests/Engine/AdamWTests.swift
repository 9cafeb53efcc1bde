import Models
import Testing

@testable import Trainer

private struct AdamWTrial: Trial {
    /// The length of each tensor.
    var counts: [Int]
    var decay: Float = 0.1
    /// What the norm is clipped at, and the norm.
    var clip: Double? = 7, norm = 10.0
    var steps = 6
    var rate: Float = 0.05, beta2: Float = 0.999, weightScale: Float = 1
    /// Runs of the first tensor.
    var runs: [AdamWRun] = []

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: counts.reduce(0, +))
        let norm = bench.engine.makeScalar()
        bench.engine.set(norm, to: self.norm)
        var updates: [AdamWUpdate<Device.Buffer>] = []
        for (index, count) in counts.enumerated() {
            let zeros = [Float](repeating: 0, count: count)
            updates.append(
                AdamWUpdate(
                    weights: try bench.output("weights \(index)", numbers.floats(count, scale: weightScale)),
                    gradients: try bench.input(zeros), mean: try bench.output("mean \(index)", zeros),
                    square: try bench.output("square \(index)", zeros),
                    step: AdamWStep(
                        rate: rate, beta1: 0.9, beta2: beta2, epsilon: 1e-8,
                        decay: index == 0 ? decay : 0, step: 0)))
        }
        updates[0].runs = runs
        for step in 1...steps {
            for index in updates.indices {
                updates[index].gradients = try bench.input(numbers.floats(counts[index]))
                updates[index].step.step = step
            }
            bench.engine.adamW(updates, norm: norm, clip: clip)
        }
    }
}

private struct GradientNormTrial: Trial {
    var counts: [Int]

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        var numbers = Numbers(seed: counts.count)
        let norm = bench.engine.makeScalar()
        let gradients = try counts.map { try bench.input(numbers.floats($0)) }
        bench.engine.gradientNorm(gradients, to: norm)
        bench.note("norm", bench.engine.read(norm))
    }
}

@Suite struct AdamWTests {
    // 16,384 values are a piece.
    @Test(arguments: [[1], [15], [16], [257], [16_385], [40_000], [3, 0, 17_000, 1, 32_768]])
    func twins(counts: [Int]) throws {
        try expectTwins(AdamWTrial(counts: counts))
    }

    /// Runs that begin and end anywhere, some without values.
    @Test func runsOfTheirOwn() throws {
        let counts = [3, 0, 16_383, 250, 1, 23_363]
        let runs = counts.enumerated().map {
            AdamWRun(
                count: $1, rate: 0.01 * Float($0), decay: 0.1 * Float($0 % 3), isFrozen: $0 == 3)
        }
        try expectTwins(AdamWTrial(counts: [counts.reduce(0, +), 40], runs: runs))
    }

    /// Gradients are clipped when their norm is larger, and only then.
    @Test(arguments: [0, 0.5] as [Float], [nil, 0.1, 10, 11] as [Double?])
    func twinsOfSettings(decay: Float, clip: Double?) throws {
        try expectTwins(AdamWTrial(counts: [100, 20], decay: decay, clip: clip))
    }

    /// From zero on, weights are their steps alone, whose every digit counts.
    @Test(arguments: [1, 2, 3, 10, 100], [0.95, 0.999, 0.9999] as [Float])
    func twinsOfBareSteps(steps: Int, beta2: Float) throws {
        try expectTwins(
            AdamWTrial(counts: [50], decay: 0, steps: steps, rate: 1, beta2: beta2, weightScale: 0))
    }

    /// The first step moves each weight by the rate, whatever the gradient's size (algorithm 2 by hand).
    @Test func theFirstStep() throws {
        let engine = try CPUEngine(threads: 1)
        let weights = try tensor([1, 1, 1], on: engine)
        engine.adamW(
            [
                AdamWUpdate(
                    weights: weights, gradients: try tensor([1e-3, -1e3, 0], on: engine),
                    mean: Tensor(try engine.makeBuffer(count: 3)),
                    square: Tensor(try engine.makeBuffer(count: 3)),
                    step: AdamWStep(
                        rate: 0.1, beta1: 0.9, beta2: 0.95, epsilon: 1e-10, decay: 0.5, step: 1))
            ], norm: engine.makeScalar(), clip: nil)
        let expected: [Float] = [0.95 - 0.1, 0.95 + 0.1, 0.95]
        #expect(largestDifference(values(weights, on: engine), expected) < 1e-6)
    }

    // 1,024 values are a block, 65,536 a piece.
    @Test(arguments: [
        [1], [1_023], [1_024], [1_025], [65_535], [65_536], [65_537], [200_001], [5, 70_000, 0, 131_072, 2],
    ])
    func gradientNorm(counts: [Int]) throws {
        try expectTwins(GradientNormTrial(counts: counts), within: 1e-6)
    }

    @Test func gradientNormOfNothing() throws {
        let engine = try CPUEngine(threads: 2)
        let norm = engine.makeScalar()
        for gradients in [[], [Tensor(try engine.makeBuffer(count: 0))]] {
            engine.set(norm, to: 5)
            engine.gradientNorm(gradients, to: norm)
            #expect(engine.read(norm) == 0)
        }
    }

    /// What the host sets, it reads again.
    @Test func scalars() throws {
        let engine = try CPUEngine(threads: 1)
        let (one, other) = (engine.makeScalar(), engine.makeScalar())
        #expect(engine.read(one) == 0)
        engine.set(one, to: 1.0 / 3)
        #expect(engine.read(one) == 1.0 / 3 && engine.read(other) == 0)
    }
}
