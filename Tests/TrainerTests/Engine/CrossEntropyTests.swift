import Models
import Testing

@testable import Trainer

private struct CrossEntropyTrial: Trial {
    var shape: RowShape
    var logits: [Float]
    /// Every third row has no target.
    var targets: [Int32]
    /// What the logits, which are what it gave, were made with.
    var transform = LogitTransform()

    init(rows: Int, columns: Int, scale: Float = 3) {
        var numbers = Numbers(seed: rows * columns)
        shape = RowShape(rows: rows, columns: columns)
        logits = numbers.floats(shape.count, scale: scale)
        targets = numbers.indices(rows, below: columns)
        for row in stride(from: 1, to: rows, by: 3) { targets[row] = -1 }
    }

    init(row: [Float], target: Int32) {
        shape = RowShape(rows: 1, columns: row.count)
        logits = row
        targets = [target]
    }

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        let targets = try bench.input(targets)
        engine.crossEntropy(
            losses: try bench.output("losses", count: shape.rows), logits: try bench.input(logits),
            targets: targets, shape: shape, transform: transform, gradientScale: nil)
        engine.crossEntropy(
            losses: try bench.output("losses, with gradients", count: shape.rows),
            logits: try bench.output("dLogits", logits), targets: targets, shape: shape, transform: transform,
            gradientScale: 0.25)
        guard !transform.isIdentity else { return }
        engine.transformLogits(try bench.output("logits", logits), transform: transform)
    }
}

@Suite struct CrossEntropyTests {
    // 16,384 logits are a piece.
    @Test(arguments: [(1, 1), (1, 2), (5, 37), (7, 4_099), (40, 1_000), (3, 32_003)])
    func twins(rows: Int, columns: Int) throws {
        try expectTwins(CrossEntropyTrial(rows: rows, columns: columns))
    }

    private static let transforms = [
        LogitTransform(factor: 0.3), LogitTransform(softCap: 5), LogitTransform(factor: 4, softCap: 30),
    ]

    @Test(arguments: transforms, [(1, 2), (5, 37), (7, 4_099), (40, 1_000)])
    func twinsOfTransforms(transform: LogitTransform, size: (rows: Int, columns: Int)) throws {
        var trial = CrossEntropyTrial(rows: size.rows, columns: size.columns)
        trial.transform = transform
        try expectTwins(trial)
    }

    /// Near zero a cap changes little, of which every digit counts; far away it is reached.
    @Test func twinsOfCappedLogits() throws {
        let logits = (-40...40).map { Float($0) / 8 } + [1e-4, -1e-5, 300, -300, 1e30]
        var trial = CrossEntropyTrial(row: logits, target: 3)
        trial.transform = LogitTransform(softCap: 10)
        let found = try #require(outcome(of: trial, on: CPUEngine(threads: 1))["logits"])
        let expected = try #require(outcome(of: trial, on: ReferenceEngine())["logits"])
        for (found, expected) in zip(found, expected) {
            #expect(abs(found - expected) <= 3e-7 * abs(expected))
        }
    }

    /// A transform that changes nothing changes no bit.
    @Test func identity() throws {
        var numbers = Numbers(seed: 1)
        let logits = numbers.floats(50)
        let engine = try CPUEngine(threads: 1)
        let found = try tensor(logits, on: engine)
        engine.transformLogits(found, transform: LogitTransform())
        #expect(values(found, on: engine) == logits)
    }

    @Test(arguments: [50, 200, 10_000] as [Float]) func twinsOfFarApartLogits(scale: Float) throws {
        try expectTwins(CrossEntropyTrial(rows: 9, columns: 101, scale: scale))
    }

    @Test(
        arguments: [
            [0, 0, 0, 0, 0], [1e4, -1e4, 0, 1e4, 9_999], [-1e30, 1e30, 0, 1, 2], [88, -88, 87, -87, 86.5],
            [-3e38, -3e38, -3e38, -3e38, -3e38], [-.infinity, 2, 3, -.infinity, 1],
        ] as [[Float]], [1, 2] as [Int32])
    func twinsOfExtremeLogits(row: [Float], target: Int32) throws {
        try expectTwins(CrossEntropyTrial(row: row, target: target))
    }

    /// A row without a target loses nothing and moves nothing, whatever its logits.
    @Test func ignoredTargets() throws {
        let trial = CrossEntropyTrial(row: [.nan, .infinity, -.infinity, 1e30], target: -100)
        let outcome = try outcome(of: trial, on: CPUEngine(threads: 1))
        #expect(outcome["losses"] == [0] && outcome["losses, with gradients"] == [0])
        #expect(outcome["dLogits"] == [0, 0, 0, 0])
    }

    /// What is not a number must be seen in the loss, not vanish.
    @Test func brokenLogitsAreSeen() throws {
        let trial = CrossEntropyTrial(row: [0, 1, .nan, 2, 3], target: 1)
        let losses = try #require(outcome(of: trial, on: CPUEngine(threads: 1))["losses"])
        #expect(losses.allSatisfy { !$0.isFinite })
    }

    @Test(arguments: transforms + [LogitTransform()], [(1, 2), (3, 4), (4, 7)])
    func gradients(transform: LogitTransform, size: (rows: Int, columns: Int)) {
        let trial = CrossEntropyTrial(rows: size.rows, columns: size.columns)
        let engine = ReferenceEngine()
        let x = trial.logits.map(Double.init)
        let (losses, targets) = (ReferenceTensor.zeros(size.rows), ReferenceTensor(trial.targets))
        func forward(_ x: [Double], gradientScale: Float?) -> ReferenceTensor {
            let logits = ReferenceTensor(x)
            engine.transformLogits(logits, transform: transform)
            engine.crossEntropy(
                losses: losses, logits: logits, targets: targets, shape: trial.shape, transform: transform,
                gradientScale: gradientScale)
            return logits
        }
        expectGradient(forward(x, gradientScale: 0.5).values, at: x) { x in
            _ = forward(x, gradientScale: nil)
            return 0.5 * losses.values.reduce(0, +)
        }
    }
}
