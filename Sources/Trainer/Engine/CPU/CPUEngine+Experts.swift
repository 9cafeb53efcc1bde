internal import CKernels
public import Models
private import Synchronization

extension CPUEngine {
    /// See ``Engine/route(chosen:weights:logits:correction:routing:shape:)``.
    public func route(
        chosen: Tensor<CPUBuffer>, weights: Tensor<CPUBuffer>, logits: Tensor<CPUBuffer>,
        correction: Tensor<CPUBuffer>?, routing: Routing, shape: ExpertShape
    ) {
        let (E, K) = (shape.experts, shape.chosen)
        precondition(K <= E && logits.count == shape.rows * E && weights.count == shape.slots)
        pool.forEachPiece(.experts, of: shape.rows, cost: E * (K + 2)) { rows in
            var kernel = ck_routing(routing, shape)
            let start = rows.lowerBound
            unsafe ck_route(
                chosen.integers + start * K, weights.floats + start * K, logits.floats + start * E,
                correction.map { unsafe UnsafePointer($0.floats) }, rows.count, &kernel)
        }
    }

    /// See ``Engine/routeBackward(dLogits:dWeights:chosen:weights:scores:balance:routing:shape:)``.
    public func routeBackward(
        dLogits: Tensor<CPUBuffer>, dWeights: Tensor<CPUBuffer>, chosen: Tensor<CPUBuffer>,
        weights: Tensor<CPUBuffer>, scores: Tensor<CPUBuffer>, balance: Tensor<CPUBuffer>?, routing: Routing,
        shape: ExpertShape
    ) {
        let (E, K) = (shape.experts, shape.chosen)
        precondition(dLogits.count == shape.rows * E && dWeights.count == shape.slots)
        pool.forEachPiece(.experts, of: shape.rows, cost: E * (K + 2)) { rows in
            var kernel = ck_routing(routing, shape)
            let start = rows.lowerBound
            unsafe ck_route_backward(
                dLogits.floats + start * E, dWeights.floats + start * K, chosen.integers + start * K,
                weights.floats + start * K, scores.floats + start * E,
                balance.map { unsafe UnsafePointer($0.floats) }, rows.count, &kernel)
        }
    }

    /// See ``Engine/sortByExpert(choice:slot:offsets:chosen:shape:)``.
    public func sortByExpert(
        choice: Tensor<CPUBuffer>, slot: Tensor<CPUBuffer>, offsets: Tensor<CPUBuffer>,
        chosen: Tensor<CPUBuffer>, shape: ExpertShape
    ) {
        precondition(choice.count == shape.slots && slot.count == shape.slots)
        precondition(offsets.count == shape.experts + 1 && chosen.count == shape.slots)
        pool.run(.experts, 1) { _, _ in
            unsafe ck_sort_by_expert(
                choice.integers, slot.integers, offsets.integers, chosen.integers, shape.slots, shape.experts)
        }
    }

    /// See ``Engine/gatherRows(_:_:choice:columns:shape:)``.
    public func gatherRows(
        _ y: Tensor<CPUBuffer>, _ x: Tensor<CPUBuffer>, choice: Tensor<CPUBuffer>, columns: Int,
        shape: ExpertShape
    ) {
        precondition(y.count == shape.slots * columns && x.count == shape.rows * columns)
        pool.forEachPiece(.experts, of: shape.slots, cost: columns) { slots in
            for slot in slots {
                let row = unsafe Int(choice.integers[slot]) / shape.chosen
                unsafe (y.floats + slot * columns).update(from: x.floats + row * columns, count: columns)
            }
        }
    }

    /// See ``Engine/combineRows(_:_:weights:slot:columns:shape:adds:)``.
    public func combineRows(
        _ y: Tensor<CPUBuffer>, _ x: Tensor<CPUBuffer>, weights: Tensor<CPUBuffer>?, slot: Tensor<CPUBuffer>,
        columns: Int, shape: ExpertShape, adds: Bool
    ) {
        precondition(y.count == shape.rows * columns && x.count == shape.slots * columns)
        pool.forEachPiece(.experts, of: shape.rows, cost: (shape.chosen + 1) * columns) { rows in
            let choices = rows.lowerBound * shape.chosen
            unsafe ck_combine_rows(
                y.floats + rows.lowerBound * columns, x.floats,
                weights.map { unsafe UnsafePointer($0.floats + choices) }, slot.integers + choices,
                rows.count, shape.chosen, columns, adds ? 1 : 0)
        }
    }

