import Foundation

@testable import Trainer

// MARK: Embedding and linear layers

extension ReferenceEngine {
    func embed(_ out: ReferenceBuffer, table: ReferenceBuffer, tokens: [Int32], shape: RowShape) {
        let (R, C) = (shape.rows, shape.columns)
        let table = table.values  // (V, C)
        var result = zeros(R * C)
        for r in 0..<R {
            for c in 0..<C { result[r * C + c] = table[Int(tokens[r]) * C + c] }
        }
        out.values = result
    }

    func embedBackward(
        dTable: ReferenceBuffer, dOut: ReferenceBuffer, tokens: [Int32], shape: RowShape, accumulate: Bool
    ) {
        let (R, C) = (shape.rows, shape.columns)
        let dOut = dOut.values  // (R, C)
        var result = accumulate ? dTable.values : zeros(dTable.count)  // (V, C)
        for r in 0..<R {
            for c in 0..<C { result[Int(tokens[r]) * C + c] += dOut[r * C + c] }
        }
        dTable.values = result
    }

    func linear(
        _ y: ReferenceBuffer, _ x: ReferenceBuffer, weight: ReferenceBuffer, bias: ReferenceBuffer?,
        shape: LinearShape
    ) {
        let (R, I, O) = (shape.rows, shape.inputs, shape.outputs)
        let (x, w, bias) = (x.values, weight.values, bias?.values)  // (R, I), (O, I), (O)
        var result = zeros(R * O)
        for r in 0..<R {
            for o in 0..<O {
                var sum = bias?[o] ?? 0
                for i in 0..<I { sum += x[r * I + i] * w[o * I + i] }
                result[r * O + o] = sum
            }
        }
        y.values = result
    }

    func linearBackward(
        dx: ReferenceBuffer, dy: ReferenceBuffer, weight: ReferenceBuffer, shape: LinearShape
    ) {
        let (R, I, O) = (shape.rows, shape.inputs, shape.outputs)
        let (dy, w) = (dy.values, weight.values)  // (R, O), (O, I)
        var result = zeros(R * I)
        for r in 0..<R {
            for o in 0..<O {
                let d = dy[r * O + o]
                for i in 0..<I { result[r * I + i] += d * w[o * I + i] }
            }
        }
        dx.values = result
    }

    func linearBackward(
        dWeight: ReferenceBuffer, dBias: ReferenceBuffer?, dy: ReferenceBuffer, x: ReferenceBuffer,
        shape: LinearShape, accumulate: Bool
    ) {
        let (R, I, O) = (shape.rows, shape.inputs, shape.outputs)
        let (dy, x) = (dy.values, x.values)  // (R, O), (R, I)
        var dw = accumulate ? dWeight.values : zeros(O * I)
        var db = accumulate ? dBias?.values ?? zeros(O) : zeros(O)
        for r in 0..<R {
            for o in 0..<O {
                let d = dy[r * O + o]
                db[o] += d
                for i in 0..<I { dw[o * I + i] += d * x[r * I + i] }
            }
        }
        dWeight.values = dw
        dBias?.values = db
    }
}

// MARK: Root-mean-square normalisation

extension ReferenceEngine {
    func normalize(
        _ y: ReferenceBuffer, rstd: ReferenceBuffer, x: ReferenceBuffer,
        addition: (sum: ReferenceBuffer, delta: ReferenceBuffer)?, weight: ReferenceBuffer, epsilon: Float,
        shape: RowShape
    ) {
        let (R, C) = (shape.rows, shape.columns)
        var x = x.values  // (R, C)
        if let addition {
            let delta = addition.delta.values
            for i in 0..<R * C { x[i] += delta[i] }
            addition.sum.values = x
        }
        var factors = zeros(R)
        for r in 0..<R {
            var squares = 0.0
            for c in 0..<C { squares += x[r * C + c] * x[r * C + c] }
            factors[r] = 1 / (squares / Double(C) + Double(epsilon)).squareRoot()
        }
        rstd.values = factors
        y.values = scaled(x, by: factors, weight: weight.values, shape)
    }

    func renormalize(
        _ y: ReferenceBuffer, x: ReferenceBuffer, rstd: ReferenceBuffer, weight: ReferenceBuffer,
        shape: RowShape
    ) {
        y.values = scaled(x.values, by: rstd.values, weight: weight.values, shape)
    }

    /// Each row times its factor and, channel by channel, the weight.
    private func scaled(
        _ x: [Double], by factors: [Double], weight: [Double], _ shape: RowShape
    ) -> [Double] {
        let (R, C) = (shape.rows, shape.columns)
        var y = zeros(R * C)
        for r in 0..<R {
            for c in 0..<C { y[r * C + c] = weight[c] * x[r * C + c] * factors[r] }
        }
        return y
    }

    /// With n = x · rstd: dx = rstd · (w · dy − n · mean(w · dy · n)), dw = Σ dy · n over the rows.
    func normalizeBackward(
        dx: ReferenceBuffer, addToDx: Bool, dWeight: ReferenceBuffer, dy: ReferenceBuffer,
        x: ReferenceBuffer, weight: ReferenceBuffer, rstd: ReferenceBuffer, shape: RowShape, accumulate: Bool
    ) {
        let (R, C) = (shape.rows, shape.columns)
        let (dy, x, w, rstd) = (dy.values, x.values, weight.values, rstd.values)
        var result = addToDx ? dx.values : zeros(R * C)
        var dw = accumulate ? dWeight.values : zeros(C)
        for r in 0..<R {
            var mean = 0.0
            for c in 0..<C {
                let normed = x[r * C + c] * rstd[r]
                mean += w[c] * dy[r * C + c] * normed / Double(C)
                dw[c] += dy[r * C + c] * normed
            }
            for c in 0..<C {
                let normed = x[r * C + c] * rstd[r]
                result[r * C + c] += rstd[r] * (w[c] * dy[r * C + c] - normed * mean)
            }
        }
        dx.values = result
        dWeight.values = dw
    }
}

// MARK: Feed-forward

extension ReferenceEngine {
    func swiGLU(_ y: ReferenceBuffer, gateUp: ReferenceBuffer, shape: RowShape) {
        let (R, F) = (shape.rows, shape.columns)
        let x = gateUp.values  // (R, 2F)
        var result = zeros(R * F)
        for r in 0..<R {
            for f in 0..<F {
                let (gate, up) = (x[r * 2 * F + f], x[r * 2 * F + F + f])
                result[r * F + f] = gate * sigmoid(gate) * up
            }
        }
        y.values = result
    }

    func swiGLUBackward(y: ReferenceBuffer, gateUp: ReferenceBuffer, dy: ReferenceBuffer, shape: RowShape) {
        let (R, F) = (shape.rows, shape.columns)
        let (x, dy) = (gateUp.values, dy.values)  // (R, 2F), (R, F)
        swiGLU(y, gateUp: gateUp, shape: shape)
        var dx = zeros(R * 2 * F)
        for r in 0..<R {
            for f in 0..<F {
                let (gate, up, d) = (x[r * 2 * F + f], x[r * 2 * F + F + f], dy[r * F + f])
                let s = sigmoid(gate)
                dx[r * 2 * F + f] = d * up * (s + gate * s * (1 - s))
                dx[r * 2 * F + F + f] = d * gate * s
            }
        }
        gateUp.values = dx
    }
}

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
