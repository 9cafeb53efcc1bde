import Models

@testable import Trainer

// Rows of tables, sums, and linear layers.
extension ReferenceEngine {
    func embed(
        _ out: ReferenceTensor, table: ReferenceTensor, indices: ReferenceTensor, factor: Float,
        shape: RowShape, adds: Bool
    ) {
        let (R, C) = (shape.rows, shape.columns)
        let (table, indices) = (table.values, indices.integers)  // (N, C), (R)
        var result = adds ? out.values : zeros(R * C)
        for r in 0..<R {
            for c in 0..<C { result[r * C + c] += Double(factor) * table[indices[r] * C + c] }
        }
        out.values = result
    }

    func embedBackward(
        dTable: ReferenceTensor, dOut: ReferenceTensor, indices: ReferenceTensor, factor: Float,
        shape: RowShape, accumulate: Bool
    ) {
        let (R, C) = (shape.rows, shape.columns)
        let (dOut, indices) = (dOut.values, indices.integers)  // (R, C), (R)
        var result = accumulate ? dTable.values : zeros(dTable.count)  // (N, C)
        for r in 0..<R {
            for c in 0..<C { result[indices[r] * C + c] += Double(factor) * dOut[r * C + c] }
        }
        dTable.values = result
    }

    func add(_ sum: ReferenceTensor, _ x: ReferenceTensor, _ delta: ReferenceTensor, factor: Float) {
        sum.values = zip(x.values, delta.values).map { $0 + Double(factor) * $1 }
    }

    func scale(_ y: ReferenceTensor, _ x: ReferenceTensor, factor: Float) {
        y.values = x.values.map { Double(factor) * $0 }
    }

    func linear(
        _ y: ReferenceTensor, _ x: ReferenceTensor, weight: ReferenceTensor, bias: ReferenceTensor?,
        shape: LinearShape, adds: Bool
    ) {
        let (R, I, O) = (shape.rows, shape.inputs, shape.outputs)
        let (x, w, bias) = (x.values, weight.values, bias?.values)  // (R, I), (O, I), (O)
        var result = adds ? y.values : zeros(R * O)
        for r in 0..<R {
            for o in 0..<O {
                for i in 0..<I { result[r * O + o] += x[r * I + i] * w[o * I + i] }
                if let bias { result[r * O + o] += bias[o] }
            }
        }
        y.values = result
    }

    func linearBackward(
        dx: ReferenceTensor, dy: ReferenceTensor, weight: ReferenceTensor, shape: LinearShape, adds: Bool
    ) {
        let (R, I, O) = (shape.rows, shape.inputs, shape.outputs)
        let (dy, w) = (dy.values, weight.values)  // (R, O), (O, I)
        var result = adds ? dx.values : zeros(R * I)
        for r in 0..<R {
            for o in 0..<O {
                let d = dy[r * O + o]
                for i in 0..<I { result[r * I + i] += d * w[o * I + i] }
            }
        }
        dx.values = result
    }

    func linearBackward(
        dWeight: ReferenceTensor?, dBias: ReferenceTensor?, dy: ReferenceTensor, x: ReferenceTensor,
        shape: LinearShape, accumulate: Bool
    ) {
        let (R, I, O) = (shape.rows, shape.inputs, shape.outputs)
        let (dy, x) = (dy.values, x.values)  // (R, O), (R, I)
        var dw = accumulate ? dWeight?.values ?? zeros(O * I) : zeros(O * I)
        var db = accumulate ? dBias?.values ?? zeros(O) : zeros(O)
        for r in 0..<R {
            for o in 0..<O {
                let d = dy[r * O + o]
                db[o] += d
                for i in 0..<I { dw[o * I + i] += d * x[r * I + i] }
            }
        }
        dWeight?.values = dw
        dBias?.values = db
    }
}
