import Models
import Testing

@testable import Trainer

private struct DistillationTrial: Trial {
    var shape: RowShape
    var logits: [Float]
    /// Every third row has no target, and of the others every fourth no place in the lesson.
    var targets: [Int32], places: [Int32]
    /// The teacher's, which has a token in place of every seventh of the student's, and some more.
    var teacher: [Float], columns: Int, tokens: [Int32]
    var transform = LogitTransform()
    var weight: Float = 0.5, temperature: Float = 2

    init(rows: Int, columns: Int, scale: Float = 3) {
        var numbers = Numbers(seed: 3 + rows * columns)
        shape = RowShape(rows: rows, columns: columns)
        logits = numbers.floats(shape.count, scale: scale)
        targets = numbers.indices(rows, below: columns)
        self.columns = columns + 3
        teacher = numbers.floats(rows * self.columns, scale: scale)
        tokens = (0..<Int32(columns)).map { $0 % 7 == 5 ? -1 : Int32(columns) + 2 - $0 }
        places = (0..<Int32(rows)).map { $0 % 4 == 2 ? -1 : Int32(rows) - 1 - $0 }
        for row in stride(from: 1, to: rows, by: 3) { targets[row] = -1 }
    }

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        bench.engine.distill(
            losses: try bench.output("losses", count: shape.rows),
            entropies: try bench.output("entropies", count: shape.rows),
            divergences: try bench.output("divergences", count: shape.rows),
            logits: try bench.output("dLogits", logits), targets: try bench.input(targets),
            lesson: Lesson(
                logits: try bench.input(teacher), columns: columns, places: try bench.input(places),
                tokens: try bench.input(tokens), weight: weight, temperature: temperature),
            shape: shape, transform: transform, gradientScale: 0.25)
    }
}

@Suite struct DistillationTests {
    private static let sizes = [(1, 2), (5, 37), (7, 4_099), (40, 1_000), (3, 32_003)]
    private static let transforms = [
        LogitTransform(factor: 0.3), LogitTransform(softCap: 12), LogitTransform(factor: 4, softCap: 30),
    ]

    /// A divergence is small beside the logarithms that it is a difference of.
    private static let tolerance: Float = 2e-5

    @Test(arguments: sizes) func twins(rows: Int, columns: Int) throws {
        try expectTwins(DistillationTrial(rows: rows, columns: columns), within: Self.tolerance)
    }

    @Test(arguments: [(1, 1), (0.3, 0.5), (0.9, 7)] as [(Float, Float)])
    func twinsOfSettings(weight: Float, temperature: Float) throws {
        var trial = DistillationTrial(rows: 9, columns: 211)
        (trial.weight, trial.temperature) = (weight, temperature)
        try expectTwins(trial, within: Self.tolerance)
    }

    @Test(arguments: transforms) func twinsOfTransforms(transform: LogitTransform) throws {
        var trial = DistillationTrial(rows: 9, columns: 211)
        trial.transform = transform
        try expectTwins(trial)
    }

    /// Where nothing is taught, each bit is that of the cross entropy alone.
    @Test func withoutALessonItIsTheCrossEntropy() throws {
        var trial = DistillationTrial(rows: 6, columns: 211)
        trial.places = trial.places.map { _ in -1 }
        let engine = try CPUEngine(threads: 1)
        let found = try outcome(of: trial, on: engine)
        let (losses, logits) = (
            try tensor([Float](repeating: 0, count: 6), on: engine), try tensor(trial.logits, on: engine)
        )
        let targets = Tensor<CPUBuffer>(
            Region(.int32, start: 0, count: 6), of: try engine.makeBuffer(count: 6))
        engine.upload(trial.targets.span, to: targets)
        engine.crossEntropy(
            losses: losses, logits: logits, targets: targets, shape: trial.shape, transform: trial.transform,
            gradientScale: 0.25)
        #expect(found["losses"] == values(losses, on: engine) && found["losses"] == found["entropies"])
        #expect(found["dLogits"] == values(logits, on: engine))
        #expect(found["divergences"]?.allSatisfy { $0 == 0 } == true)
    }

    @Test(arguments: transforms + [LogitTransform()]) func gradients(transform: LogitTransform) {
        let trial = DistillationTrial(rows: 4, columns: 9)
        let engine = ReferenceEngine()
        let losses = ReferenceTensor.zeros(4)
        func forward(_ x: [Double]) -> ReferenceTensor {
            let logits = ReferenceTensor(x)
            engine.transformLogits(logits, transform: transform)
            engine.distill(
                losses: losses, entropies: .zeros(4), divergences: .zeros(4), logits: logits,
                targets: ReferenceTensor(trial.targets),
                lesson: Lesson(
                    logits: ReferenceTensor(trial.teacher.map(Double.init)), columns: trial.columns,
                    places: ReferenceTensor(trial.places), tokens: ReferenceTensor(trial.tokens),
                    weight: 0.5, temperature: 2),
                shape: trial.shape, transform: transform, gradientScale: 0.5)
            return logits
        }
        let x = trial.logits.map(Double.init)
        expectGradient(forward(x).values, at: x) { x in
            _ = forward(x)
            return 0.5 * losses.values.reduce(0, +)
        }
    }
}
