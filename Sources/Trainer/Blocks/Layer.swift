internal import Formats
internal import Models

/// One layer: attention and a feed-forward part on the residual stream (R, C), and the norms around them.
struct LayerBlock: Sendable {
    let layer: Layer
    /// Which of the layers it is, from 0.
    let index: Int
    let attentionNorm: NormBlock?, attentionOutputNorm: NormBlock?
    let attention: AttentionBlock
    let feedForwardNorm: NormBlock?, feedForwardOutputNorm: NormBlock?
    let feedForward: FeedForwardBlock
    /// The word with which the gradients of this and the following layers begin.
    let firstGradient: Int

    /// What it keeps.
    struct Activations: Sendable, Equatable {
        /// What enters the layer: (R, C).
        var input: Range<Int>
        var attentionNorm: NormBlock.Activations?
        var attention: AttentionBlock.Activations
        /// Attention's result before the norm of it, where there is one: (R, C).
        var attentionOutput: Range<Int>?, attentionOutputNorm: NormBlock.Activations?
        /// The residual stream after attention: (R, C); a parallel layer does not keep it.
        var middle: Range<Int>
        var feedForwardNorm: NormBlock.Activations?
        var feedForward: FeedForwardBlock.Activations
        /// The feed-forward part's result before the norm of it, where there is one: (R, C).
        var feedForwardOutput: Range<Int>?, feedForwardOutputNorm: NormBlock.Activations?
    }

    init(_ layer: Layer, index: Int, _ builder: inout LayoutBuilder) throws(UserFacingError) {
        (self.layer, self.index) = (layer, index)
        firstGradient = builder.gradientWords
        builder.layer = index
        let width = builder.architecture.hiddenSize
        func norm(_ norm: Norm?, _ module: Module) throws(UserFacingError) -> NormBlock? {
            guard let norm else { return nil }
            return try NormBlock(norm, module, columns: width, &builder)
        }
        attentionNorm = try norm(layer.attentionNorm, .attentionNorm)
        attentionOutputNorm = try norm(layer.attentionOutputNorm, .attentionOutputNorm)
        feedForwardNorm = try norm(layer.feedForwardNorm, .feedForwardNorm)
        feedForwardOutputNorm = try norm(layer.feedForwardOutputNorm, .feedForwardOutputNorm)
        attention = try AttentionBlock(layer.attention, &builder)
        feedForward = try FeedForwardBlock(layer.feedForward, &builder)
    }

    /// Whether anything in it is trained.
    var isTrained: Bool {
        [attentionNorm, attentionOutputNorm, feedForwardNorm, feedForwardOutputNorm].contains {
            $0?.isTrained ?? false
        } || attention.isTrained || feedForward.isTrained
    }

    /// Whether the gradient of a part's result is another than that of the stream.
    var needsBranchGradient: Bool {
        layer.order == .parallel || layer.branchFactor != 1 || attentionOutputNorm != nil
            || feedForwardOutputNorm != nil
    }

    /// What it keeps of R rows; `norms` is memory for the results of the norms before the parts, where layers share it.
    func plan(
        rows: Int, input: Range<Int>, norms: (Range<Int>, Range<Int>)?, _ memory: inout MemoryPlanner
    ) -> Activations {
        let width = rows * attention.output.outputs
        let attentionNorm = attentionNorm?.plan(rows: rows, output: norms?.0, &memory)
        let kept = attention.plan(rows: rows, &memory)
        let attentionOutput = attentionOutputNorm == nil ? nil : memory.take(width)
        // The result of a norm behind a part is what is added to the stream, and not kept.
        let attentionOutputNorm = attentionOutputNorm?.plan(rows: rows, output: 0..<0, &memory)
        let middle = layer.order == .parallel ? 0..<0 : memory.take(width)
        let feedForwardNorm = feedForwardNorm?.plan(rows: rows, output: norms?.1, &memory)
        let feedForward = feedForward.plan(rows: rows, &memory)
        let feedForwardOutput = feedForwardOutputNorm == nil ? nil : memory.take(width)
        return Activations(
            input: input, attentionNorm: attentionNorm, attention: kept, attentionOutput: attentionOutput,
            attentionOutputNorm: attentionOutputNorm, middle: middle, feedForwardNorm: feedForwardNorm,
            feedForward: feedForward, feedForwardOutput: feedForwardOutput,
            feedForwardOutputNorm: feedForwardOutputNorm?.plan(rows: rows, output: 0..<0, &memory))
    }

