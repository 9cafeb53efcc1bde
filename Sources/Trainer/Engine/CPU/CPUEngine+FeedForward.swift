internal import CKernels
public import Models

extension CPUEngine {
    /// See ``Engine/glu(_:gateUp:unit:shape:)``.
    public func glu(_ y: Tensor<CPUBuffer>, gateUp: Tensor<CPUBuffer>, unit: GatedUnit, shape: RowShape) {
        let width = shape.columns
        precondition(y.count == shape.count && gateUp.count == 2 * shape.count)
        pool.forEachPiece(.activation, of: shape.rows, cost: 3 * width) { rows in
            var kernel = ck_unit(unit)
            let start = rows.lowerBound * width
            unsafe ck_glu(y.floats + start, gateUp.floats + 2 * start, rows.count, width, &kernel)
        }
    }

    /// See ``Engine/gluBackward(y:gateUp:dy:unit:shape:)``.
    public func gluBackward(
        y: Tensor<CPUBuffer>, gateUp: Tensor<CPUBuffer>, dy: Tensor<CPUBuffer>, unit: GatedUnit,
        shape: RowShape
    ) {
        let width = shape.columns
        precondition(y.count == shape.count && dy.count == shape.count && gateUp.count == 2 * shape.count)
        pool.forEachPiece(.activation, of: shape.rows, cost: 4 * width) { rows in
            var kernel = ck_unit(unit)
            let start = rows.lowerBound * width
            unsafe ck_glu_backward(
                y.floats + start, gateUp.floats + 2 * start, dy.floats + start, rows.count, width, &kernel)
        }
    }

    /// See ``Engine/activate(_:_:activation:)``.
    public func activate(_ y: Tensor<CPUBuffer>, _ x: Tensor<CPUBuffer>, activation: Activation) {
        precondition(y.count == x.count)
        pool.forEachPiece(.activation, of: y.count, cost: 2) { range in
            let start = range.lowerBound
            unsafe ck_activate(y.floats + start, x.floats + start, range.count, activation.kernel)
        }
    }

    /// See ``Engine/activateBackward(y:x:dy:activation:)``.
    public func activateBackward(
        y: Tensor<CPUBuffer>, x: Tensor<CPUBuffer>, dy: Tensor<CPUBuffer>, activation: Activation
    ) {
        precondition(y.count == x.count && y.count == dy.count)
        pool.forEachPiece(.activation, of: y.count, cost: 3) { range in
            let start = range.lowerBound
            unsafe ck_activate_backward(
                y.floats + start, x.floats + start, dy.floats + start, range.count, activation.kernel)
        }
    }
}

extension Activation {
    /// The kernels' number of it.
    fileprivate var kernel: Int32 {
        switch self {
        case .silu: Int32(CK_SILU)
        case .gelu: Int32(CK_GELU)
        case .geluTanh: Int32(CK_GELU_TANH)
        case .geluQuick: Int32(CK_GELU_QUICK)
        case .relu: Int32(CK_RELU)
        case .reluSquared: Int32(CK_RELU_SQUARED)
        }
    }
}

extension ck_unit {
    /// The kernels' view of `unit`.
    fileprivate init(_ unit: GatedUnit) {
        let inTurn: Int32 = unit.isInterleaved ? 1 : 0
        switch unit.kind {
        case .product(let activation):
            self.init(kind: activation.kernel, in_turn: inTurn, alpha: 0, limit: 0)
        case .clamped(let alpha, let limit):
            self.init(kind: Int32(CK_CLAMPED), in_turn: inTurn, alpha: alpha, limit: limit)
        }
    }
}
