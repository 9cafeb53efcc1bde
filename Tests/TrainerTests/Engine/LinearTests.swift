import Models
import Testing

@testable import Trainer

private struct LinearTrial: Trial {
    var shape: LinearShape
    var biased: Bool

    func perform<Device: Engine>(on bench: inout Bench<Device>) throws {
        let engine = bench.engine
        let (R, I, O) = (shape.rows, shape.inputs, shape.outputs)
        var numbers = Numbers(seed: R + I + O)
        let x = try bench.input(numbers.floats(R * I))
        let dy = try bench.input(numbers.floats(R * O))
        let weights = numbers.floats(O * I)
        let weight = try bench.input(weights)
        let biases = numbers.floats(O)
        let bias = biased ? try bench.input(biases) : nil
        let (outputs, inputs) = (numbers.floats(R * O), numbers.floats(R * I))
        engine.linear(
            try bench.output("y", count: R * O), x, weight: weight, bias: bias, shape: shape, adds: false)
        engine.linear(
            try bench.output("y, added to", outputs), x, weight: weight, bias: bias, shape: shape, adds: true)
        engine.linearBackward(
            dx: try bench.output("dx", count: R * I), dy: dy, weight: weight, shape: shape, adds: false)
        engine.linearBackward(
            dx: try bench.output("dx, added to", inputs), dy: dy, weight: weight, shape: shape, adds: true)
        engine.linearBackward(
            dWeight: try bench.output("dWeight", count: O * I),
            dBias: biased ? try bench.output("dBias", count: O) : nil, dy: dy, x: x, shape: shape,
            accumulate: false)
        engine.linearBackward(
            dWeight: try bench.output("dWeight, added to", weights),
            dBias: biased ? try bench.output("dBias, added to", biases) : nil, dy: dy, x: x, shape: shape,
            accumulate: true)
    }
}

@Suite struct LinearTests {
    // A tile of a product is at most 512 by 768; 16 is its granularity, and the most rows that are multiplied as vectors.
    @Test(
        arguments: [
            (1, 1, 1), (3, 5, 7), (17, 16, 15), (300, 130, 50), (257, 3, 385), (5, 400, 9), (2, 7, 800),
            (1, 300, 1), (600, 2, 3), (16, 70, 33), (7, 33, 5), (6, 1, 2), (1, 4_096, 40),
        ], [true, false])
    func twins(size: (rows: Int, inputs: Int, outputs: Int), biased: Bool) throws {
        let shape = LinearShape(rows: size.rows, inputs: size.inputs, outputs: size.outputs)
        try expectTwins(LinearTrial(shape: shape, biased: biased))
    }

    @Test(arguments: [(1, 1, 1), (4, 3, 2), (3, 5, 7)])
    func gradients(rows: Int, inputs: Int, outputs: Int) {
        var numbers = Numbers(seed: rows)
        let engine = ReferenceEngine()
        let shape = LinearShape(rows: rows, inputs: inputs, outputs: outputs)
        let (x, w) = (numbers.doubles(rows * inputs), numbers.doubles(outputs * inputs))
        let (bias, dy) = (numbers.doubles(outputs), numbers.doubles(rows * outputs))
        func loss(x: [Double], w: [Double], bias: [Double]) -> Double {
            let y = ReferenceTensor.zeros(rows * outputs)
            engine.linear(y, Tensor(x), weight: Tensor(w), bias: Tensor(bias), shape: shape, adds: false)
            return dot(y.values, dy)
        }
        let (dx, dw) = (ReferenceTensor.zeros(x.count), ReferenceTensor.zeros(w.count))
        let dBias = ReferenceTensor.zeros(outputs)
        engine.linearBackward(dx: dx, dy: Tensor(dy), weight: Tensor(w), shape: shape, adds: false)
        engine.linearBackward(
            dWeight: dw, dBias: dBias, dy: Tensor(dy), x: Tensor(x), shape: shape, accumulate: false)
        expectGradient(dx.values, at: x) { loss(x: $0, w: w, bias: bias) }
        expectGradient(dw.values, at: w) { loss(x: x, w: $0, bias: bias) }
        expectGradient(dBias.values, at: bias) { loss(x: x, w: w, bias: $0) }
    }
}
