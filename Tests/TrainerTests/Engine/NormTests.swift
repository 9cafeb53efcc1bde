import Models
import Testing

@testable import Trainer

private struct NormTrial: Trial, CustomTestStringConvertible {
    var shape: NormShape
    var scale: Float = 1
    var factor: Float = 1

    var testDescription: String {
        "\(shape.norm.kind) \(shape.rows) × \(shape.groups) × \(shape.columns), "
            + "scale \(shape.norm.hasScale), 1+ \(shape.norm.addsOne), bias \(shape.norm.hasBias), "
            + "own \(shape.hasOwnScales), strides \(shape.inputStride) \(shape.outputStride)"
    }

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        let (norm, inputs, outputs) = (
            shape.norm, shape.rows * shape.inputStride, shape.rows * shape.outputStride
        )
        var numbers = Numbers(seed: inputs)
        let x = numbers.floats(inputs, scale: scale).map { $0 + scale / 2 }
        let delta = numbers.floats(inputs, scale: scale)
        let scales = numbers.floats(shape.scaleCount)
        let biases = numbers.floats(shape.scaleCount)
        let weight = norm.hasScale ? try bench.input(scales) : nil
        let bias = norm.hasBias ? try bench.input(biases) : nil
        let dy = numbers.floats(outputs)
        let before = numbers.floats(outputs, scale: 1 / scale)
        let groups = shape.rows * shape.groups
        let isLayer = norm.kind == .layer

        let rstd = try bench.output("rstd", count: groups)
        let mean = isLayer ? try bench.output("mean", count: groups) : nil
        engine.norm(
            try bench.output("y", before), rstd: rstd, mean: mean, x: try bench.input(x), addition: nil,
            scale: weight, bias: bias, shape: shape)
        engine.recomputeNorm(
            try bench.output("y again", before), x: try bench.input(x), rstd: rstd, mean: mean, scale: weight,
            bias: bias, shape: shape)
        engine.normBackward(
            dx: try bench.output("dx", before), adds: false,
            dScale: norm.hasScale ? try bench.output("dScale", count: shape.scaleCount) : nil,
            dBias: norm.hasBias ? try bench.output("dBias", count: shape.scaleCount) : nil,
            dy: try bench.input(dy), x: try bench.input(x), scale: weight, rstd: rstd, mean: mean,
            shape: shape, accumulate: false)
        let place = try bench.output("dx in place of dy", dy)
        engine.normBackward(
            dx: place, adds: false, dScale: nil,
            dBias: norm.hasBias ? try bench.output("dBias, added to", biases) : nil, dy: place,
            x: try bench.input(x), scale: weight, rstd: rstd, mean: mean, shape: shape, accumulate: true)

        guard shape.inputStride == shape.groups * shape.columns else { return }
        let sumRstd = try bench.output("rstd of the sum", count: groups)
        let sumMean = isLayer ? try bench.output("mean of the sum", count: groups) : nil
        let sum = try bench.output("sum", count: inputs)
        engine.norm(
            try bench.output("y of the sum", before), rstd: sumRstd, mean: sumMean, x: try bench.input(x),
            addition: (sum: sum, delta: try bench.input(delta), factor: factor), scale: weight, bias: bias,
            shape: shape)
        engine.normBackward(
            dx: try bench.output("dx, added to", before), adds: true,
            dScale: norm.hasScale ? try bench.output("dScale, added to", scales) : nil, dBias: nil,
            dy: try bench.input(dy), x: sum, scale: weight, rstd: sumRstd, mean: sumMean, shape: shape,
            accumulate: true)
        for name in ["x", "delta"] {
            let place = try bench.output("sum in place of \(name)", name == "x" ? x : delta)
            engine.norm(
                try bench.output("y of the sum in place of \(name)", before), rstd: sumRstd, mean: sumMean,
                x: name == "x" ? place : try bench.input(x),
                addition: (
                    sum: place, delta: name == "x" ? try bench.input(delta) : place, factor: factor
                ),
                scale: weight, bias: bias, shape: shape)
        }
    }
}

@Suite struct NormTests {
    /// All kinds of scale and bias, of both norms.
    private static let norms = [Norm.Kind.rms, .layer].flatMap { kind in
        [(true, false), (true, true), (false, false)].flatMap { hasScale, addsOne in
            [false, true].map {
                Norm(kind: kind, epsilon: 1e-5, addsOne: addsOne, hasScale: hasScale, hasBias: $0)
            }
        }
    }

    // 32 rows are a block of the backward pass; 16,384 values a piece of the forward pass.
    @Test(arguments: [(1, 2), (3, 7), (31, 64), (32, 65), (33, 130), (100, 300), (2, 20_000)])
    func twins(rows: Int, columns: Int) throws {
        try expectTwins(NormTrial(shape: NormShape(.rms(1e-5), rows: rows, columns: columns)))
    }

    @Test(arguments: norms, [(1, 3), (33, 70), (70, 16)])
    func twinsOfKinds(norm: Norm, size: (rows: Int, columns: Int)) throws {
        let shape = NormShape(norm, rows: size.rows, columns: size.columns)
        try expectTwins(NormTrial(shape: shape, factor: 0.22))
    }

