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
    public func sumOfSquares(_ x: Stored<CPUBuffer>) -> Double {
        let piece = 65_536
        let pieces = (x.count + piece - 1) / piece
        return unsafe withUnsafeTemporaryAllocation(of: Double.self, capacity: pieces) { sums in
            unsafe sums.initialize(repeating: 0)
            pool.run(.optimizer, pieces) { task, _ in
                let range = task * piece..<min((task + 1) * piece, x.count)
                unsafe sums[task] = x.sumOfSquares(range)
            }
            return unsafe sums.reduce(0, +)
        }
    }
}

extension Stored<CPUBuffer> {
    /// The sum of the squares at `range`; packed values some at a time, so that they stay in the nearest cache.
    fileprivate func sumOfSquares(_ range: Range<Int>) -> Double {
        guard precision != .f32 else {
            return unsafe ck_sum_of_squares(words.pointer + range.lowerBound, range.count)
        }
        let part = 1_024
        return unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: part) { memory in
            guard let memory = memory.baseAddress else { return 0 }
            var sum = 0.0
            for start in stride(from: range.lowerBound, to: range.upperBound, by: part) {
                let end = min(start + part, range.upperBound)
                sum += unsafe ck_sum_of_squares(unpacked(start..<end, into: memory), end - start)
            }
            return sum
        }
    }
}
