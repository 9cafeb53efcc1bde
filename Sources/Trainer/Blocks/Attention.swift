internal import Formats
internal import Models

/// Causal self-attention: queries, keys and values of x(R, C), their product, and what writes into the stream.
///
/// Rows of queries, keys and values are W = (H + 2 · key-value heads) · D wide. Grouped-query attention,
/// <https://arxiv.org/abs/2305.13245>; computed in tiles, <https://arxiv.org/abs/2307.08691>.
struct AttentionBlock: Sendable {
    let attention: Attention
    /// Which layer it is of.
    let layer: Int
    /// (W, C) and (C, H · D).
    let queryKeyValue: Linear, output: Linear
    let queryNorm: NormBlock?, keyNorm: NormBlock?
    /// (H).
    let sinks: ParameterBlock?

    /// What it keeps.
    struct Activations: Sendable, Equatable {
        /// Queries, keys and values, normed and turned: (R, W).
        var queryKeyValue: Range<Int>
        /// The same before the norms of queries and keys, where there are any: (R, W).
        var unnormed: Range<Int>?
        var queryNorm: NormBlock.Activations?, keyNorm: NormBlock.Activations?
        /// The result for each head: (R, H · D), and the logarithm of its softmax's denominator: (R, H).
        var result: Range<Int>, logSumExp: Range<Int>
    }

    init(_ attention: Attention, _ builder: inout LayoutBuilder) throws(UserFacingError) {
        self.attention = attention
        layer = builder.layer ?? 0
        let width = builder.architecture.hiddenSize
        let (queries, keys) = (
            attention.heads * attention.headSize, attention.keyValueHeads * attention.headSize
        )
        queryKeyValue = try builder.linear(
            [(.query, queries), (.key, keys), (.value, keys)], fused: .queryKeyValue, inputs: width,
            hasBias: attention.hasBias)
        if let norm = attention.queryKeyNorm {
            func block(_ module: Module, _ heads: Int) throws(UserFacingError) -> NormBlock {
                try NormBlock(
                    norm.norm, module, columns: (norm.extent == .all ? heads : 1) * attention.headSize,
                    groups: norm.extent == .all ? 1 : heads, hasOwnScales: norm.extent == .headOwnScale,
                    &builder)
            }
            queryNorm = try block(.queryNorm, attention.heads)
            keyNorm = try block(.keyNorm, attention.keyValueHeads)
        } else {
            (queryNorm, keyNorm) = (nil, nil)
        }
        sinks = attention.hasSinks ? try builder.vector(.sinks, count: attention.heads, role: .bias) : nil
        output = try builder.linear(
            [(.attentionOutput, width)], inputs: queries, hasBias: attention.hasOutputBias)
    }

    var isTrained: Bool {
        queryKeyValue.isTrained || output.isTrained || sinks?.isTrained ?? false
            || [queryNorm, keyNorm].contains { $0?.isTrained ?? false }
    }

    func plan(rows: Int, _ memory: inout MemoryPlanner) -> Activations {
        let width = rows * attention.qkvWidth
        let queryKeyValue = memory.take(width)
        let unnormed = queryNorm == nil ? nil : memory.take(width)
        return Activations(
            queryKeyValue: queryKeyValue, unnormed: unnormed,
            queryNorm: queryNorm?.plan(rows: rows, output: queryKeyValue, &memory),
            keyNorm: keyNorm?.plan(rows: rows, output: queryKeyValue, &memory),
            result: memory.take(rows * attention.heads * attention.headSize),
            logSumExp: memory.take(rows * attention.heads))
    }

    /// Its work on a batch.
    func shape(batch: Int, sequenceLength: Int) -> AttentionShape {
        AttentionShape(
            batch: batch, sequenceLength: sequenceLength, heads: attention.heads,
            keyValueHeads: attention.keyValueHeads, headSize: attention.headSize,
            arrangement: attention.arrangement, scale: attention.scale, softCap: attention.softCap)
    }

    private func shape<Device>(_ pass: Pass<Device>) -> AttentionShape {
        shape(batch: pass.plan.batch, sequenceLength: pass.plan.sequenceLength)
    }