    /// What its parts' results are multiplied by before they are added to the stream.
    private func factor<Device>(_ pass: Pass<Device>) -> Float {
        layer.branchFactor * pass.model.branchShares[index]
    }

    // MARK: Forward

    /// Computes the layer, whose input is first `sum` where that is given; what leaves it is a sum for the next norm.
    func forward<Device>(
        _ kept: Activations, adding sum: ResidualSum?, _ pass: Pass<Device>
    ) -> ResidualSum {
        let middle = forwardToFeedForward(kept, adding: sum, pass)
        return contribute(middle, kept, pass)
    }

    /// Everything that is kept, and no more.
    func recompute<Device>(_ kept: Activations, _ pass: Pass<Device>) {
        var pass = pass
        pass.countsLoad = false
        let base = forwardToFeedForward(kept, adding: nil, pass)
        if kept.feedForwardOutput != nil { _ = contribute(base, kept, pass) }
    }

    /// Attention, and what the feed-forward part keeps; returns what the feed-forward result is added to.
    private func forwardToFeedForward<Device>(
        _ kept: Activations, adding sum: ResidualSum?, _ pass: Pass<Device>
    ) -> Range<Int> {
        let x = enter(kept.input, sum, attentionNorm, kept.attentionNorm, pass)
        let isParallel = layer.order == .parallel
        var inner = x
        if isParallel, let feedForwardNorm, let own = kept.feedForwardNorm {
            feedForwardNorm.forward(kept.input, own, pass)
            inner = own.output
        }
        let delta = pass.scratch.delta
        attention.forward(kept.attentionOutput ?? delta, x, kept.attention, pass)
        if let output = kept.attentionOutput {
            normed(output, attentionOutputNorm, kept.attentionOutputNorm, pass)
        }
        let afterAttention = ResidualSum(
            base: layer.addsToNormed ? x : kept.input, delta: delta, factor: factor(pass))
        let middle = isParallel ? pass.scratch.middle : kept.middle
        if isParallel {
            enter(middle, afterAttention, nil, nil, pass)
        } else {
            inner = enter(middle, afterAttention, feedForwardNorm, kept.feedForwardNorm, pass)
        }
        feedForward.forward(inner, kept.feedForward, pass)
        return layer.addsToNormed ? inner : middle
    }

    private func contribute<Device>(
        _ base: Range<Int>, _ kept: Activations, _ pass: Pass<Device>
    ) -> ResidualSum {
        feedForward.contribute(kept.feedForwardOutput ?? pass.scratch.delta, kept.feedForward, pass)
        if let output = kept.feedForwardOutput {
            normed(output, feedForwardOutputNorm, kept.feedForwardOutputNorm, pass)
        }
        return ResidualSum(base: base, delta: pass.scratch.delta, factor: factor(pass))
    }

    /// Makes a sum in the stream and the norm of it; returns what enters the part behind it.
    @discardableResult
    private func enter<Device>(
        _ stream: Range<Int>, _ sum: ResidualSum?, _ norm: NormBlock?, _ kept: NormBlock.Activations?,
        _ pass: Pass<Device>
    ) -> Range<Int> {
        if let norm, let kept {
            norm.forward(stream, kept, adding: sum, pass)
            return kept.output
        }
        if let sum { pass.add(sum, into: stream) }
        return stream
    }

    /// delta = the norm of a part's result.
    private func normed<Device>(
        _ output: Range<Int>, _ norm: NormBlock?, _ kept: NormBlock.Activations?, _ pass: Pass<Device>
    ) {
        guard let norm, var kept else { return }
        kept.output = pass.scratch.delta
        norm.forward(output, kept, pass)
    }

    // MARK: Backward

