/// Memory on an engine's device that holds float32 values.
public protocol EngineBuffer: Sendable {
    /// How many values it holds.
    var count: Int { get }
    /// A part of it, which shares its memory.
    subscript(range: Range<Int>) -> Self { get }
}

/// The operations that a decoder-only transformer is made of, forward and backward.
///
/// The model, the optimizer and the loop know a device only by this protocol; ``CPUEngine`` is its first home.
/// Letters as in the papers: B sequences of T tokens make R = B · T rows; C channels, H heads of D channels,
/// F channels of the feed-forward layer, V tokens. Buffers are row-major.
///
/// A gradient of weights is written when `accumulate` is false and added to when it is true, so that no
/// operation needs zeroed memory. Weights and their gradients may be kept in fewer bits than what is computed
/// with. The same calls on the same values give the same bits, whatever the number of
/// threads. An engine carries out one operation at a time: its callers take turns.
public protocol Engine: AnyObject, Sendable {
    /// Float32 values on the device.
    associatedtype Buffer: EngineBuffer
    /// Token numbers and positions on the device.
    associatedtype Indices

    // MARK: Memory

    /// Memory for `count` values, all zero.
    func makeBuffer(count: Int) throws(EngineError) -> Buffer
    /// Takes what memory the operations on such shapes need beside their arguments.
    ///
    /// - Throws: ``EngineError`` when there is not enough of it.
    func prepare(attention: AttentionShape, rows: RowShape) throws(EngineError)
    /// Numbers on the device.
    func makeIndices(_ values: [Int32]) -> Indices
    /// The part of `indices` at `range`.
    func slice(_ indices: Indices, _ range: Range<Int>) -> Indices
    /// Copies values to the device.
    func upload(_ values: Span<Float>, to buffer: Buffer)
    /// Copies values from the device.
    func download(_ buffer: Buffer, to values: inout MutableSpan<Float>)

    // MARK: Embedding

    /// out(R, C) = table(V, C)[tokens(R)].
    func embed(_ out: Buffer, table: Stored<Buffer>, tokens: Indices, shape: RowShape)
    /// dTable(V, C)[tokens(R)] += dOut(R, C); without `accumulate` all other rows become zero.
    func embedBackward(dTable: Buffer, dOut: Buffer, tokens: Indices, shape: RowShape, accumulate: Bool)

    // MARK: Linear

    /// y(R, O) = x(R, I) · w(O, I)ᵀ + bias(O).
    func linear(_ y: Buffer, _ x: Buffer, weight: Stored<Buffer>, bias: Buffer?, shape: LinearShape)
    /// dx(R, I) = dy(R, O) · w(O, I).
    func linearBackward(dx: Buffer, dy: Buffer, weight: Stored<Buffer>, shape: LinearShape)
    /// dWeight(O, I) = dy(R, O)ᵀ · x(R, I), dBias(O) = the sum of dy over the rows, each where it is wanted.
    func linearBackward(
        dWeight: Stored<Buffer>?, dBias: Buffer?, dy: Buffer, x: Buffer, shape: LinearShape, accumulate: Bool)

    // MARK: Root-mean-square normalisation, https://arxiv.org/abs/1910.07467

    /// sum(R, C) = x + delta; y(R, C) = weight · sum / √(mean(sum²) + epsilon), whose factor is kept in rstd(R).
    ///
    /// Without `addition` y is the norm of x itself.
    func normalize(
        _ y: Buffer, rstd: Buffer, x: Buffer, addition: (sum: Buffer, delta: Buffer)?, weight: Buffer,
        epsilon: Float, shape: RowShape)
    /// y(R, C) once more from x(R, C) and rstd(R).
    func renormalize(_ y: Buffer, x: Buffer, rstd: Buffer, weight: Buffer, shape: RowShape)
    /// dx(R, C) and, where it is wanted, dWeight(C) from dy(R, C); dx is added to when `addToDx`.
    func normalizeBackward(
        dx: Buffer, addToDx: Bool, dWeight: Buffer?, dy: Buffer, x: Buffer, weight: Buffer, rstd: Buffer,
        shape: RowShape, accumulate: Bool)

    // MARK: Attention

    /// Turns queries and keys in qkv(R, width) by their positions' angles (T, D / 2), or back.
    func rotate(_ qkv: Buffer, cosine: Buffer, sine: Buffer, shape: AttentionShape, back: Bool)
    /// Causal attention: out(R, H · D) and the logarithm of each softmax's denominator, lse(R, H).
    ///
    /// `first`(R) is the first position of its own sequence that each token sees.
    func attention(_ out: Buffer, lse: Buffer, qkv: Buffer, first: Indices, shape: AttentionShape)
    /// dqkv(R, width) from dOut(R, H · D).
    func attentionBackward(
        dqkv: Buffer, dOut: Buffer, qkv: Buffer, out: Buffer, lse: Buffer, first: Indices,
        shape: AttentionShape)

    // MARK: Feed-forward

    /// y(R, F) = gate's activation · up, where gateUp(R, 2F) holds both side by side.
    /// https://arxiv.org/abs/2002.05202
    func gatedUnit(_ y: Buffer, gateUp: Buffer, gate: GateActivation, shape: RowShape)
    /// y(R, F) once more, and gateUp(R, 2F) becomes its own gradient given dy(R, F).
    func gatedUnitBackward(y: Buffer, gateUp: Buffer, dy: Buffer, gate: GateActivation, shape: RowShape)

    // MARK: Loss

    /// losses(R) = the cross entropy of logits(R, V) in nats, 0 where the target is negative.
    ///
    /// With `gradientScale`, logits become their gradient times that factor.
    func crossEntropy(
        losses: Buffer, logits: Buffer, targets: Indices, shape: RowShape, gradientScale: Float?)

    // MARK: Optimizer

    /// The sum of the squares of all values.
    func sumOfSquares(_ x: Stored<Buffer>) -> Double
    /// One step of AdamW on weights with gradients and both moments. https://arxiv.org/abs/1711.05101
    func adamW(
        weights: Buffer, gradients: Stored<Buffer>, mean: Stored<Buffer>, square: Stored<Buffer>,
        step: AdamWStep)
}