    /// out(R, C) = attention(x(R, C)).
    func forward<Device>(_ out: Range<Int>, _ x: Range<Int>, _ kept: Activations, _ pass: Pass<Device>) {
        let (engine, shape) = (pass.engine, shape(pass))
        queryKeyValue.forward(kept.unnormed ?? kept.queryKeyValue, x, pass)
        if let unnormed = kept.unnormed {
            engine.scale(pass.values(kept.queryKeyValue), pass.values(unnormed), factor: 1)
            forEachNorm(kept, shape) { norm, kept, start in
                norm.forward(
                    unnormed.dropFirst(start), kept.moved(by: start), stride: shape.qkvWidth, pass)
            }
        }
        turn(kept.queryKeyValue, shape, inverse: false, pass)
        if let rows = pass.kept { rows.keep(kept.queryKeyValue, of: self, pass) }
        if let rows = pass.kept, rows.isStep {
            rows.attend(kept.result, kept.queryKeyValue, self, pass)
            return output.forward(out, kept.result, pass)
        }
        engine.attention(
            pass.values(kept.result), logSumExp: pass.values(kept.logSumExp),
            qkv: pass.values(kept.queryKeyValue), first: pass.integers(pass.plan.starts(attention.window)),
            bias: pass.plan.bias(attention.positionBias).map { pass.values($0) },
            sinks: sinks.map { pass.weights($0) }, shape: shape)
        output.forward(out, kept.result, pass)
    }

    /// dx(R, C) from dOut(R, C); `x` is what was given to the forward pass.
    func backward<Device>(
        dx: Range<Int>, dOut: Range<Int>, x: () -> Range<Int>, _ kept: Activations, _ pass: Pass<Device>
    ) {
        let (engine, shape, scratch) = (pass.engine, shape(pass), pass.scratch)
        let dResult = scratch.dAttention.prefix(kept.result.count)
        let dQueryKeyValue = scratch.dQueryKeyValue.prefix(kept.queryKeyValue.count)
        output.backward(dx: dResult, dy: dOut, pass)
        output.backwardWeights(dy: dOut, x: { kept.result }, pass)
        engine.attentionBackward(
            dqkv: pass.values(dQueryKeyValue), dSinks: sinks.flatMap { pass.gradient($0) },
            dOut: pass.values(dResult), qkv: pass.values(kept.queryKeyValue), out: pass.values(kept.result),
            logSumExp: pass.values(kept.logSumExp), first: pass.integers(pass.plan.starts(attention.window)),
            bias: pass.plan.bias(attention.positionBias).map { pass.values($0) },
            sinks: sinks.map { pass.weights($0) }, shape: shape, accumulate: pass.accumulate)
        turn(dQueryKeyValue, shape, inverse: true, pass)
        if let unnormed = kept.unnormed {
            forEachNorm(kept, shape) { norm, kept, start in
                let gradient = dQueryKeyValue.dropFirst(start)
                norm.backward(
                    dx: gradient, adds: false, dy: gradient, x: unnormed.dropFirst(start), kept,
                    stride: shape.qkvWidth, pass)
            }
        }
        queryKeyValue.backward(dx: dx, dy: dQueryKeyValue, pass)
        queryKeyValue.backwardWeights(dy: dQueryKeyValue, x: x, pass)
    }

    /// Turns queries and keys by their positions, or back.
    private func turn<Device>(
        _ qkv: Range<Int>, _ shape: AttentionShape, inverse: Bool, _ pass: Pass<Device>
    ) {
        guard let rotary = attention.rotary, let table = pass.plan.angles(rotary) else { return }
        pass.engine.applyRoPE(
            pass.values(qkv), cosine: pass.values(table.cosine), sine: pass.values(table.sine),
            rotary: RotaryShape(size: rotary.size, isInterleaved: rotary.isInterleaved), shape: shape,
            inverse: inverse)
    }

    /// The norms of queries and of keys, and where in a row what they normalise begins.
    private func forEachNorm(
        _ kept: Activations, _ shape: AttentionShape,
        _ body: (NormBlock, NormBlock.Activations, Int) -> Void
    ) {
        precondition(shape.arrangement == .stacked, "norms take queries that lie side by side")
        if let queryNorm, let kept = kept.queryNorm { body(queryNorm, kept, 0) }
        if let keyNorm, let kept = kept.keyNorm { body(keyNorm, kept, shape.key(0)) }
    }
}

extension NormBlock.Activations {
    /// The same with a result that begins so many values later.
    fileprivate func moved(by start: Int) -> NormBlock.Activations {
        var moved = self
        moved.output = output.dropFirst(start)
        return moved
    }
}
