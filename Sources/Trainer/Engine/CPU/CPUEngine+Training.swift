internal import CKernels
internal import Foundation

extension CPUEngine {
    /// See ``Engine/crossEntropy(losses:logits:targets:shape:gradientScale:)``.
    public func crossEntropy(
        losses: CPUBuffer, logits: CPUBuffer, targets: ArraySlice<Int32>, shape: RowShape,
        gradientScale: Float?
    ) {
        unsafe targets.withUnsafeBufferPointer { targets in
            guard let targets = targets.baseAddress else { return }
            pool.forEachPiece(.loss, of: shape.rows, cost: shape.columns) { rows in
                unsafe ck_cross_entropy(
                    losses.pointer + rows.lowerBound, logits.pointer + rows.lowerBound * shape.columns,
                    targets + rows.lowerBound, rows.count, shape.columns, gradientScale == nil ? 0 : 1,
                    gradientScale ?? 0)
            }
        }
    }

    /// See ``Engine/sumOfSquares(_:)``.
    public func sumOfSquares(_ x: CPUBuffer) -> Double {
        let piece = 65_536
        let pieces = (x.count + piece - 1) / piece
        return unsafe withUnsafeTemporaryAllocation(of: Double.self, capacity: pieces) { sums in
            unsafe sums.initialize(repeating: 0)
            pool.run(.optimizer, pieces) { task, _ in
                let start = task * piece
                unsafe sums[task] = ck_sum_of_squares(x.pointer + start, min(piece, x.count - start))
            }
            return unsafe sums.reduce(0, +)
        }
    }

    /// See ``Engine/adamW(weights:gradients:mean:square:step:)``.
    public func adamW(
        weights: CPUBuffer, gradients: CPUBuffer, mean: CPUBuffer, square: CPUBuffer, step: AdamWStep
    ) {
        var constants = ck_adamw(
            rate: step.rate, beta1: step.beta1, beta2: step.beta2, epsilon: step.epsilon, decay: step.decay,
            correction1: correction(step.beta1, step.step), correction2: correction(step.beta2, step.step),
            gradient_scale: step.gradientScale)
        unsafe withUnsafePointer(to: &constants) { constants in
            pool.forEachPiece(.optimizer, of: weights.count, cost: 1) { range in
                unsafe ck_adamw_step(
                    weights.pointer + range.lowerBound, gradients.pointer + range.lowerBound,
                    mean.pointer + range.lowerBound, square.pointer + range.lowerBound, range.count, constants
                )
            }
        }
    }
}

/// 1 / (1 − beta^step), in double precision: in float32 the difference would keep few digits.
private func correction(_ beta: Float, _ step: Int) -> Float {
    Float(1 / (1 - pow(Double(beta), Double(step))))
}
