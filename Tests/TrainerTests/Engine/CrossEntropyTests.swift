import Testing

@testable import Trainer

private struct CrossEntropyTrial: Trial {
    var shape: RowShape
    var logits: [Float]
    /// Every third row has no target.
    var targets: [Int32]

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
        let targets = bench.engine.makeIndices(targets)
        bench.engine.crossEntropy(
            losses: try bench.output("losses", count: shape.rows), logits: try bench.input(logits),
            targets: targets, shape: shape, gradientScale: nil)
        bench.engine.crossEntropy(
            losses: try bench.output("losses, with gradients", count: shape.rows),
            logits: try bench.output("dLogits", logits), targets: targets, shape: shape,
            gradientScale: 0.25)
    }
}

@Suite struct CrossEntropyTests {
    // 16,384 logits are a piece.
    @Test(arguments: [(1, 1), (1, 2), (5, 37), (7, 4_099), (40, 1_000), (3, 32_003)])
    func twins(rows: Int, columns: Int) throws {
        try expectTwins(CrossEntropyTrial(rows: rows, columns: columns))
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

    @Test(arguments: [(1, 2), (3, 4), (4, 7)]) func gradients(rows: Int, columns: Int) {
        let trial = CrossEntropyTrial(rows: rows, columns: columns)
        let engine = ReferenceEngine()
        let x = trial.logits.map(Double.init)
        let losses = ReferenceBuffer(zeros(rows))
        let dx = ReferenceBuffer(x)
        engine.crossEntropy(
            losses: losses, logits: dx, targets: trial.targets, shape: trial.shape, gradientScale: 0.5)
        expectGradient(dx.values, at: x) { x in
            engine.crossEntropy(
                losses: losses, logits: ReferenceBuffer(x), targets: trial.targets, shape: trial.shape,
                gradientScale: nil)
            return 0.5 * losses.values.reduce(0, +)
        }
    }
}
