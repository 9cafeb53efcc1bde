import Foundation

@testable import Trainer

// MARK: Embedding and linear layers

extension ReferenceEngine {
    func embed(_ out: ReferenceBuffer, table: Stored<ReferenceBuffer>, tokens: [Int32], shape: RowShape) {
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
        _ y: ReferenceBuffer, _ x: ReferenceBuffer, weight: Stored<ReferenceBuffer>,
        bias: ReferenceBuffer?, shape: LinearShape
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
        dx: ReferenceBuffer, dy: ReferenceBuffer, weight: Stored<ReferenceBuffer>, shape: LinearShape
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
        dWeight: Stored<ReferenceBuffer>?, dBias: ReferenceBuffer?, dy: ReferenceBuffer,
        x: ReferenceBuffer, shape: LinearShape, accumulate: Bool
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
        dx: ReferenceBuffer, addToDx: Bool, dWeight: ReferenceBuffer?, dy: ReferenceBuffer,
        x: ReferenceBuffer, weight: ReferenceBuffer, rstd: ReferenceBuffer, shape: RowShape, accumulate: Bool
    ) {
        let (R, C) = (shape.rows, shape.columns)
        let (dy, x, w, rstd) = (dy.values, x.values, weight.values, rstd.values)
        var result = addToDx ? dx.values : zeros(R * C)
        var dw = accumulate ? dWeight?.values ?? zeros(C) : zeros(C)
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
        dWeight?.values = dw
    }
}

// MARK: Feed-forward

extension ReferenceEngine {
    func gatedUnit(
        _ y: ReferenceBuffer, gateUp: ReferenceBuffer, gate activation: GateActivation, shape: RowShape
    ) {
        let (R, F) = (shape.rows, shape.columns)
        let x = gateUp.values  // (R, 2F)
        var result = zeros(R * F)
        for r in 0..<R {
            for f in 0..<F {
                let (gate, up) = (x[r * 2 * F + f], x[r * 2 * F + F + f])
                result[r * F + f] = activation.value(gate) * up
            }
        }
        y.values = result
    }

    func gatedUnitBackward(
        y: ReferenceBuffer, gateUp: ReferenceBuffer, dy: ReferenceBuffer, gate activation: GateActivation,
        shape: RowShape
    ) {
        let (R, F) = (shape.rows, shape.columns)
        let (x, dy) = (gateUp.values, dy.values)  // (R, 2F), (R, F)
        gatedUnit(y, gateUp: gateUp, gate: activation, shape: shape)
        var dx = zeros(R * 2 * F)
        for r in 0..<R {
            for f in 0..<F {
                let (gate, up, d) = (x[r * 2 * F + f], x[r * 2 * F + F + f], dy[r * F + f])
                dx[r * 2 * F + f] = d * up * activation.slope(gate)
                dx[r * 2 * F + F + f] = d * activation.value(gate)
            }
        }
        gateUp.values = dx
    }
}

extension GateActivation {
    /// The activation.
    func value(_ x: Double) -> Double {
        switch self {
        case .silu: x * sigmoid(x)
        case .gelu: x * erfc(-x / 2.0.squareRoot()) / 2
        case .geluTanh: x * (1 + tanh(inner(x))) / 2
        }
    }

    /// Its derivative.
    fileprivate func slope(_ x: Double) -> Double {
        switch self {
        case .silu:
            let s = sigmoid(x)
            return s + x * s * (1 - s)
        case .gelu:
            return erfc(-x / 2.0.squareRoot()) / 2 + x * exp(-x * x / 2) / (2 * .pi).squareRoot()
        case .geluTanh:
            let t = tanh(inner(x))
            let slopeOfInner = (2 / Double.pi).squareRoot() * (1 + 3 * 0.044715 * x * x)
            return (1 + t) / 2 + x * (1 - t * t) / 2 * slopeOfInner
        }
    }

    private func inner(_ x: Double) -> Double { (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x) }
}

private func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
