internal import Formats
internal import Models

/// A mixture of E experts of which K compute each token, <https://arxiv.org/abs/1701.06538>.
///
/// Each choice of a token is a slot; the S = R · K slots lie expert by expert, so that an expert is one product.
struct ExpertsBlock: Sendable {
    let experts: Experts
    /// (E, C).
    let router: Linear
    /// (E).
    let correction: ParameterBlock?
    /// (E, 2F, C) and (E, C, F).
    let gateUp: Linear, down: Linear
    let shared: GatedMLPBlock?
    /// (1, C).
    let sharedRouter: Linear?

    /// What it keeps.
    struct Activations: Sendable, Equatable {
        /// The scores of all experts: (R, E), and the weights of the chosen ones: (R, K).
        var scores: Range<Int>, weights: Range<Int>
        /// Whole numbers: the chosen experts (R, K), the choice in each slot (S), the slot of each choice (R, K), where
        /// each expert's slots begin (E + 1).
        var chosen: Range<Int>, choice: Range<Int>, slot: Range<Int>, offsets: Range<Int>
        /// Gate and up: (S, 2F).
        var gateUp: Range<Int>
        var shared: GatedMLPBlock.Activations?
        /// What the shared expert is weighed by, before its sigmoid: (R).
        var sharedGate: Range<Int>?
    }

    init(_ experts: Experts, _ builder: inout LayoutBuilder) throws(UserFacingError) {
        self.experts = experts
        let width = builder.architecture.hiddenSize
        let expert = experts.expert
        router = try builder.linear(
            [(.router, experts.count)], inputs: width, hasBias: experts.hasRouterBias)
        if case .sigmoid = experts.routing {
            correction = try builder.constant(.routerCorrection, count: experts.count)
        } else {
            correction = nil
        }
        gateUp = try builder.expertLinear(
            [(.expertGate, expert.size), (.expertUp, expert.size)], fused: .expertGateUp,
            count: experts.count, inputs: width, hasBias: expert.hasBias)
        down = try builder.expertLinear(
            [(.expertDown, width)], count: experts.count, inputs: expert.size, hasBias: expert.hasDownBias)
        shared = try experts.shared.map { mlp throws(UserFacingError) in
            try GatedMLPBlock(mlp, isShared: true, &builder)
        }
        sharedRouter =
            experts.hasSharedGate
            ? try builder.linear([(.sharedRouter, 1)], inputs: width, hasBias: false) : nil
    }

    var isTrained: Bool {
        [router, gateUp, down, sharedRouter].contains { $0?.isTrained ?? false } || shared?.isTrained ?? false
    }

    func shape(_ rows: Int) -> ExpertShape {
        ExpertShape(rows: rows, experts: experts.count, chosen: experts.chosen)
    }

    func plan(rows: Int, _ memory: inout MemoryPlanner) -> Activations {
        let shape = shape(rows)
        return Activations(
            scores: memory.take(rows * shape.experts), weights: memory.take(shape.slots),
            chosen: memory.take(shape.slots), choice: memory.take(shape.slots),
            slot: memory.take(shape.slots),
            offsets: memory.take(shape.experts + 1),
            gateUp: memory.take(shape.slots * 2 * experts.expert.size),
            shared: shared?.plan(rows: rows, &memory),
            sharedGate: sharedRouter == nil ? nil : memory.take(rows))
    }

