import Testing

@testable import Trainer

private struct NormalizationTrial: Trial {
    var shape: RowShape
    var scale: Float = 1

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        var numbers = Numbers(seed: shape.count)
        let x = try bench.input(numbers.floats(shape.count, scale: scale))
        let delta = try bench.input(numbers.floats(shape.count, scale: scale))
        let weights = numbers.floats(shape.columns)
        let weight = try bench.input(weights)
        let dy = try bench.input(numbers.floats(shape.count))
        let before = numbers.floats(shape.count, scale: 1 / scale)

        let rstd = try bench.output("rstd", count: shape.rows)
        engine.normalize(
            try bench.output("y", count: shape.count), rstd: rstd, x: x, addition: nil, weight: weight,
            epsilon: 1e-5, shape: shape)
        let sum = try bench.output("sum", count: shape.count)
        let sumRstd = try bench.output("rstd of the sum", count: shape.rows)
        engine.normalize(
            try bench.output("y of the sum", count: shape.count), rstd: sumRstd, x: x,
            addition: (sum: sum, delta: delta), weight: weight, epsilon: 1e-5, shape: shape)
        engine.renormalize(
            try bench.output("y again", count: shape.count), x: sum, rstd: sumRstd, weight: weight,
            shape: shape)
        engine.normalizeBackward(
            dx: try bench.output("dx", count: shape.count), addToDx: false,
            dWeight: try bench.output("dWeight", count: shape.columns), dy: dy, x: x, weight: weight,
            rstd: rstd, shape: shape, accumulate: false)
        engine.normalizeBackward(
            dx: try bench.output("dx, added to", before), addToDx: true,
            dWeight: try bench.output("dWeight, added to", weights), dy: dy, x: sum, weight: weight,
            rstd: sumRstd, shape: shape, accumulate: true)
    }
}

@Suite struct NormalizationTests {
    // 32 rows are a block of the backward pass; 16,384 values a piece of the forward pass.
    @Test(arguments: [(1, 2), (3, 7), (31, 64), (32, 65), (33, 130), (100, 300), (2, 20_000)])
    func twins(rows: Int, columns: Int) throws {
        try expectTwins(NormalizationTrial(shape: RowShape(rows: rows, columns: columns)))
    }

    @Test(arguments: [1e-3, 1e4] as [Float]) func twinsOfSmallAndLargeValues(scale: Float) throws {
        try expectTwins(NormalizationTrial(shape: RowShape(rows: 5, columns: 48), scale: scale))
    }

    @Test(arguments: [(33, 130), (5, 64), (64, 20)]) func renormalizingGivesTheSameBits(
        rows: Int, columns: Int
    ) throws {
        let trial = NormalizationTrial(shape: RowShape(rows: rows, columns: columns))
        let outcome = try outcome(of: trial, on: CPUEngine(threads: 2))
        #expect(outcome["y again"] == outcome["y of the sum"])
    }

    @Test func zerosStayZeros() throws {
        let engine = try CPUEngine(threads: 1)
        let shape = RowShape(rows: 2, columns: 5)
        let (x, y) = (try engine.makeBuffer(count: 10), try engine.makeBuffer(count: 10))
        let weight = try buffer([1, 2, 3, 4, 5], on: engine)
        let rstd = try engine.makeBuffer(count: 2)
        engine.normalize(y, rstd: rstd, x: x, addition: nil, weight: weight, epsilon: 1e-4, shape: shape)
        #expect(values(y, on: engine) == [Float](repeating: 0, count: 10))
        #expect(values(rstd, on: engine).allSatisfy { abs($0 - 100) < 1e-4 })
    }

    @Test(arguments: [(1, 2), (2, 3), (4, 7)]) func gradients(rows: Int, columns: Int) {
        var numbers = Numbers(seed: columns)
        let engine = ReferenceEngine()
        let shape = RowShape(rows: rows, columns: columns)
        let (x, w) = (numbers.doubles(shape.count), numbers.doubles(columns))
        let dy = numbers.doubles(shape.count)
        let rstd = ReferenceBuffer(zeros(rows))
        func loss(x: [Double], w: [Double]) -> Double {
            let y = ReferenceBuffer(zeros(shape.count))
            engine.normalize(
                y, rstd: rstd, x: ReferenceBuffer(x), addition: nil, weight: ReferenceBuffer(w),
                epsilon: 1e-2, shape: shape)
            return dot(y.values, dy)
        }
        _ = loss(x: x, w: w)
        let (dx, dw) = (ReferenceBuffer(zeros(x.count)), ReferenceBuffer(zeros(columns)))
        engine.normalizeBackward(
            dx: dx, addToDx: false, dWeight: dw, dy: ReferenceBuffer(dy), x: ReferenceBuffer(x),
            weight: ReferenceBuffer(w), rstd: rstd, shape: shape, accumulate: false)
        expectGradient(dx.values, at: x) { loss(x: $0, w: w) }
        expectGradient(dw.values, at: w) { loss(x: x, w: $0) }
    }
}
