internal import CKernels
internal import Models

extension CPUEngine {
    /// See ``Engine/norm(_:rstd:mean:x:addition:scale:bias:shape:)``.
    public func norm(
        _ y: Tensor<CPUBuffer>, rstd: Tensor<CPUBuffer>, mean: Tensor<CPUBuffer>?, x: Tensor<CPUBuffer>,
        addition: (sum: Tensor<CPUBuffer>, delta: Tensor<CPUBuffer>, factor: Float)?,
        scale: Tensor<CPUBuffer>?, bias: Tensor<CPUBuffer>?, shape: NormShape
    ) {
        shape.check(scale: scale, bias: bias, mean: mean)
        pool.forEachPiece(.norm, of: shape.rows, cost: 4 * shape.width) { rows in
            var kernel = ck_norm(shape)
            let start = rows.lowerBound
            let input = start * shape.inputStride
            unsafe ck_norm_forward(
                y.floats + start * shape.outputStride, rstd.floats + start * shape.groups,
                mean.map { unsafe $0.floats + start * shape.groups }, x.floats + input,
                addition.map { unsafe $0.sum.floats + input },
                addition.map { unsafe UnsafePointer($0.delta.floats + input) }, addition?.factor ?? 1,
                scale.map { unsafe UnsafePointer($0.floats) }, bias.map { unsafe UnsafePointer($0.floats) },
                rows.count, &kernel)
        }
    }

    /// See ``Engine/recomputeNorm(_:x:rstd:mean:scale:bias:shape:)``.
    public func recomputeNorm(
        _ y: Tensor<CPUBuffer>, x: Tensor<CPUBuffer>, rstd: Tensor<CPUBuffer>, mean: Tensor<CPUBuffer>?,
        scale: Tensor<CPUBuffer>?, bias: Tensor<CPUBuffer>?, shape: NormShape
    ) {
        shape.check(scale: scale, bias: bias, mean: mean)
        pool.forEachPiece(.norm, of: shape.rows, cost: 2 * shape.width) { rows in
            var kernel = ck_norm(shape)
            let start = rows.lowerBound
            unsafe ck_norm_apply(
                y.floats + start * shape.outputStride, x.floats + start * shape.inputStride,
                rstd.floats + start * shape.groups,
                mean.map { unsafe UnsafePointer($0.floats + start * shape.groups) },
                scale.map { unsafe UnsafePointer($0.floats) }, bias.map { unsafe UnsafePointer($0.floats) },
                rows.count, &kernel)
        }
    }

    /// How many rows share a sum of their scale's gradient.
    private static let normBlock = 32

    /// How many such sums there are.
    static func normBlocks(_ rows: Int) -> Int { (rows + normBlock - 1) / normBlock }

    /// See ``Engine/normBackward(dx:adds:dScale:dBias:dy:x:scale:rstd:mean:shape:accumulate:)``.
    public func normBackward(
        dx: Tensor<CPUBuffer>, adds: Bool, dScale: Tensor<CPUBuffer>?, dBias: Tensor<CPUBuffer>?,
        dy: Tensor<CPUBuffer>, x: Tensor<CPUBuffer>, scale: Tensor<CPUBuffer>?, rstd: Tensor<CPUBuffer>,
        mean: Tensor<CPUBuffer>?, shape: NormShape, accumulate: Bool
    ) {
        shape.check(scale: scale ?? dScale, bias: dBias, mean: mean)
        // Each block of rows sums its own shares of dScale and dBias; the shares are then added in order.
        let (block, blocks, count) = (Self.normBlock, Self.normBlocks(shape.rows), shape.scaleCount)
        let shares = scratch(count: 2 * blocks * count)
        pool.run(.norm, blocks) { task, _ in
            let rows = task * block..<min(shape.rows, (task + 1) * block)
            let start = rows.lowerBound
            let share = unsafe shares.pointer + 2 * task * count
            var kernel = ck_norm(shape)
            unsafe ck_norm_backward(
                dx.floats + start * shape.outputStride, dScale == nil ? nil : share,
                dBias == nil ? nil : share + count, dy.floats + start * shape.outputStride,
                x.floats + start * shape.inputStride, scale.map { unsafe UnsafePointer($0.floats) },
                rstd.floats + start * shape.groups,
                mean.map { unsafe UnsafePointer($0.floats + start * shape.groups) }, rows.count,
                adds ? 1 : 0, &kernel)
        }
        for (gradient, place) in [(dScale, 0), (dBias, count)] {
            guard let gradient else { continue }
            unsafe ck_sum_rows(
                gradient.floats, shares.pointer + place, blocks, 2 * count, count, accumulate ? 1 : 0)
        }
    }
}

extension NormShape {
    /// Values of a row that are normalised.
    fileprivate var width: Int { groups * columns }

    fileprivate func check(
        scale: Tensor<CPUBuffer>?, bias: Tensor<CPUBuffer>?, mean: Tensor<CPUBuffer>?
    ) {
        precondition((scale?.count ?? scaleCount) == scaleCount && (bias?.count ?? scaleCount) == scaleCount)
        precondition(norm.kind == .rms || mean?.count == rows * groups, "LayerNorm keeps its means")
    }
}

extension ck_norm {
    /// The kernels' view of `shape`.
    fileprivate init(_ shape: NormShape) {
        self.init(
            groups: shape.groups, cols: shape.columns, in_stride: shape.inputStride,
            out_stride: shape.outputStride, centers: shape.norm.kind == .layer ? 1 : 0,
            adds_one: shape.norm.addsOne ? 1 : 0, own_scales: shape.hasOwnScales ? 1 : 0,
            eps: shape.norm.epsilon)
    }
}