    /// From the gradient of what leaves the layer to that of what enters it, both in the pass's dStream.
    func backward<Device>(_ kept: Activations, _ pass: Pass<Device>) {
        if pass.plan.recomputation == .layer { recompute(kept, pass) }
        let dNorm = pass.scratch.dNorm
        let x = { entered(kept.input, attentionNorm, kept.attentionNorm, pass) }
        if layer.order == .parallel { return backwardParallel(x, kept, pass) }
        let inner = { entered(kept.middle, feedForwardNorm, kept.feedForwardNorm, pass) }
        let dFeedForward = branchGradient(
            kept.feedForwardOutput, feedForwardOutputNorm, kept.feedForwardOutputNorm, pass)
        feedForward.backward(dx: dNorm, dOut: dFeedForward, x: inner, kept.feedForward, pass)
        leave(kept.middle, feedForwardNorm, kept.feedForwardNorm, pass)
        let dAttention = branchGradient(
            kept.attentionOutput, attentionOutputNorm, kept.attentionOutputNorm, pass)
        attention.backward(dx: dNorm, dOut: dAttention, x: x, kept.attention, pass)
        leave(kept.input, attentionNorm, kept.attentionNorm, pass)
    }

    /// What entered a part: the stream, or the norm of it, computed again where it was not kept.
    private func entered<Device>(
        _ stream: Range<Int>, _ norm: NormBlock?, _ kept: NormBlock.Activations?, _ pass: Pass<Device>
    ) -> Range<Int> {
        guard let norm, let kept else { return stream }
        return norm.recomputed(stream, kept, pass)
    }

    /// Both parts have the gradient of the stream; it moves on when both are done.
    private func backwardParallel<Device>(
        _ x: () -> Range<Int>, _ kept: Activations, _ pass: Pass<Device>
    ) {
        let (engine, scratch) = (pass.engine, pass.scratch)
        var dOut = scratch.dStream
        if factor(pass) != 1 {
            // The forward pass is done with the stream between the parts.
            dOut = scratch.middle
            engine.scale(pass.values(dOut), pass.values(scratch.dStream), factor: factor(pass))
        }
        let inner = {
            feedForwardNorm == nil ? x() : entered(kept.input, feedForwardNorm, kept.feedForwardNorm, pass)
        }
        feedForward.backward(
            dx: scratch.dBranch, dOut: dOut, x: inner, kept.feedForward, pass)
        attention.backward(dx: scratch.dNorm, dOut: dOut, x: x, kept.attention, pass)
        if let feedForwardNorm, let own = kept.feedForwardNorm {
            feedForwardNorm.backward(
                dx: scratch.dStream, adds: true, dy: scratch.dBranch, x: kept.input, own, pass)
        } else {
            engine.add(
                pass.values(scratch.dNorm), pass.values(scratch.dNorm), pass.values(scratch.dBranch),
                factor: 1)
        }
        leave(kept.input, attentionNorm, kept.attentionNorm, pass)
    }

    /// The gradient of a part's result, from that of the stream.
    private func branchGradient<Device>(
        _ output: Range<Int>?, _ norm: NormBlock?, _ kept: NormBlock.Activations?, _ pass: Pass<Device>
    ) -> Range<Int> {
        let scratch = pass.scratch
        guard factor(pass) != 1 || output != nil else { return scratch.dStream }
        pass.engine.scale(
            pass.values(scratch.dBranch), pass.values(scratch.dStream), factor: factor(pass))
        if let output, let norm, let kept {
            norm.backward(
                dx: scratch.dBranch, adds: false, dy: scratch.dBranch, x: output, kept, pass)
        }
        return scratch.dBranch
    }

    /// Adds to the gradient of the stream what went through a part, which lies in dNorm.
    private func leave<Device>(
        _ stream: Range<Int>, _ norm: NormBlock?, _ kept: NormBlock.Activations?, _ pass: Pass<Device>
    ) {
        let scratch = pass.scratch
        let (dStream, dNorm) = (pass.values(scratch.dStream), pass.values(scratch.dNorm))
        guard let norm, let kept else {
            return pass.engine.add(dStream, dStream, dNorm, factor: 1)
        }
        // Where the stream goes on behind the norm, its gradient comes through it, too.
        if layer.addsToNormed { pass.engine.add(dNorm, dNorm, dStream, factor: 1) }
        norm.backward(
            dx: scratch.dStream, adds: !layer.addsToNormed, dy: scratch.dNorm, x: stream, kept, pass)
    }
}

extension Pass {
    /// stream = base + factor · delta.
    func add(_ sum: ResidualSum, into stream: Range<Int>) {
        engine.add(values(stream), values(sum.base), values(sum.delta), factor: sum.factor)
    }
}
