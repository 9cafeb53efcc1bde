import Foundation
import Models

@testable import Trainer

extension ReferenceEngine {
    func transformLogits(_ logits: ReferenceTensor, transform: LogitTransform) {
        logits.values = logits.values.map { logit in
            let x = Double(transform.factor) * logit
            return transform.softCap.map { Double($0) * tanh(x / Double($0)) } ?? x
        }
    }

    /// loss = log Σ e^logit − logit[target]; its gradient is softmax(logits) − one-hot(target), which then goes
    /// back through what made the logits.
    func crossEntropy(
        losses: ReferenceTensor, logits: ReferenceTensor, targets: ReferenceTensor, shape: RowShape,
        transform: LogitTransform, gradientScale: Float?
    ) {
        let (R, V) = (shape.rows, shape.columns)
        let (x, targets) = (logits.values, targets.integers)  // (R, V), (R)
        var loss = zeros(R)
        var dx = zeros(R * V)
        for r in 0..<R where targets[r] >= 0 {
            let row = x[r * V..<(r + 1) * V]
            let target = r * V + targets[r]
            let top = row.reduce(-.infinity, max)
            let sum = row.reduce(0) { $0 + exp($1 - top) }
            loss[r] = log(sum) + (top - x[target])
            let scale = Double(gradientScale ?? 0)
            for i in row.indices {
                let t = transform.softCap.map { x[i] / Double($0) } ?? 0
                let d = exp(x[i] - top) / sum * scale - (i == target ? scale : 0)
                dx[i] = d * Double(transform.factor) * (1 - t * t)
            }
        }
        losses.values = loss
        if gradientScale != nil { logits.values = dx }
    }

    func addSum(of values: ReferenceTensor, to scalar: ReferenceScalar) {
        scalar.value += values.values.reduce(0, +)
    }

    func gradientNorm(_ gradients: [ReferenceTensor], to norm: ReferenceScalar) {
        norm.value = gradients.reduce(0) { $1.values.reduce($0) { $0 + $1 * $1 } }.squareRoot()
    }

    func adamW(_ updates: [AdamWUpdate<ReferenceBuffer>], norm: ReferenceScalar, clip: Double?) {
        let kept = clip.map { min(1, $0 / (norm.value + 1e-6)) } ?? 1
        for update in updates { adamW(update, kept: kept) }
    }

    private func adamW(_ update: AdamWUpdate<ReferenceBuffer>, kept: Double) {
        let step = update.step
        let epsilon = Double(step.epsilon)
        let own = update.runs.flatMap { run in
            [AdamWRun](repeating: run, count: run.count)
        }
        let (beta1, beta2) = (Double(step.beta1), Double(step.beta2))
        let g = update.gradients.values
        var (w, m, v) = (update.weights.values, update.mean.values, update.square.values)
        for i in w.indices {
            if !own.isEmpty, own[i].isFrozen {
                (m[i], v[i]) = (0, 0)
                continue
            }
            let gradient = g[i] * kept
            m[i] = beta1 * m[i] + (1 - beta1) * gradient
            v[i] = beta2 * v[i] + (1 - beta2) * gradient * gradient
            let corrected = (
                mean: m[i] / (1 - pow(beta1, Double(step.step))),
                square: v[i] / (1 - pow(beta2, Double(step.step)))
            )
            let rate = Double(own.isEmpty ? step.rate : own[i].rate)
            let decay = Double(own.isEmpty ? step.decay : own[i].decay)
            w[i] -= rate * decay * w[i]
            w[i] -= rate * corrected.mean / (corrected.square.squareRoot() + epsilon)
        }
        update.weights.values = w
        update.mean.values = m
        update.square.values = v
    }
}
