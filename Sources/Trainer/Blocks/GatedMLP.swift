internal import Formats
internal import Models

/// down(activation(gate(x)) · up(x)), <https://arxiv.org/abs/2002.05202>.
struct GatedMLPBlock: Sendable {
    let mlp: GatedMLP
    /// (2F, C) and (C, F).
    let gateUp: Linear, down: Linear

    /// What it keeps.
    struct Activations: Sendable, Equatable {
        /// Gate and up: (R, 2F).
        var gateUp: Range<Int>
    }

    /// `isShared` says whether it is the expert of a mixture that computes every token.
    init(_ mlp: GatedMLP, isShared: Bool = false, _ builder: inout LayoutBuilder) throws(UserFacingError) {
        self.mlp = mlp
        let width = builder.architecture.hiddenSize
        gateUp = try builder.linear(
            [(isShared ? .sharedGate : .gate, mlp.size), (isShared ? .sharedUp : .up, mlp.size)],
            fused: isShared ? .sharedGateUp : .gateUp, inputs: width, hasBias: mlp.hasBias)
        down = try builder.linear(
            [(isShared ? .sharedDown : .down, width)], inputs: mlp.size, hasBias: mlp.hasDownBias)
    }

    var isTrained: Bool { gateUp.isTrained || down.isTrained }

    func plan(rows: Int, _ memory: inout MemoryPlanner) -> Activations {
        Activations(gateUp: memory.take(rows * 2 * mlp.size))
    }

    private func shape<Device>(_ pass: Pass<Device>) -> RowShape {
        RowShape(rows: pass.rows, columns: mlp.size)
    }

    private func hidden<Device>(_ range: Range<Int>, _ pass: Pass<Device>) -> Range<Int> {
        range.prefix(pass.rows * mlp.size)
    }

    /// What is kept of x(R, C).
    func forward(_ x: Range<Int>, _ kept: Activations, _ pass: Pass<some Engine>) {
        gateUp.forward(kept.gateUp, x, pass)
    }

    /// out(R, C) from what was kept.
    func contribute(_ out: Range<Int>, _ kept: Activations, _ pass: Pass<some Engine>) {
        let hidden = hidden(pass.scratch.hidden, pass)
        pass.engine.glu(
            pass.values(hidden), gateUp: pass.values(kept.gateUp), unit: mlp.unit, shape: shape(pass))
        down.forward(out, hidden, pass)
    }

    /// dx(R, C) from dOut(R, C); `x` is what was given to the forward pass.
    ///
    /// `weigh`, where it is given, is called with the gradient of the hidden values, these (R, F) and dOut, to multiply
    /// both gradients by what the result was multiplied by.
    func backward<Device>(
        dx: Range<Int>, adds: Bool = false, dOut: Range<Int>, x: () -> Range<Int>, _ kept: Activations,
        weigh: ((_ dHidden: Range<Int>, _ hidden: Range<Int>) -> Void)? = nil, _ pass: Pass<Device>
    ) {
        let (hidden, dHidden) = (hidden(pass.scratch.hidden, pass), hidden(pass.scratch.dHidden, pass))
        down.backward(dx: dHidden, dy: dOut, pass)
        if let weigh {
            pass.engine.glu(
                pass.values(hidden), gateUp: pass.values(kept.gateUp), unit: mlp.unit, shape: shape(pass))
            weigh(dHidden, hidden)
        }
        pass.engine.gluBackward(
            y: pass.values(hidden), gateUp: pass.values(kept.gateUp), dy: pass.values(dHidden),
            unit: mlp.unit, shape: shape(pass))
        down.backwardWeights(dy: dOut, x: { hidden }, pass)
        gateUp.backward(dx: dx, dy: kept.gateUp, adds: adds, pass)
        gateUp.backwardWeights(dy: kept.gateUp, x: x, pass)
    }
}
