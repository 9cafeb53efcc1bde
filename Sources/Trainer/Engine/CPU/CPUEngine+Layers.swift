internal import CKernels

extension CPUEngine {
    /// See ``Engine/embed(_:table:tokens:shape:)``.
    public func embed(_ out: CPUBuffer, table: CPUBuffer, tokens: ArraySlice<Int32>, shape: RowShape) {
        pool.forEachPiece(.embedding, of: shape.rows, cost: shape.columns) { rows in
            for row in rows {
                let token = Int(tokens[tokens.startIndex + row])
                unsafe (out.pointer + row * shape.columns).update(
                    from: table.pointer + token * shape.columns, count: shape.columns)
            }
        }
    }

    /// See ``Engine/embedBackward(dTable:dOut:tokens:shape:accumulate:)``.
    public func embedBackward(
        dTable: CPUBuffer, dOut: CPUBuffer, tokens: ArraySlice<Int32>, shape: RowShape, accumulate: Bool
    ) {
        if !accumulate { zero(dTable) }
        // Split by columns: two rows may add to one token's gradient, and their order must not change.
        pool.forEachPiece(.embedding, of: shape.columns / 16 + 1, cost: shape.rows * 16) { pieces in
            let columns = pieces.lowerBound * 16..<min(shape.columns, pieces.upperBound * 16)
            guard !columns.isEmpty else { return }
            for row in 0..<shape.rows {
                let token = Int(tokens[tokens.startIndex + row])
                unsafe ck_add(
                    dTable.pointer + token * shape.columns + columns.lowerBound,
                    dOut.pointer + row * shape.columns + columns.lowerBound, columns.count)
            }
        }
    }

    /// See ``Engine/linear(_:_:weight:bias:shape:)``.
    public func linear(
        _ y: CPUBuffer, _ x: CPUBuffer, weight: CPUBuffer, bias: CPUBuffer?, shape: LinearShape
    ) {
        unsafe multiply(
            Matrix(pointer: y.pointer, stride: shape.outputs),
            Matrix(pointer: x.pointer, stride: shape.inputs),
            Matrix(pointer: weight.pointer, stride: shape.inputs, transposed: true),
            m: shape.rows, n: shape.outputs, k: shape.inputs)
        guard let bias else { return }
        pool.forEachPiece(.matrixProduct, of: shape.rows, cost: shape.outputs) { rows in
            unsafe ck_add_bias(
                y.pointer + rows.lowerBound * shape.outputs, bias.pointer, rows.count, shape.outputs)
        }
    }

    /// See ``Engine/linearBackward(dx:dy:weight:shape:)``.
    public func linearBackward(dx: CPUBuffer, dy: CPUBuffer, weight: CPUBuffer, shape: LinearShape) {
        unsafe multiply(
            Matrix(pointer: dx.pointer, stride: shape.inputs),
            Matrix(pointer: dy.pointer, stride: shape.outputs),
            Matrix(pointer: weight.pointer, stride: shape.inputs),
            m: shape.rows, n: shape.inputs, k: shape.outputs)
    }

    /// See ``Engine/linearBackward(dWeight:dBias:dy:x:shape:accumulate:)``.
    public func linearBackward(
        dWeight: CPUBuffer, dBias: CPUBuffer?, dy: CPUBuffer, x: CPUBuffer, shape: LinearShape,
        accumulate: Bool
    ) {
        unsafe multiply(
            Matrix(pointer: dWeight.pointer, stride: shape.inputs),
            Matrix(pointer: dy.pointer, stride: shape.outputs, transposed: true),
            Matrix(pointer: x.pointer, stride: shape.inputs),
            m: shape.outputs, n: shape.inputs, k: shape.rows, accumulate: accumulate)
        guard let dBias else { return }
        pool.forEachPiece(.matrixProduct, of: shape.outputs, cost: shape.rows) { columns in
            unsafe ck_sum_rows(
                dBias.pointer + columns.lowerBound, dy.pointer + columns.lowerBound, shape.rows,
                shape.outputs,
                columns.count, accumulate ? 1 : 0)
        }
    }

    /// See ``Engine/swiGLU(_:gateUp:shape:)``.
    public func swiGLU(_ y: CPUBuffer, gateUp: CPUBuffer, shape: RowShape) {
        let width = shape.columns
        pool.forEachPiece(.activation, of: shape.rows, cost: 3 * width) { rows in
            let start = rows.lowerBound
            unsafe ck_swiglu(y.pointer + start * width, gateUp.pointer + start * 2 * width, rows.count, width)
        }
    }

    /// See ``Engine/swiGLUBackward(y:gateUp:dy:shape:)``.
    public func swiGLUBackward(y: CPUBuffer, gateUp: CPUBuffer, dy: CPUBuffer, shape: RowShape) {
        let width = shape.columns
        pool.forEachPiece(.activation, of: shape.rows, cost: 4 * width) { rows in
            let start = rows.lowerBound
            unsafe ck_swiglu_backward(
                y.pointer + start * width, gateUp.pointer + start * 2 * width, dy.pointer + start * width,
                rows.count, width)
        }
    }

    private func zero(_ buffer: CPUBuffer) {
        pool.forEachPiece(.embedding, of: buffer.count, cost: 1) { range in
            unsafe (buffer.pointer + range.lowerBound).update(repeating: 0, count: range.count)
        }
    }
}
