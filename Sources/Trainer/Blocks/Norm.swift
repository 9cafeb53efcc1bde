internal import Formats
internal import Models

/// RMSNorm or LayerNorm of rows (R, C), <https://arxiv.org/abs/1910.07467> and <https://arxiv.org/abs/1607.06450>.
struct NormBlock: Sendable {
    let norm: Norm
    /// C: values of a group.
    let columns: Int
    /// G: groups in a row; one but for queries and keys.
    let groups: Int
    /// Whether each group has a scale of its own.
    let hasOwnScales: Bool
    /// Scale and bias: (C), or (G, C).
    let scale: ParameterBlock?, bias: ParameterBlock?

    /// What it keeps.
    struct Activations: Sendable, Equatable {
        /// The result: (R, C).
        var output: Range<Int>
        /// 1 / √(mean square + ε): (R, G), and the means of LayerNorm: (R, G).
        var rstd: Range<Int>, mean: Range<Int>?
    }

    init(
        _ norm: Norm, _ module: Module, columns: Int, groups: Int = 1, hasOwnScales: Bool = false,
        _ builder: inout LayoutBuilder
    ) throws(UserFacingError) {
        self.norm = norm
        self.columns = columns
        self.groups = groups
        self.hasOwnScales = hasOwnScales
        let parts = hasOwnScales ? groups : 1
        scale =
            norm.hasScale ? try builder.vector(module, count: columns, parts: parts, role: .norm) : nil
        bias =
            norm.hasBias
            ? try builder.vector(module, isBias: true, count: columns, parts: parts, role: .bias) : nil
    }

    var isTrained: Bool { [scale, bias].contains { $0?.isTrained ?? false } }

    /// What it keeps of R rows; `output` is memory for the result, where it is not to have its own.
    func plan(rows: Int, output: Range<Int>? = nil, _ memory: inout MemoryPlanner) -> Activations {
        Activations(
            output: output ?? memory.take(rows * groups * columns), rstd: memory.take(rows * groups),
            mean: norm.kind == .layer ? memory.take(rows * groups) : nil)
    }

    private func shape(_ rows: Int, stride: Int?) -> NormShape {
        NormShape(
            norm, rows: rows, groups: groups, columns: columns, inputStride: stride, outputStride: stride,
            hasOwnScales: hasOwnScales)
    }

    /// The norm of x; x first becomes `addition`'s base + factor · delta where that is given.
    ///
    /// `stride` is the number of values from row to row of what is normalised and of the result, where rows have gaps.
    func forward<Device>(
        _ x: Range<Int>, _ kept: Activations, adding addition: ResidualSum? = nil, stride: Int? = nil,
        _ pass: Pass<Device>
    ) {
        pass.engine.norm(
            pass.values(kept.output), rstd: pass.values(kept.rstd), mean: kept.mean.map { pass.values($0) },
            x: pass.values(addition?.base ?? x),
            addition: addition.map { (pass.values(x), pass.values($0.delta), $0.factor) },
            scale: scale.map { pass.weights($0) }, bias: bias.map { pass.weights($0) },
            shape: shape(pass.rows, stride: stride))
    }

    /// The result, computed again where it was not kept.
    func recomputed<Device>(_ x: Range<Int>, _ kept: Activations, _ pass: Pass<Device>) -> Range<Int> {
        if pass.plan.recomputation == .norms {
            pass.engine.recomputeNorm(
                pass.values(kept.output), x: pass.values(x), rstd: pass.values(kept.rstd),
                mean: kept.mean.map { pass.values($0) }, scale: scale.map { pass.weights($0) },
                bias: bias.map { pass.weights($0) }, shape: shape(pass.rows, stride: nil))
        }
        return kept.output
    }

    /// dx from dy, which may be the same memory unless dx is added to; and the gradients of scale and bias.
    func backward<Device>(
        dx: Range<Int>, adds: Bool, dy: Range<Int>, x: Range<Int>, _ kept: Activations, stride: Int? = nil,
        _ pass: Pass<Device>
    ) {
        pass.engine.normBackward(
            dx: pass.values(dx), adds: adds, dScale: scale.flatMap { pass.gradient($0) },
            dBias: bias.flatMap { pass.gradient($0) }, dy: pass.values(dy), x: pass.values(x),
            scale: scale.map { pass.weights($0) }, rstd: pass.values(kept.rstd),
            mean: kept.mean.map { pass.values($0) }, shape: shape(pass.rows, stride: stride),
            accumulate: pass.accumulate)
    }
}

/// A sum that the next norm makes on its way: base + factor · delta, (R, C) each.
struct ResidualSum: Sendable {
    var base: Range<Int>
    var delta: Range<Int>
    var factor: Float
}
