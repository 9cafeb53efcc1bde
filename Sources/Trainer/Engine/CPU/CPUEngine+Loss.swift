internal import CKernels

extension CPUEngine {
    /// See ``Engine/transformLogits(_:transform:)``.
    public func transformLogits(_ logits: Tensor<CPUBuffer>, transform: LogitTransform) {
        guard !transform.isIdentity else { return }
        pool.forEachPiece(.loss, of: logits.count, cost: 1) { range in
            let values = unsafe logits.floats + range.lowerBound
            if let softCap = transform.softCap {
                unsafe ck_cap(values, range.count, transform.factor, softCap)
            } else {
                unsafe ck_scale(values, values, transform.factor, range.count)
            }
        }
    }

    /// See ``Engine/crossEntropy(losses:logits:targets:shape:transform:gradientScale:)``.
    public func crossEntropy(
        losses: Tensor<CPUBuffer>, logits: Tensor<CPUBuffer>, targets: Tensor<CPUBuffer>, shape: RowShape,
        transform: LogitTransform, gradientScale: Float?
    ) {
        precondition(
            losses.count == shape.rows && logits.count == shape.count && targets.count == shape.rows)
        pool.forEachPiece(.loss, of: shape.rows, cost: shape.columns) { rows in
            unsafe ck_cross_entropy(
                losses.floats + rows.lowerBound, logits.floats + rows.lowerBound * shape.columns,
                targets.integers + rows.lowerBound, rows.count, shape.columns, gradientScale == nil ? 0 : 1,
                gradientScale ?? 0, transform.factor, transform.softCap ?? 0)
        }
    }

    /// See ``Engine/distill(losses:entropies:divergences:logits:targets:lesson:shape:transform:gradientScale:)``.
    public func distill(
        losses: Tensor<CPUBuffer>, entropies: Tensor<CPUBuffer>, divergences: Tensor<CPUBuffer>,
        logits: Tensor<CPUBuffer>, targets: Tensor<CPUBuffer>, lesson: Lesson<CPUBuffer>, shape: RowShape,
        transform: LogitTransform, gradientScale: Float
    ) {
        precondition(
            [losses, entropies, divergences, targets, lesson.places].allSatisfy { $0.count == shape.rows }
                && logits.count == shape.count && lesson.tokens.count == shape.columns
                && lesson.logits.count.isMultiple(of: lesson.columns))
        pool.forEachPiece(.loss, of: shape.rows, cost: 3 * shape.columns) { rows in
            unsafe ck_distill(
                losses.floats + rows.lowerBound, entropies.floats + rows.lowerBound,
                divergences.floats + rows.lowerBound, logits.floats + rows.lowerBound * shape.columns,
                targets.integers + rows.lowerBound, rows.count, shape.columns, lesson.logits.floats,
                lesson.columns, lesson.places.integers + rows.lowerBound, lesson.tokens.integers,
                lesson.weight, lesson.temperature, gradientScale, transform.factor, transform.softCap ?? 0)
        }
    }

    /// See ``Engine/addSum(of:to:)``.
    public func addSum(of values: Tensor<CPUBuffer>, to scalar: CPUScalar) {
        var sum = scalar.value
        for index in 0..<values.count { sum += unsafe Double(values.floats[index]) }
        scalar.value = sum
    }
}
