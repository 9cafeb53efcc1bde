internal import Formats
internal import Models

/// The feed-forward part of a layer, of whatever kind.
enum FeedForwardBlock: Sendable {
    case gated(GatedMLPBlock)
    case plain(MLPBlock)
    case experts(ExpertsBlock)

    /// What it keeps.
    enum Activations: Sendable, Equatable {
        case gated(GatedMLPBlock.Activations)
        case plain(MLPBlock.Activations)
        case experts(ExpertsBlock.Activations)
    }

    init(_ part: FeedForward, _ builder: inout LayoutBuilder) throws(UserFacingError) {
        switch part {
        case .gated(let mlp): self = .gated(try GatedMLPBlock(mlp, &builder))
        case .plain(let mlp): self = .plain(try MLPBlock(mlp, &builder))
        case .experts(let experts): self = .experts(try ExpertsBlock(experts, &builder))
        }
    }

    var isTrained: Bool {
        switch self {
        case .gated(let block): block.isTrained
        case .plain(let block): block.isTrained
        case .experts(let block): block.isTrained
        }
    }

    func plan(rows: Int, _ memory: inout MemoryPlanner) -> Activations {
        switch self {
        case .gated(let block): .gated(block.plan(rows: rows, &memory))
        case .plain(let block): .plain(block.plan(rows: rows, &memory))
        case .experts(let block): .experts(block.plan(rows: rows, &memory))
        }
    }

    /// What is kept of x(R, C).
    func forward(_ x: Range<Int>, _ kept: Activations, _ pass: Pass<some Engine>) {
        switch (self, kept) {
        case (.gated(let block), .gated(let kept)): block.forward(x, kept, pass)
        case (.plain(let block), .plain(let kept)): block.forward(x, kept, pass)
        case (.experts(let block), .experts(let kept)): block.forward(x, kept, pass)
        default: preconditionFailure("memory was planned for another block")
        }
    }

    /// out(R, C) from what was kept.
    func contribute(_ out: Range<Int>, _ kept: Activations, _ pass: Pass<some Engine>) {
        switch (self, kept) {
        case (.gated(let block), .gated(let kept)): block.contribute(out, kept, pass)
        case (.plain(let block), .plain(let kept)): block.contribute(out, kept, pass)
        case (.experts(let block), .experts(let kept)): block.contribute(out, kept, pass)
        default: preconditionFailure("memory was planned for another block")
        }
    }

    /// dx(R, C) from dOut(R, C); `x` is what was given to the forward pass.
    func backward(
        dx: Range<Int>, dOut: Range<Int>, x: () -> Range<Int>, _ kept: Activations, _ pass: Pass<some Engine>
    ) {
        switch (self, kept) {
        case (.gated(let block), .gated(let kept)): block.backward(dx: dx, dOut: dOut, x: x, kept, pass)
        case (.plain(let block), .plain(let kept)): block.backward(dx: dx, dOut: dOut, x: x, kept, pass)
        case (.experts(let block), .experts(let kept)): block.backward(dx: dx, dOut: dOut, x: x, kept, pass)
        default: preconditionFailure("memory was planned for another block")
        }
    }
}
