internal import Formats
internal import Models

/// down(activation(up(x))).
struct MLPBlock: Sendable {
    let mlp: MLP
    /// (F, C) and (C, F).
    let up: Linear, down: Linear

    /// What it keeps.
    struct Activations: Sendable, Equatable {
        /// What the activation is applied to: (R, F).
        var up: Range<Int>
    }

    init(_ mlp: MLP, _ builder: inout LayoutBuilder) throws(UserFacingError) {
        self.mlp = mlp
        let width = builder.architecture.hiddenSize
        up = try builder.linear([(.up, mlp.size)], inputs: width, hasBias: mlp.hasBias)
        down = try builder.linear([(.down, width)], inputs: mlp.size, hasBias: mlp.hasBias)
    }

    var isTrained: Bool { up.isTrained || down.isTrained }

    func plan(rows: Int, _ memory: inout MemoryPlanner) -> Activations {
        Activations(up: memory.take(rows * mlp.size))
    }

    /// What is kept of x(R, C).
    func forward(_ x: Range<Int>, _ kept: Activations, _ pass: Pass<some Engine>) {
        up.forward(kept.up, x, pass)
    }

    /// out(R, C) from what was kept.
    func contribute(_ out: Range<Int>, _ kept: Activations, _ pass: Pass<some Engine>) {
        let hidden = pass.scratch.hidden.prefix(kept.up.count)
        pass.engine.activate(pass.values(hidden), pass.values(kept.up), activation: mlp.activation)
        down.forward(out, hidden, pass)
    }

    /// dx(R, C) from dOut(R, C); `x` is what was given to the forward pass.
    func backward<Device>(
        dx: Range<Int>, dOut: Range<Int>, x: () -> Range<Int>, _ kept: Activations, _ pass: Pass<Device>
    ) {
        let hidden = pass.scratch.hidden.prefix(kept.up.count)
        let dHidden = pass.scratch.dHidden.prefix(kept.up.count)
        down.backward(dx: dHidden, dy: dOut, pass)
        pass.engine.activateBackward(
            y: pass.values(hidden), x: pass.values(kept.up), dy: pass.values(dHidden),
            activation: mlp.activation)
        down.backwardWeights(dy: dOut, x: { hidden }, pass)
        up.backward(dx: dx, dy: kept.up, pass)
        up.backwardWeights(dy: kept.up, x: x, pass)
    }
}
