internal import CKernels

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
}