    /// Groups with one scale or a scale each; rows that lie apart, as queries do among keys and values.
    @Test(arguments: norms, [false, true])
    func twinsOfGroups(norm: Norm, hasOwnScales: Bool) throws {
        for (rows, groups, columns, gaps) in [(1, 2, 3, 0), (40, 3, 8, 5), (65, 4, 33, 70)] {
            let width = groups * columns
            try expectTwins(
                NormTrial(
                    shape: NormShape(
                        norm, rows: rows, groups: groups, columns: columns, inputStride: width + gaps,
                        outputStride: width + gaps / 2, hasOwnScales: hasOwnScales)))
        }
    }

    @Test(arguments: [1e-3, 1e4] as [Float]) func twinsOfSmallAndLargeValues(scale: Float) throws {
        for norm in [Norm.rms(1e-5), .layer(1e-5, bias: true)] {
            let shape = NormShape(norm, rows: 5, columns: 48)
            try expectTwins(NormTrial(shape: shape, scale: scale))
        }
    }

    /// The variance is that of the distances to the mean, which a difference of large squares would lose.
    @Test func varianceAroundALargeMean() throws {
        let engine = try CPUEngine(threads: 1)
        let shape = NormShape(Norm.layer(0, bias: false), rows: 1, columns: 4)
        let (y, rstd) = (Tensor(try engine.makeBuffer(count: 4)), Tensor(try engine.makeBuffer(count: 1)))
        let mean = Tensor(try engine.makeBuffer(count: 1))
        engine.norm(
            y, rstd: rstd, mean: mean, x: try tensor([10_001, 9_999, 10_001, 9_999], on: engine),
            addition: nil, scale: nil, bias: nil, shape: shape)
        #expect(values(y, on: engine) == [1, -1, 1, -1] && values(mean, on: engine) == [10_000])
    }

    @Test(arguments: norms, [(33, 130), (5, 64), (64, 20)])
    func recomputingGivesTheSameBits(norm: Norm, size: (rows: Int, columns: Int)) throws {
        let trial = NormTrial(shape: NormShape(norm, rows: size.rows, columns: size.columns))
        let outcome = try outcome(of: trial, on: CPUEngine(threads: 2))
        #expect(outcome["y again"] == outcome["y"])
    }

    @Test func zerosStayZeros() throws {
        let engine = try CPUEngine(threads: 1)
        let (x, y) = (Tensor(try engine.makeBuffer(count: 10)), Tensor(try engine.makeBuffer(count: 10)))
        let rstd = Tensor(try engine.makeBuffer(count: 2))
        engine.norm(
            y, rstd: rstd, mean: nil, x: x, addition: nil, scale: try tensor([1, 2, 3, 4, 5], on: engine),
            bias: nil, shape: NormShape(.rms(1e-4), rows: 2, columns: 5))
        #expect(values(y, on: engine) == [Float](repeating: 0, count: 10))
        #expect(values(rstd, on: engine).allSatisfy { abs($0 - 100) < 1e-4 })
    }

    @Test(arguments: norms, [(1, 1, 2), (2, 1, 3), (4, 1, 7), (3, 2, 5)])
    func gradients(norm: Norm, size: (rows: Int, groups: Int, columns: Int)) {
        var norm = norm
        norm.epsilon = 1e-2
        for hasOwnScales in [false, true] {
            let shape = NormShape(
                norm, rows: size.rows, groups: size.groups, columns: size.columns, hasOwnScales: hasOwnScales)
            gradients(shape)
        }
    }

    private func gradients(_ shape: NormShape) {
        var numbers = Numbers(seed: shape.columns)
        let engine = ReferenceEngine()
        let count = shape.rows * shape.groups * shape.columns
        let (x, dy) = (numbers.doubles(count), numbers.doubles(count))
        let (w, b) = (numbers.doubles(shape.scaleCount), numbers.doubles(shape.scaleCount))
        let (rstd, mean) = (
            ReferenceTensor.zeros(shape.rows * shape.groups), ReferenceTensor.zeros(shape.rows * shape.groups)
        )
        func loss(x: [Double], w: [Double], b: [Double]) -> Double {
            let y = ReferenceTensor.zeros(count)
            engine.norm(
                y, rstd: rstd, mean: mean, x: Tensor(x), addition: nil,
                scale: shape.norm.hasScale ? Tensor(w) : nil, bias: shape.norm.hasBias ? Tensor(b) : nil,
                shape: shape)
            return dot(y.values, dy)
        }
        _ = loss(x: x, w: w, b: b)
        let (dx, dw) = (ReferenceTensor.zeros(count), ReferenceTensor.zeros(w.count))
        let db = ReferenceTensor.zeros(b.count)
        engine.normBackward(
            dx: dx, adds: false, dScale: dw, dBias: db, dy: Tensor(dy), x: Tensor(x),
            scale: shape.norm.hasScale ? Tensor(w) : nil, rstd: rstd, mean: mean, shape: shape,
            accumulate: false)
        // LayerNorm of two values is ±1, whatever they are, but for epsilon.
        expectGradient(dx.values, at: x, within: 1e-6) { loss(x: $0, w: w, b: b) }
        if shape.norm.hasScale { expectGradient(dw.values, at: w) { loss(x: x, w: $0, b: b) } }
        if shape.norm.hasBias { expectGradient(db.values, at: b) { loss(x: x, w: w, b: $0) } }
    }
}
