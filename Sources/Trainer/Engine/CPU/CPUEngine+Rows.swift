internal import CKernels

// Rows of tables, sums, and linear layers.
extension CPUEngine {
    /// See ``Engine/embed(_:table:indices:factor:shape:adds:)``.
    public func embed(
        _ out: Tensor<CPUBuffer>, table: Tensor<CPUBuffer>, indices: Tensor<CPUBuffer>, factor: Float,
        shape: RowShape, adds: Bool
    ) {
        let columns = shape.columns
        precondition(out.count == shape.count && indices.count == shape.rows && table.count % columns == 0)
        pool.forEachPiece(.embedding, of: shape.rows, cost: columns) { rows in
            let row = UnsafeMutablePointer<Float>.allocate(capacity: adds ? columns : 0)
            defer { unsafe row.deallocate() }
            for index in rows {
                let start = unsafe Int(indices.integers[index]) * columns
                let out = unsafe out.floats + index * columns
                if adds {
                    let values = unsafe table.unpacked(start..<start + columns, into: row)
                    unsafe ck_add_scaled(out, out, values, factor, columns)
                } else {
                    unsafe table.unpack(start..<start + columns, into: out)
                    if factor != 1 { unsafe ck_scale(out, out, factor, columns) }
                }
            }
        }
    }

    /// See ``Engine/embedBackward(dTable:dOut:indices:factor:shape:accumulate:)``.
    public func embedBackward(
        dTable: Tensor<CPUBuffer>, dOut: Tensor<CPUBuffer>, indices: Tensor<CPUBuffer>, factor: Float,
        shape: RowShape, accumulate: Bool
    ) {
        precondition(dOut.count == shape.count && indices.count == shape.rows)
        if !accumulate {
            pool.forEachPiece(.embedding, of: dTable.count, cost: 1) { range in
                unsafe (dTable.floats + range.lowerBound).update(repeating: 0, count: range.count)
            }
        }
        // Split by columns: two rows may add to one token's gradient, and their order must not change.
        pool.forEachPiece(.embedding, of: shape.columns / 16 + 1, cost: shape.rows * 16) { pieces in
            let columns = pieces.lowerBound * 16..<min(shape.columns, pieces.upperBound * 16)
            guard !columns.isEmpty else { return }
            for row in 0..<shape.rows {
                let index = unsafe Int(indices.integers[row])
                let sum = unsafe dTable.floats + index * shape.columns + columns.lowerBound
                unsafe ck_add_scaled(
                    sum, sum, dOut.floats + row * shape.columns + columns.lowerBound, factor, columns.count)
            }
        }
    }

    /// See ``Engine/add(_:_:_:factor:)``.
    public func add(
        _ sum: Tensor<CPUBuffer>, _ x: Tensor<CPUBuffer>, _ delta: Tensor<CPUBuffer>, factor: Float
    ) {
        precondition(sum.count == x.count && sum.count == delta.count)
        pool.forEachPiece(.elementwise, of: sum.count, cost: 3) { range in
            let start = range.lowerBound
            unsafe ck_add_scaled(
                sum.floats + start, x.floats + start, delta.floats + start, factor, range.count)
        }
    }

    /// See ``Engine/scale(_:_:factor:)``.
    public func scale(_ y: Tensor<CPUBuffer>, _ x: Tensor<CPUBuffer>, factor: Float) {
        precondition(y.count == x.count)
        pool.forEachPiece(.elementwise, of: y.count, cost: 2) { range in
            unsafe ck_scale(y.floats + range.lowerBound, x.floats + range.lowerBound, factor, range.count)
        }
    }

    /// See ``Engine/linear(_:_:weight:bias:shape:adds:)``.
    public func linear(
        _ y: Tensor<CPUBuffer>, _ x: Tensor<CPUBuffer>, weight: Tensor<CPUBuffer>, bias: Tensor<CPUBuffer>?,
        shape: LinearShape, adds: Bool
    ) {
        let product = Product(
            c: Matrix(y, stride: shape.outputs), a: Matrix(x, stride: shape.inputs),
            b: Matrix(weight, stride: shape.inputs, transposed: true),
            m: shape.rows, n: shape.outputs, k: shape.inputs)
        if product.hasFewRows {
            multiplyVectors([product], accumulate: adds)
        } else {
            multiply([product], accumulate: adds)
        }
        guard let bias else { return }
        pool.forEachPiece(.matrixProduct, of: shape.rows, cost: shape.outputs) { rows in
            unsafe ck_add_bias(
                y.floats + rows.lowerBound * shape.outputs, bias.floats, rows.count, shape.outputs)
        }
    }

    /// See ``Engine/linearBackward(dx:dy:weight:shape:adds:)``.
    public func linearBackward(
        dx: Tensor<CPUBuffer>, dy: Tensor<CPUBuffer>, weight: Tensor<CPUBuffer>, shape: LinearShape,
        adds: Bool
    ) {
        multiply(
            Matrix(dx, stride: shape.inputs), Matrix(dy, stride: shape.outputs),
            Matrix(weight, stride: shape.inputs),
            m: shape.rows, n: shape.inputs, k: shape.outputs, accumulate: adds)
    }

    /// See ``Engine/linearBackward(dWeight:dBias:dy:x:shape:accumulate:)``.
    public func linearBackward(
        dWeight: Tensor<CPUBuffer>?, dBias: Tensor<CPUBuffer>?, dy: Tensor<CPUBuffer>, x: Tensor<CPUBuffer>,
        shape: LinearShape, accumulate: Bool
    ) {
        if let dWeight {
            multiply(
                Matrix(dWeight, stride: shape.inputs), Matrix(dy, stride: shape.outputs, transposed: true),
                Matrix(x, stride: shape.inputs),
                m: shape.outputs, n: shape.inputs, k: shape.rows, accumulate: accumulate)
        }
        guard let dBias else { return }
        pool.forEachPiece(.matrixProduct, of: shape.outputs, cost: shape.rows) { columns in
            unsafe ck_sum_rows(
                dBias.floats + columns.lowerBound, dy.floats + columns.lowerBound, shape.rows,
                shape.outputs, columns.count, accumulate ? 1 : 0)
        }
    }
}
