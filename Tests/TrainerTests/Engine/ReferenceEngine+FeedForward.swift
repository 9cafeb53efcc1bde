import Foundation
import Models

@testable import Trainer

extension ReferenceEngine {
    func glu(_ y: ReferenceTensor, gateUp: ReferenceTensor, unit: GatedUnit, shape: RowShape) {
        let x = gateUp.values  // (R, 2F)
        var result = zeros(shape.count)
        forEachPair(of: unit, shape) { index, gate, up in
            switch unit.kind {
            case .product(let activation): result[index] = activation.value(x[gate]) * x[up]
            case .clamped(let alpha, let limit):
                let (g, u) = clamped(x[gate], x[up], limit)
                result[index] = g * sigmoid(Double(alpha) * g) * (u + 1)
            }
        }
        y.values = result
    }

    func gluBackward(
        y: ReferenceTensor, gateUp: ReferenceTensor, dy: ReferenceTensor, unit: GatedUnit, shape: RowShape
    ) {
        let (x, dy) = (gateUp.values, dy.values)  // (R, 2F), (R, F)
        glu(y, gateUp: gateUp, unit: unit, shape: shape)
        var dx = zeros(2 * shape.count)
        forEachPair(of: unit, shape) { index, gate, up in
            let d = dy[index]
            switch unit.kind {
            case .product(let activation):
                dx[gate] = d * x[up] * activation.slope(x[gate])
                dx[up] = d * activation.value(x[gate])
            case .clamped(let alpha, let limit):
                let (g, u) = clamped(x[gate], x[up], limit)
                let s = sigmoid(Double(alpha) * g)
                dx[gate] = g == x[gate] ? d * (u + 1) * (s + Double(alpha) * g * s * (1 - s)) : 0
                dx[up] = u == x[up] ? d * g * s : 0
            }
        }
        gateUp.values = dx
    }

    func activate(_ y: ReferenceTensor, _ x: ReferenceTensor, activation: Activation) {
        y.values = x.values.map(activation.value)
    }

    func activateBackward(
        y: ReferenceTensor, x: ReferenceTensor, dy: ReferenceTensor, activation: Activation
    ) {
        activate(y, x, activation: activation)
        x.values = zip(x.values, dy.values).map { $1 * activation.slope($0) }
    }

    /// min(g, limit) and u within ±limit.
    private func clamped(_ g: Double, _ u: Double, _ limit: Float) -> (Double, Double) {
        (min(g, Double(limit)), max(-Double(limit), min(u, Double(limit))))
    }

    /// Calls `body` with each value's place in y(R, F), and its gate's and what that gates in (R, 2F).
    private func forEachPair(
        of unit: GatedUnit, _ shape: RowShape, _ body: (_ index: Int, _ gate: Int, _ up: Int) -> Void
    ) {
        let F = shape.columns
        for r in 0..<shape.rows {
            for f in 0..<F {
                let row = r * 2 * F
                let (gate, up) = unit.isInterleaved ? (row + 2 * f, row + 2 * f + 1) : (row + f, row + F + f)
                body(r * F + f, gate, up)
            }
        }
    }
}

extension Activation {
    /// The activation.
    func value(_ x: Double) -> Double {
        switch self {
        case .silu: x * sigmoid(x)
        case .gelu: x * erfc(-x / 2.0.squareRoot()) / 2
        case .geluTanh: x * (1 + tanh(inner(x))) / 2
        case .geluQuick: x * sigmoid(1.702 * x)
        case .relu: max(0, x)
        case .reluSquared: max(0, x) * max(0, x)
        }
    }

    /// Its derivative.
    func slope(_ x: Double) -> Double {
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
        case .geluQuick:
            let s = sigmoid(1.702 * x)
            return s + 1.702 * x * s * (1 - s)
        case .relu: return x > 0 ? 1 : 0
        case .reluSquared: return 2 * max(0, x)
        }
    }

    private func inner(_ x: Double) -> Double { (2 / Double.pi).squareRoot() * (x + 0.044715 * x * x * x) }
}

/// 1 / (1 + e^−x).
func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
