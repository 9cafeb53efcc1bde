internal import Formats
internal import Models

/// Tokens become rows (R, C): a table, learned positions where there are any, and perhaps a norm.
struct EmbeddingBlock: Sendable {
    let embedding: Architecture.Embedding
    /// (V, C) and (positions, C).
    let table: ParameterBlock, positions: ParameterBlock?
    let norm: NormBlock?
    private let columns: Int

    /// What it keeps.
    struct Activations: Sendable, Equatable {
        /// The rows before the norm, where there is one: (R, C).
        var unnormed: Range<Int>?
        var norm: NormBlock.Activations?
        /// The position of each token in its document, where positions are learned: (R) whole numbers.
        var positions: Range<Int>?
    }

    init(_ architecture: Architecture, _ builder: inout LayoutBuilder) throws(UserFacingError) {
        embedding = architecture.embedding
        columns = architecture.hiddenSize
        table = try builder.weights(
            .embedding, outputs: architecture.vocabularySize, inputs: architecture.hiddenSize)
        positions = try embedding.positions.map { count throws(UserFacingError) in
            try builder.weights(.positions, outputs: count, inputs: architecture.hiddenSize)
        }
        norm = try embedding.norm.map { norm throws(UserFacingError) in
            try NormBlock(norm, .embeddingNorm, columns: architecture.hiddenSize, &builder)
        }
    }

    var isTrained: Bool {
        table.isTrained || positions?.isTrained ?? false || norm?.isTrained ?? false
    }

    func plan(rows: Int, _ memory: inout MemoryPlanner) -> Activations {
        Activations(
            unnormed: norm == nil ? nil : memory.take(rows * columns),
            norm: norm?.plan(rows: rows, output: 0..<0, &memory),
            positions: positions == nil ? nil : memory.take(rows))
    }

    /// out(R, C) = the rows of the tokens.
    func forward<Device>(_ out: Range<Int>, _ kept: Activations, _ pass: Pass<Device>) {
        let shape = RowShape(rows: pass.rows, columns: columns)
        let rows = pass.values(kept.unnormed ?? out)
        pass.engine.embed(
            rows, table: pass.weights(table), indices: pass.integers(pass.plan.tokens),
            factor: embedding.factor, shape: shape, adds: false)
        if let positions, let indices = kept.positions {
            pass.engine.embed(
                rows, table: pass.weights(positions), indices: pass.integers(indices), factor: 1,
                shape: shape,
                adds: true)
        }
        if let norm, let unnormed = kept.unnormed, var own = kept.norm {
            own.output = out
            norm.forward(unnormed, own, pass)
        }
    }

    /// The gradients of its parameters, from that of the stream.
    ///
    /// `isTied` says whether the head has written its gradient to the same rows already.
    func backward<Device>(_ kept: Activations, isTied: Bool, _ pass: Pass<Device>) {
        let dStream = pass.scratch.dStream
        if let norm, let unnormed = kept.unnormed, let own = kept.norm {
            norm.backward(dx: dStream, adds: false, dy: dStream, x: unnormed, own, pass)
        }
        let shape = RowShape(rows: pass.rows, columns: columns)
        if let gradient = pass.gradient(table) {
            pass.engine.embedBackward(
                dTable: gradient, dOut: pass.values(dStream), indices: pass.integers(pass.plan.tokens),
                factor: embedding.factor, shape: shape, accumulate: pass.accumulate || isTied)
        }
        if let positions, let gradient = pass.gradient(positions), let indices = kept.positions {
            pass.engine.embedBackward(
                dTable: gradient, dOut: pass.values(dStream), indices: pass.integers(indices), factor: 1,
                shape: shape, accumulate: pass.accumulate)
        }
    }
}
