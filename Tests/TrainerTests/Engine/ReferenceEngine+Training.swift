import Foundation

@testable import Trainer

extension ReferenceEngine {
    /// loss = log Σ e^logit − logit[target]; its gradient is softmax(logits) − one-hot(target).
    func crossEntropy(
        losses: ReferenceBuffer, logits: ReferenceBuffer, targets: [Int32], shape: RowShape,
        gradientScale: Float?
    ) {
        let (R, V) = (shape.rows, shape.columns)
        let x = logits.values  // (R, V)
        var loss = zeros(R)
        var dx = zeros(R * V)
        for r in 0..<R where targets[r] >= 0 {
            let row = x[r * V..<(r + 1) * V]
            let target = r * V + Int(targets[r])
            let top = row.reduce(-.infinity, max)
            let sum = row.reduce(0) { $0 + exp($1 - top) }
            loss[r] = log(sum) + (top - x[target])
            let scale = Double(gradientScale ?? 0)
            for i in row.indices { dx[i] = exp(x[i] - top) / sum * scale }
            dx[target] -= scale
        }
        losses.values = loss
        if gradientScale != nil { logits.values = dx }
    }

    func sumOfSquares(_ x: Stored<ReferenceBuffer>) -> Double {
        x.values.reduce(0) { $0 + $1 * $1 }
    }

    func adamW(
        weights: ReferenceBuffer, gradients: Stored<ReferenceBuffer>, mean: Stored<ReferenceBuffer>,
        square: Stored<ReferenceBuffer>, step: AdamWStep
    ) {
        let (rate, decay, epsilon) = (Double(step.rate), Double(step.decay), Double(step.epsilon))
        let (beta1, beta2) = (Double(step.beta1), Double(step.beta2))
        let g = gradients.values
        var (w, m, v) = (weights.values, mean.values, square.values)
        for i in w.indices {
            let gradient = g[i] * Double(step.gradientScale)
            m[i] = beta1 * m[i] + (1 - beta1) * gradient
            v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient
            let corrected = (
                mean: m[i] / (1 - pow(beta1, Double(step.step))),
                square: v[i] / (1 - pow(beta2, Double(step.step)))
            )
            w[i] -= rate * decay * w[i]
            w[i] -= rate * corrected.mean / (corrected.square.squareRoot() + epsilon)
        }
        weights.values = w
        mean.values = m
        square.values = v
    }
}