    /// See ``Engine/expertLinear(_:_:weight:bias:offsets:linear:shape:)``.
    public func expertLinear(
        _ y: Tensor<CPUBuffer>, _ x: Tensor<CPUBuffer>, weight: Tensor<CPUBuffer>, bias: Tensor<CPUBuffer>?,
        offsets: Tensor<CPUBuffer>, linear: LinearShape, shape: ExpertShape
    ) {
        let (I, O) = (linear.inputs, linear.outputs)
        precondition(x.count == shape.slots * I && y.count == shape.slots * O)
        precondition(weight.count == shape.experts * O * I)
        let products = ranges(of: offsets, shape).enumerated().map { expert, slots in
            Product(
                c: Matrix(y, stride: O, from: slots.lowerBound * O),
                a: Matrix(x, stride: I, from: slots.lowerBound * I),
                b: Matrix(weight, stride: I, from: expert * O * I, transposed: true),
                m: slots.count, n: O, k: I)
        }
        expertRows.add(products.reduce(0) { $0 + $1.m }, ordering: .relaxed)
        multiplyVectors(products.filter(\.hasFewRows), accumulate: false)
        multiply(products.filter { !$0.hasFewRows }, accumulate: false)
        guard let bias else { return }
        pool.run(.matrixProduct, shape.experts) { expert, _ in
            let product = products[expert]
            unsafe ck_add_bias(product.c.pointer(0, 0), bias.floats + expert * O, product.m, O)
        }
    }

    /// See ``Engine/expertLinearBackward(dx:dy:weight:offsets:linear:shape:)``.
    public func expertLinearBackward(
        dx: Tensor<CPUBuffer>, dy: Tensor<CPUBuffer>, weight: Tensor<CPUBuffer>, offsets: Tensor<CPUBuffer>,
        linear: LinearShape, shape: ExpertShape
    ) {
        let (I, O) = (linear.inputs, linear.outputs)
        precondition(dx.count == shape.slots * I && dy.count == shape.slots * O)
        let products = ranges(of: offsets, shape).enumerated().map { expert, slots in
            Product(
                c: Matrix(dx, stride: I, from: slots.lowerBound * I),
                a: Matrix(dy, stride: O, from: slots.lowerBound * O),
                b: Matrix(weight, stride: I, from: expert * O * I), m: slots.count, n: I, k: O)
        }
        multiply(products, accumulate: false)
    }

    /// See ``Engine/expertLinearBackward(dWeight:dBias:dy:x:offsets:linear:shape:accumulate:)``.
    public func expertLinearBackward(
        dWeight: Tensor<CPUBuffer>?, dBias: Tensor<CPUBuffer>?, dy: Tensor<CPUBuffer>, x: Tensor<CPUBuffer>,
        offsets: Tensor<CPUBuffer>, linear: LinearShape, shape: ExpertShape, accumulate: Bool
    ) {
        let (I, O) = (linear.inputs, linear.outputs)
        let slots = ranges(of: offsets, shape)
        if let dWeight {
            let products = slots.enumerated().map { expert, slots in
                Product(
                    c: Matrix(dWeight, stride: I, from: expert * O * I),
                    a: Matrix(dy, stride: O, from: slots.lowerBound * O, transposed: true),
                    b: Matrix(x, stride: I, from: slots.lowerBound * I), m: O, n: I, k: slots.count)
            }
            multiply(products, accumulate: accumulate)
        }
        guard let dBias else { return }
        pool.run(.matrixProduct, shape.experts) { expert, _ in
            unsafe ck_sum_rows(
                dBias.floats + expert * O, dy.floats + slots[expert].lowerBound * O, slots[expert].count, O,
                O, accumulate ? 1 : 0)
        }
    }

    /// The slots of each expert.
    private func ranges(of offsets: Tensor<CPUBuffer>, _ shape: ExpertShape) -> [Range<Int>] {
        precondition(offsets.count == shape.experts + 1)
        return (0..<shape.experts).map { expert in
            unsafe Int(offsets.integers[expert])..<Int(offsets.integers[expert + 1])
        }
    }

