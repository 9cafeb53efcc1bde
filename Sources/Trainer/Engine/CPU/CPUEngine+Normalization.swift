internal import CKernels

extension CPUEngine {
    /// See ``Engine/normalize(_:rstd:x:addition:weight:epsilon:shape:)``.
    public func normalize(
        _ y: CPUBuffer, rstd: CPUBuffer, x: CPUBuffer, addition: (sum: CPUBuffer, delta: CPUBuffer)?,
        weight: CPUBuffer, epsilon: Float, shape: RowShape
    ) {
        pool.forEachPiece(.norm, of: shape.rows, cost: 4 * shape.columns) { rows in
            let start = rows.lowerBound * shape.columns
            unsafe ck_add_rmsnorm(
                addition.map { unsafe $0.sum.pointer + start }, y.pointer + start,
                rstd.pointer + rows.lowerBound, x.pointer + start,
                addition.map { unsafe UnsafePointer($0.delta.pointer + start) }, weight.pointer,
                rows.count, shape.columns, epsilon)
        }
    }

    /// See ``Engine/renormalize(_:x:rstd:weight:shape:)``.
    public func renormalize(_ y: CPUBuffer, x: CPUBuffer, rstd: CPUBuffer, weight: CPUBuffer, shape: RowShape)
    {
        pool.forEachPiece(.norm, of: shape.rows, cost: 2 * shape.columns) { rows in
            let start = rows.lowerBound * shape.columns
            unsafe ck_rmsnorm_apply(
                y.pointer + start, x.pointer + start, rstd.pointer + rows.lowerBound, weight.pointer,
                rows.count, shape.columns)
        }
    }

    /// How many rows share a sum of their weight's gradient.
    private static let normBlock = 32

    /// How many such sums there are.
    static func normBlocks(_ rows: Int) -> Int { (rows + normBlock - 1) / normBlock }

    /// See ``Engine/normalizeBackward(dx:addToDx:dWeight:dy:x:weight:rstd:shape:accumulate:)``.
    public func normalizeBackward(
        dx: CPUBuffer, addToDx: Bool, dWeight: CPUBuffer?, dy: CPUBuffer, x: CPUBuffer, weight: CPUBuffer,
        rstd: CPUBuffer, shape: RowShape, accumulate: Bool
    ) {
        // Each block of rows sums its own share of dWeight; the shares are then added in order.
        let (block, blocks) = (Self.normBlock, Self.normBlocks(shape.rows))
        let shares = scratch(count: blocks * shape.columns)
        pool.run(.norm, blocks) { task, _ in
            let rows = task * block..<min(shape.rows, (task + 1) * block)
            let start = rows.lowerBound * shape.columns
            unsafe ck_rmsnorm_backward(
                dx.pointer + start, shares.pointer + task * shape.columns, dy.pointer + start,
                x.pointer + start,
                weight.pointer, rstd.pointer + rows.lowerBound, rows.count, shape.columns, addToDx ? 1 : 0)
        }
        guard let dWeight else { return }
        unsafe ck_sum_rows(
            dWeight.pointer, shares.pointer, blocks, shape.columns, shape.columns, accumulate ? 1 : 0)
    }
}
