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

    /// The cross entropy and, where a row has a place in the lesson, Σ q (log q − log p) over the tokens that both have,
    /// p and q being the softmaxes of both models' logits over the temperature.
    func distill(
        losses: ReferenceTensor, entropies: ReferenceTensor, divergences: ReferenceTensor,
        logits: ReferenceTensor, targets: ReferenceTensor, lesson: Lesson<ReferenceBuffer>, shape: RowShape,
        transform: LogitTransform, gradientScale: Float
    ) {
        let (R, V, U) = (shape.rows, shape.columns, lesson.columns)
        let (x, z) = (logits.values, lesson.logits.values)  // (R, V), (N, U)
        let (targets, places, tokens) = (targets.integers, lesson.places.integers, lesson.tokens.integers)
        let (scale, weight, T) = (
            Double(gradientScale), Double(lesson.weight), Double(lesson.temperature)
        )
        let shared = (0..<V).filter { tokens[$0] >= 0 }
        func softmax(_ values: [Double]) -> [Double] {
            let top = values.reduce(-.infinity, max)
            let sum = values.reduce(0) { $0 + exp($1 - top) }
            return values.map { exp($0 - top) / sum }
        }
        var (loss, entropy, divergence) = (zeros(R), zeros(R), zeros(R))
        var dx = zeros(R * V)
        for r in 0..<R where targets[r] >= 0 {
            let row = Array(x[r * V..<(r + 1) * V])
            let share = places[r] < 0 ? 0 : weight
            let all = softmax(row)
            entropy[r] = -log(all[targets[r]])
            var d = all.map { (1 - share) * $0 }
            d[targets[r]] -= 1 - share
            if places[r] >= 0 {
                let p = softmax(shared.map { row[$0] / T })
                let q = softmax(shared.map { z[places[r] * U + tokens[$0]] / T })
                divergence[r] = zip(p, q).reduce(0) { $0 + $1.1 * (log($1.1) - log($1.0)) }
                for (index, c) in shared.enumerated() { d[c] += share * T * (p[index] - q[index]) }
            }
            loss[r] = (1 - share) * entropy[r] + share * T * T * divergence[r]
            for c in 0..<V {
                let slope = transform.softCap.map { 1 - (row[c] / Double($0)) * (row[c] / Double($0)) } ?? 1
                dx[r * V + c] = scale * d[c] * Double(transform.factor) * slope
            }
        }
        (losses.values, entropies.values, divergences.values, logits.values) = (
            loss, entropy, divergence, dx
        )
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
