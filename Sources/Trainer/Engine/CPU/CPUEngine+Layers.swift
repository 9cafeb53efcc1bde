internal import CKernels

extension CPUEngine {
    /// See ``Engine/embed(_:table:tokens:shape:)``.
    public func embed(
        _ out: CPUBuffer, table: Stored<CPUBuffer>, tokens: ArraySlice<Int32>, shape: RowShape
    ) {
        pool.forEachPiece(.embedding, of: shape.rows, cost: shape.columns) { rows in
            for row in rows {
                let start = Int(tokens[tokens.startIndex + row]) * shape.columns
                unsafe table.unpack(
                    start..<start + shape.columns, into: out.pointer + row * shape.columns)
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
        _ y: CPUBuffer, _ x: CPUBuffer, weight: Stored<CPUBuffer>, bias: CPUBuffer?, shape: LinearShape
    ) {
        multiply(
            Matrix(y, stride: shape.outputs), Matrix(x, stride: shape.inputs),
            Matrix(weight, stride: shape.inputs, transposed: true),
            m: shape.rows, n: shape.outputs, k: shape.inputs)
        guard let bias else { return }
        pool.forEachPiece(.matrixProduct, of: shape.rows, cost: shape.outputs) { rows in
            unsafe ck_add_bias(
                y.pointer + rows.lowerBound * shape.outputs, bias.pointer, rows.count, shape.outputs)
        }
    }

    /// See ``Engine/linearBackward(dx:dy:weight:shape:)``.
    public func linearBackward(dx: CPUBuffer, dy: CPUBuffer, weight: Stored<CPUBuffer>, shape: LinearShape) {
        multiply(
            Matrix(dx, stride: shape.inputs), Matrix(dy, stride: shape.outputs),
            Matrix(weight, stride: shape.inputs),
            m: shape.rows, n: shape.inputs, k: shape.outputs)
    }

    /// See ``Engine/linearBackward(dWeight:dBias:dy:x:shape:accumulate:)``.
    public func linearBackward(
        dWeight: Stored<CPUBuffer>?, dBias: CPUBuffer?, dy: CPUBuffer, x: CPUBuffer, shape: LinearShape,
        accumulate: Bool
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
                dBias.pointer + columns.lowerBound, dy.pointer + columns.lowerBound, shape.rows,
                shape.outputs,
                columns.count, accumulate ? 1 : 0)
        }
    }

    /// See ``Engine/gatedUnit(_:gateUp:gate:shape:)``.
    public func gatedUnit(_ y: CPUBuffer, gateUp: CPUBuffer, gate: GateActivation, shape: RowShape) {
        let width = shape.columns
        pool.forEachPiece(.activation, of: shape.rows, cost: 3 * width) { rows in
            let start = rows.lowerBound
            let (y, x) = unsafe (y.pointer + start * width, gateUp.pointer + start * 2 * width)
            switch gate {
            case .silu: unsafe ck_swiglu(y, x, rows.count, width)
            case .gelu: unsafe ck_geglu(y, x, rows.count, width, 0)
            case .geluTanh: unsafe ck_geglu(y, x, rows.count, width, 1)
            }
        }
    }

    /// See ``Engine/gatedUnitBackward(y:gateUp:dy:gate:shape:)``.
    public func gatedUnitBackward(
        y: CPUBuffer, gateUp: CPUBuffer, dy: CPUBuffer, gate: GateActivation, shape: RowShape
    ) {
        let width = shape.columns
        pool.forEachPiece(.activation, of: shape.rows, cost: 4 * width) { rows in
            let start = rows.lowerBound
            let (y, x) = unsafe (y.pointer + start * width, gateUp.pointer + start * 2 * width)
            let dy = unsafe dy.pointer + start * width
            switch gate {
            case .silu: unsafe ck_swiglu_backward(y, x, dy, rows.count, width)
            case .gelu: unsafe ck_geglu_backward(y, x, dy, rows.count, width, 0)
            case .geluTanh: unsafe ck_geglu_backward(y, x, dy, rows.count, width, 1)
            }
        }
    }

    private func zero(_ buffer: CPUBuffer) {
        pool.forEachPiece(.embedding, of: buffer.count, cost: 1) { range in
            unsafe (buffer.pointer + range.lowerBound).update(repeating: 0, count: range.count)
        }
    }
}