    /// What is kept of x(R, C).
    func forward<Device>(_ x: Range<Int>, _ kept: Activations, _ pass: Pass<Device>) {
        let (engine, shape) = (pass.engine, shape(pass.rows))
        router.forward(kept.scores, x, pass)
        engine.route(
            chosen: pass.integers(kept.chosen), weights: pass.values(kept.weights),
            logits: pass.values(kept.scores), correction: correction.map { pass.weights($0) },
            routing: experts.routing, shape: shape)
        if pass.countsLoad {
            engine.addLoad(
                pass.values(pass.plan.load), chosen: pass.integers(kept.chosen),
                scores: pass.values(kept.scores), shape: shape)
        }
        engine.sortByExpert(
            choice: pass.integers(kept.choice), slot: pass.integers(kept.slot),
            offsets: pass.integers(kept.offsets), chosen: pass.integers(kept.chosen), shape: shape)
        let rows = gathered(x, into: pass.scratch.expertInput, kept, pass)
        engine.expertLinear(
            pass.values(kept.gateUp), pass.values(rows), weight: pass.weights(gateUp.weight),
            bias: gateUp.bias.map { pass.weights($0) }, offsets: pass.integers(kept.offsets),
            linear: gateUp.shape(shape.slots), shape: shape)
        if let shared, let kept = kept.shared { shared.forward(x, kept, pass) }
        if let sharedRouter, let gate = kept.sharedGate { sharedRouter.forward(gate, x, pass) }
    }

    /// out(R, C) from what was kept.
    func contribute<Device>(_ out: Range<Int>, _ kept: Activations, _ pass: Pass<Device>) {
        let (engine, shape) = (pass.engine, shape(pass.rows))
        let hidden = hidden(pass.scratch.hidden, pass)
        let result = pass.scratch.expertOutput
        engine.glu(
            pass.values(hidden), gateUp: pass.values(kept.gateUp), unit: experts.expert.unit,
            shape: RowShape(rows: shape.slots, columns: experts.expert.size))
        engine.expertLinear(
            pass.values(result), pass.values(hidden), weight: pass.weights(down.weight),
            bias: down.bias.map { pass.weights($0) }, offsets: pass.integers(kept.offsets),
            linear: down.shape(shape.slots), shape: shape)
        engine.combineRows(
            pass.values(out), pass.values(result), weights: pass.values(kept.weights),
            slot: pass.integers(kept.slot), columns: down.outputs, shape: shape, adds: false)
        guard let shared, let own = kept.shared else { return }
        let sharedOutput = pass.scratch.sharedOutput
        shared.contribute(sharedOutput, own, pass)
        if let gate = kept.sharedGate {
            engine.addGated(
                pass.values(out), pass.values(sharedOutput), gate: pass.values(gate),
                shape: RowShape(rows: pass.rows, columns: down.outputs))
        } else {
            engine.add(pass.values(out), pass.values(out), pass.values(sharedOutput), factor: 1)
        }
    }

    /// dx(R, C) from dOut(R, C); `x` is what was given to the forward pass.
    func backward<Device>(
        dx: Range<Int>, dOut: Range<Int>, x: () -> Range<Int>, _ kept: Activations, _ pass: Pass<Device>
    ) {
        let (engine, shape, scratch) = (pass.engine, shape(pass.rows), pass.scratch)
        let (hidden, dHidden) = (hidden(scratch.hidden, pass), hidden(scratch.dHidden, pass))
        let offsets = pass.integers(kept.offsets)
        // What leaves each slot, then what weighs it.
        let dResult = gathered(dOut, into: scratch.expertOutput, kept, pass)
        engine.expertLinearBackward(
            dx: pass.values(dHidden), dy: pass.values(dResult), weight: pass.weights(down.weight),
            offsets: offsets, linear: down.shape(shape.slots), shape: shape)
        let unit = RowShape(rows: shape.slots, columns: experts.expert.size)
        engine.glu(
            pass.values(hidden), gateUp: pass.values(kept.gateUp), unit: experts.expert.unit, shape: unit)
        let dWeights = scratch.dRouting.prefix(shape.slots)
        engine.weighRowsBackward(
            dWeights: pass.values(dWeights), dHidden: pass.values(dHidden), dOut: pass.values(dResult),
            hidden: pass.values(hidden), bias: down.bias.map { pass.weights($0) },
            weights: pass.values(kept.weights), choice: pass.integers(kept.choice), offsets: offsets,
            hiddenSize: experts.expert.size, columns: down.outputs, shape: shape)
        weights(of: down, dy: dResult, x: { hidden }, kept, pass)
        engine.gluBackward(
            y: pass.values(hidden), gateUp: pass.values(kept.gateUp), dy: pass.values(dHidden),
            unit: experts.expert.unit, shape: unit)
        weights(
            of: gateUp, dy: kept.gateUp, x: { gathered(x(), into: scratch.expertInput, kept, pass) }, kept,
            pass)
        let dInput = scratch.expertOutput
        engine.expertLinearBackward(
            dx: pass.values(dInput), dy: pass.values(kept.gateUp), weight: pass.weights(gateUp.weight),
            offsets: offsets, linear: gateUp.shape(shape.slots), shape: shape)
        engine.combineRows(
            pass.values(dx), pass.values(dInput), weights: nil, slot: pass.integers(kept.slot),
            columns: gateUp.inputs, shape: shape, adds: false)
        // The router.
        engine.routeBackward(
            dLogits: pass.values(kept.scores), dWeights: pass.values(dWeights),
            chosen: pass.integers(kept.chosen), weights: pass.values(kept.weights),
            scores: pass.values(kept.scores),
            balance: pass.countsLoad ? pass.values(pass.plan.balance) : nil, routing: experts.routing,
            shape: shape)
        router.backward(dx: dx, dy: kept.scores, adds: true, pass)
        router.backwardWeights(dy: kept.scores, x: x, pass)
        backwardShared(dx: dx, dOut: dOut, x: x, kept, pass)
    }