    /// See ``Engine/weighRowsBackward(dWeights:dHidden:dOut:hidden:bias:weights:choice:offsets:hiddenSize:columns:shape:)``.
    public func weighRowsBackward(
        dWeights: Tensor<CPUBuffer>, dHidden: Tensor<CPUBuffer>, dOut: Tensor<CPUBuffer>,
        hidden: Tensor<CPUBuffer>, bias: Tensor<CPUBuffer>?, weights: Tensor<CPUBuffer>,
        choice: Tensor<CPUBuffer>, offsets: Tensor<CPUBuffer>, hiddenSize: Int, columns: Int,
        shape: ExpertShape
    ) {
        precondition(dHidden.count == shape.slots * hiddenSize && dOut.count == shape.slots * columns)
        pool.forEachPiece(.experts, of: shape.slots, cost: 3 * hiddenSize + 2 * columns) { slots in
            unsafe ck_weigh_rows_backward(
                dWeights.floats, dHidden.floats, dOut.floats, hidden.floats,
                bias.map { unsafe UnsafePointer($0.floats) }, weights.floats, choice.integers,
                offsets.integers, slots.lowerBound, slots.upperBound, hiddenSize, columns)
        }
    }

    /// See ``Engine/addGated(_:_:gate:shape:)``.
    public func addGated(
        _ y: Tensor<CPUBuffer>, _ x: Tensor<CPUBuffer>, gate: Tensor<CPUBuffer>, shape: RowShape
    ) {
        precondition(y.count == shape.count && x.count == shape.count && gate.count == shape.rows)
        pool.forEachPiece(.experts, of: shape.rows, cost: 3 * shape.columns) { rows in
            let start = rows.lowerBound * shape.columns
            unsafe ck_add_gated(
                y.floats + start, x.floats + start, gate.floats + rows.lowerBound, rows.count, shape.columns)
        }
    }

    /// See ``Engine/addGatedBackward(dGate:dHidden:dOut:hidden:gate:hiddenSize:shape:)``.
    public func addGatedBackward(
        dGate: Tensor<CPUBuffer>, dHidden: Tensor<CPUBuffer>, dOut: Tensor<CPUBuffer>,
        hidden: Tensor<CPUBuffer>, gate: Tensor<CPUBuffer>, hiddenSize: Int, shape: RowShape
    ) {
        precondition(dHidden.count == shape.rows * hiddenSize && dOut.count == shape.count)
        pool.forEachPiece(.experts, of: shape.rows, cost: 3 * hiddenSize + 2 * shape.columns) { rows in
            let start = rows.lowerBound
            unsafe ck_add_gated_backward(
                dGate.floats + start, dHidden.floats + start * hiddenSize,
                dOut.floats + start * shape.columns, hidden.floats + start * hiddenSize,
                gate.floats + start, rows.count, hiddenSize, shape.columns)
        }
    }

    /// See ``Engine/addLoad(_:chosen:scores:shape:)``.
    public func addLoad(
        _ load: Tensor<CPUBuffer>, chosen: Tensor<CPUBuffer>, scores: Tensor<CPUBuffer>, shape: ExpertShape
    ) {
        precondition(load.count == 2 * shape.experts && scores.count == shape.rows * shape.experts)
        pool.forEachPiece(.experts, of: shape.experts, cost: 2 * shape.slots) { experts in
            for expert in experts {
                unsafe ck_add_load(
                    load.floats, chosen.integers, scores.floats, shape.rows, shape.experts, shape.chosen,
                    expert)
            }
        }
    }

    /// See ``Engine/balance(_:load:rows:factor:addsTo:)``.
    public func balance(
        _ balance: Tensor<CPUBuffer>, load: Tensor<CPUBuffer>, rows: Int, factor: Float,
        addsTo scalar: CPUScalar
    ) {
        let experts = balance.count
        precondition(load.count == 2 * experts && rows > 0)
        let factor = Double(factor) * Double(experts)
        var sum = 0.0
        for expert in 0..<experts {
            let share = unsafe Double(load.floats[expert]) / Double(rows)
            sum += unsafe share * (Double(load.floats[experts + expert]) / Double(rows))
            unsafe balance.floats[expert] = Float(factor * share / Double(rows))
        }
        scalar.value += factor * sum
    }
}

extension ck_routing {
    /// The kernels' view of `routing`.
    fileprivate init(_ routing: Routing, _ shape: ExpertShape) {
        let (kind, normalizes, factor): (Int, Bool, Float) =
            switch routing {
            case .softmax(let normalizes): (Int(CK_SOFTMAX), normalizes, 1)
            case .softmaxOfChosen: (Int(CK_SOFTMAX_OF_CHOSEN), false, 1)
            case .sigmoid(let normalizes, let factor): (Int(CK_SIGMOID), normalizes, factor)
            }
        // So that sigmoids which all vanish have weights of zero, as in DeepSeek-V3.
        self.init(
            experts: shape.experts, chosen: shape.chosen, kind: Int32(kind), normalizes: normalizes ? 1 : 0,
            factor: factor, floor: 1e-20)
    }
}