    private func backwardShared<Device>(
        dx: Range<Int>, dOut: Range<Int>, x: () -> Range<Int>, _ kept: Activations, _ pass: Pass<Device>
    ) {
        guard let shared, let own = kept.shared else { return }
        guard let sharedRouter, let gate = kept.sharedGate else {
            return shared.backward(dx: dx, adds: true, dOut: dOut, x: x, own, pass)
        }
        let engine = pass.engine
        let dShared = pass.scratch.sharedOutput
        let dGate = pass.scratch.dRouting.prefix(pass.rows)
        engine.scale(pass.values(dShared), pass.values(dOut), factor: 1)
        shared.backward(
            dx: dx, adds: true, dOut: dShared, x: x, own,
            weigh: { dHidden, hidden in
                engine.addGatedBackward(
                    dGate: pass.values(dGate), dHidden: pass.values(dHidden), dOut: pass.values(dShared),
                    hidden: pass.values(hidden), gate: pass.values(gate), hiddenSize: shared.mlp.size,
                    shape: RowShape(rows: pass.rows, columns: down.outputs))
            }, pass)
        sharedRouter.backward(dx: dx, dy: dGate, adds: true, pass)
        sharedRouter.backwardWeights(dy: dGate, x: x, pass)
    }

    /// The gradients of the experts' weights and biases, those of them that are trained.
    private func weights<Device>(
        of linear: Linear, dy: Range<Int>, x: () -> Range<Int>, _ kept: Activations, _ pass: Pass<Device>
    ) {
        let (dWeight, dBias) = (pass.gradient(linear.weight), linear.bias.flatMap { pass.gradient($0) })
        guard dWeight != nil || dBias != nil else { return }
        let shape = shape(pass.rows)
        pass.engine.expertLinearBackward(
            dWeight: dWeight, dBias: dBias, dy: pass.values(dy), x: pass.values(x()),
            offsets: pass.integers(kept.offsets), linear: linear.shape(shape.slots), shape: shape,
            accumulate: pass.accumulate)
    }

    /// x(R, C) slot by slot: (S, C).
    private func gathered<Device>(
        _ x: Range<Int>, into slots: Range<Int>, _ kept: Activations, _ pass: Pass<Device>
    ) -> Range<Int> {
        let shape = shape(pass.rows)
        pass.engine.gatherRows(
            pass.values(slots), pass.values(x), choice: pass.integers(kept.choice), columns: gateUp.inputs,
            shape: shape)
        return slots
    }

    private func hidden<Device>(_ range: Range<Int>, _ pass: Pass<Device>) -> Range<Int> {
        range.prefix(shape(pass.rows).slots * experts.expert.size)
    }
}
