public import Formats
public import Models

/// Memory on an engine's device, in words of 32 bits.
public protocol EngineBuffer: Sendable {
    /// How many words it holds.
    var count: Int { get }
    /// A part of it, which shares its memory.
    subscript(range: Range<Int>) -> Self { get }
}

/// The operations that a decoder-only transformer is made of, forward and backward.
///
/// The model, the optimizer and the loop know a device only by this protocol; ``CPUEngine`` is its first home.
/// Which one computes is chosen in `DefaultEngine.swift`.
/// Letters as in the papers: B sequences of T tokens make R = B · T rows; C channels, H heads of D channels,
/// F channels of the feed-forward layer, V tokens, E experts of which K are chosen. Tensors are row-major.
///
/// A gradient of weights is written when `accumulate` is false and added to when it is true, so that no
/// operation needs zeroed memory. `adds` says the same of results. Weights and their gradients may be kept in fewer
/// bits than what is computed with; all else is float32, and tokens, positions and experts are whole numbers.
/// The same calls on the same values give the same bits, whatever the number of threads. Operations are carried out
/// in order; no result has to reach the host before ``read(_:)`` or a download asks for it.
public protocol Engine: AnyObject, Sendable {
    /// Words on the device.
    associatedtype Buffer: EngineBuffer
    /// A number in double precision on the device.
    associatedtype Scalar: Sendable

    // MARK: Memory

    /// Memory for `count` words, all zero.
    func makeBuffer(count: Int) throws(UserFacingError) -> Buffer
    /// A number, zero at first.
    func makeScalar() -> Scalar
    /// Takes what memory the operations on such shapes need beside their arguments.
    ///
    /// - Throws: ``UserFacingError`` when there is not enough of it.
    func prepare(attention: [AttentionShape], rows: RowShape) throws(UserFacingError)
    /// Copies values to the device.
    func upload(_ values: Span<Float>, to tensor: Tensor<Buffer>)
    /// Copies whole numbers to the device.
    func upload(_ values: Span<Int32>, to tensor: Tensor<Buffer>)
    /// Copies values from the device.
    func download(_ tensor: Tensor<Buffer>, to values: inout MutableSpan<Float>)
    /// Sets a number on the device.
    func set(_ scalar: Scalar, to value: Double)
    /// Waits for a number of the device.
    func read(_ scalar: Scalar) -> Double

    // MARK: Rows and sums

    /// out(R, C) = (adds ? out : 0) + factor · table(N, C)[indices(R)].
    func embed(
        _ out: Tensor<Buffer>, table: Tensor<Buffer>, indices: Tensor<Buffer>, factor: Float, shape: RowShape,
        adds: Bool)
    /// dTable(N, C)[indices(R)] += factor · dOut(R, C); without `accumulate` all other rows become zero.
    func embedBackward(
        dTable: Tensor<Buffer>, dOut: Tensor<Buffer>, indices: Tensor<Buffer>, factor: Float, shape: RowShape,
        accumulate: Bool)
    /// sum(n) = x(n) + factor · delta(n); `sum` may be `x`.
    func add(_ sum: Tensor<Buffer>, _ x: Tensor<Buffer>, _ delta: Tensor<Buffer>, factor: Float)
    /// y(n) = factor · x(n); `y` may be `x`.
    func scale(_ y: Tensor<Buffer>, _ x: Tensor<Buffer>, factor: Float)

    // MARK: Linear

    /// y(R, O) = (adds ? y : 0) + x(R, I) · w(O, I)ᵀ + bias(O).
    func linear(
        _ y: Tensor<Buffer>, _ x: Tensor<Buffer>, weight: Tensor<Buffer>, bias: Tensor<Buffer>?,
        shape: LinearShape, adds: Bool)
    /// dx(R, I) = (adds ? dx : 0) + dy(R, O) · w(O, I).
    func linearBackward(
        dx: Tensor<Buffer>, dy: Tensor<Buffer>, weight: Tensor<Buffer>, shape: LinearShape, adds: Bool)
    /// dWeight(O, I) = dy(R, O)ᵀ · x(R, I), dBias(O) = the sum of dy over the rows, each where it is wanted.
    func linearBackward(
        dWeight: Tensor<Buffer>?, dBias: Tensor<Buffer>?, dy: Tensor<Buffer>, x: Tensor<Buffer>,
        shape: LinearShape, accumulate: Bool)

    // MARK: Normalisation: RMSNorm, https://arxiv.org/abs/1910.07467; LayerNorm, https://arxiv.org/abs/1607.06450

    /// y = the norm of x, group by group (see ``NormShape``); its factors are kept in rstd(R, G), and for LayerNorm
    /// its means in mean(R, G).
    ///
    /// With `addition` the row is first sum(R, C) = x + factor · delta, which is kept. Scale and bias are (C) or
    /// (G, C) long; a norm may have none.
    func norm(
        _ y: Tensor<Buffer>, rstd: Tensor<Buffer>, mean: Tensor<Buffer>?, x: Tensor<Buffer>,
        addition: (sum: Tensor<Buffer>, delta: Tensor<Buffer>, factor: Float)?,
        scale: Tensor<Buffer>?, bias: Tensor<Buffer>?, shape: NormShape)
    /// y once more from x, rstd and mean.
    func recomputeNorm(
        _ y: Tensor<Buffer>, x: Tensor<Buffer>, rstd: Tensor<Buffer>, mean: Tensor<Buffer>?,
        scale: Tensor<Buffer>?, bias: Tensor<Buffer>?, shape: NormShape)
    /// dx and, where they are wanted, dScale and dBias from dy; dx is added to when `adds`, and may be dy when not.
    ///
    /// x has the input's strides, dx and dy the output's.
    func normBackward(
        dx: Tensor<Buffer>, adds: Bool, dScale: Tensor<Buffer>?, dBias: Tensor<Buffer>?, dy: Tensor<Buffer>,
        x: Tensor<Buffer>, scale: Tensor<Buffer>?, rstd: Tensor<Buffer>, mean: Tensor<Buffer>?,
        shape: NormShape, accumulate: Bool)

    // MARK: Attention

    /// Turns the first channels of queries and keys in qkv(R, width) by their positions' angles, or back.
    ///
    /// cosine and sine are (T, N / 2), N = `rotary.size` channels of each head being turned.
    func applyRoPE(
        _ qkv: Tensor<Buffer>, cosine: Tensor<Buffer>, sine: Tensor<Buffer>, rotary: RotaryShape,
        shape: AttentionShape, inverse: Bool)
    /// Causal attention: out(R, H · D) and the logarithm of each softmax's denominator, logSumExp(R, H).
    ///
    /// `first`(R) is the first position of its own sequence that each token sees. `bias`(H, T), where there is one, is
    /// added to the scores: column j for the j-th token that is seen. `sinks`(H), where there are any, are a score more
    /// in each softmax that belongs to no token.
    func attention(
        _ out: Tensor<Buffer>, logSumExp: Tensor<Buffer>, qkv: Tensor<Buffer>, first: Tensor<Buffer>,
        bias: Tensor<Buffer>?, sinks: Tensor<Buffer>?, shape: AttentionShape)
    /// dqkv(R, width) from dOut(R, H · D), and dSinks(H) where it is wanted.
    func attentionBackward(
        dqkv: Tensor<Buffer>, dSinks: Tensor<Buffer>?, dOut: Tensor<Buffer>, qkv: Tensor<Buffer>,
        out: Tensor<Buffer>, logSumExp: Tensor<Buffer>, first: Tensor<Buffer>, bias: Tensor<Buffer>?,
        sinks: Tensor<Buffer>?, shape: AttentionShape, accumulate: Bool)

    // MARK: Attention of a token at a time, over keys and values that are kept: (2, B, key-value heads, T, D)

    /// Keeps the keys and the values of qkv(R, width), each row's at its place: sequence · T + position.
    ///
    /// In this operation and the next, `shape` is what there is room for: B sequences of T tokens. R is the number of
    /// `places`, any of them.
    func keepKeysAndValues(
        _ kept: Tensor<Buffer>, qkv: Tensor<Buffer>, places: Tensor<Buffer>, shape: AttentionShape)
    /// out(R, H · D): each row's queries in qkv(R, width) see what is kept of its sequence from the position first(R) to its
    /// own place. Biases and sinks are those of ``attention(_:logSumExp:qkv:first:bias:sinks:shape:)``.
    func attentionOverKept(
        _ out: Tensor<Buffer>, qkv: Tensor<Buffer>, kept: Tensor<Buffer>, places: Tensor<Buffer>,
        first: Tensor<Buffer>, bias: Tensor<Buffer>?, sinks: Tensor<Buffer>?, shape: AttentionShape)

    // MARK: Feed-forward

    /// y(R, F) = activation(gate) · up, where gateUp(R, 2F) holds both, side by side or in turn.
    /// https://arxiv.org/abs/2002.05202
    func glu(_ y: Tensor<Buffer>, gateUp: Tensor<Buffer>, unit: GatedUnit, shape: RowShape)
    /// y(R, F) once more, and gateUp(R, 2F) becomes its own gradient given dy(R, F).
    func gluBackward(
        y: Tensor<Buffer>, gateUp: Tensor<Buffer>, dy: Tensor<Buffer>, unit: GatedUnit, shape: RowShape)
    /// y(n) = activation(x(n)).
    func activate(_ y: Tensor<Buffer>, _ x: Tensor<Buffer>, activation: Activation)
    /// y(n) once more, and x(n) becomes its own gradient given dy(n).
    func activateBackward(
        y: Tensor<Buffer>, x: Tensor<Buffer>, dy: Tensor<Buffer>, activation: Activation)

    // MARK: Mixtures of experts. S = R · K slots, one for each choice of a token, lie expert by expert.

    /// The K experts of each row, chosen(R, K), and how much each counts, weights(R, K), from logits(R, E), which
    /// become the scores of all experts. `correction`(E) is added to the scores for the choice alone.
    func route(
        chosen: Tensor<Buffer>, weights: Tensor<Buffer>, logits: Tensor<Buffer>,
        correction: Tensor<Buffer>?, routing: Routing, shape: ExpertShape)
    /// dLogits(R, E) from dWeights(R, K), the choice and the scores; `balance`(E), where it is given, is the gradient
    /// of the scores besides.
    func routeBackward(
        dLogits: Tensor<Buffer>, dWeights: Tensor<Buffer>, chosen: Tensor<Buffer>, weights: Tensor<Buffer>,
        scores: Tensor<Buffer>, balance: Tensor<Buffer>?, routing: Routing, shape: ExpertShape)
    /// Orders the choices by expert, and within an expert by row: choice(S) is what lies in each slot, as row · K + k;
    /// slot(R, K) is where each choice lies; offsets(E + 1) is where each expert's slots begin.
    func sortByExpert(
        choice: Tensor<Buffer>, slot: Tensor<Buffer>, offsets: Tensor<Buffer>, chosen: Tensor<Buffer>,
        shape: ExpertShape)
    /// y(S, C) = x(R, C)[choice / K].
    func gatherRows(
        _ y: Tensor<Buffer>, _ x: Tensor<Buffer>, choice: Tensor<Buffer>, columns: Int, shape: ExpertShape)
    /// y(R, C) = (adds ? y : 0) + the sum over k of weights(R, K) · x(S, C)[slot]; weights are 1 where there are none.
    func combineRows(
        _ y: Tensor<Buffer>, _ x: Tensor<Buffer>, weights: Tensor<Buffer>?, slot: Tensor<Buffer>,
        columns: Int, shape: ExpertShape, adds: Bool)
    /// y(S, O) = x(S, I) · w(E, O, I)ᵀ + bias(E, O), each slot by its own expert.
    ///
    /// `linear` has the inputs and outputs; its rows do not count.
    func expertLinear(
        _ y: Tensor<Buffer>, _ x: Tensor<Buffer>, weight: Tensor<Buffer>, bias: Tensor<Buffer>?,
        offsets: Tensor<Buffer>, linear: LinearShape, shape: ExpertShape)
    /// dx(S, I) = dy(S, O) · w(E, O, I).
    func expertLinearBackward(
        dx: Tensor<Buffer>, dy: Tensor<Buffer>, weight: Tensor<Buffer>, offsets: Tensor<Buffer>,
        linear: LinearShape, shape: ExpertShape)
    /// dWeight(E, O, I) and dBias(E, O), each where it is wanted; an expert that nobody chose gets zeros.
    func expertLinearBackward(
        dWeight: Tensor<Buffer>?, dBias: Tensor<Buffer>?, dy: Tensor<Buffer>, x: Tensor<Buffer>,
        offsets: Tensor<Buffer>, linear: LinearShape, shape: ExpertShape, accumulate: Bool)
    /// The gradient of the choices' weights, and of what they weigh.
    ///
    /// dWeights(R, K) = hidden(S, F) · dHidden(S, F) + dOut(S, C) · bias(E, C), by row of a slot; then dHidden and dOut
    /// are multiplied by weights(R, K). `hidden` is what enters the last product, dHidden its gradient before.
    func weighRowsBackward(
        dWeights: Tensor<Buffer>, dHidden: Tensor<Buffer>, dOut: Tensor<Buffer>, hidden: Tensor<Buffer>,
        bias: Tensor<Buffer>?, weights: Tensor<Buffer>, choice: Tensor<Buffer>, offsets: Tensor<Buffer>,
        hiddenSize: Int, columns: Int, shape: ExpertShape)
    /// y(R, C) += sigmoid(gate(R)) · x(R, C).
    func addGated(_ y: Tensor<Buffer>, _ x: Tensor<Buffer>, gate: Tensor<Buffer>, shape: RowShape)
    /// dGate(R) from hidden(R, F) · dHidden(R, F); then dHidden(R, F) and dOut(R, C) are multiplied by sigmoid(gate).
    func addGatedBackward(
        dGate: Tensor<Buffer>, dHidden: Tensor<Buffer>, dOut: Tensor<Buffer>, hidden: Tensor<Buffer>,
        gate: Tensor<Buffer>, hiddenSize: Int, shape: RowShape)
    /// Adds to load(2, E): how often each expert was chosen, and the sum of its scores.
    func addLoad(_ load: Tensor<Buffer>, chosen: Tensor<Buffer>, scores: Tensor<Buffer>, shape: ExpertShape)
    /// scalar += factor · E · Σ (chosen / rows) · (scores / rows), balance(E) = factor · E · chosen / rows².
    ///
    /// `rows` are all rows whose load was added, over all layers. https://arxiv.org/abs/2101.03961, equation 4.
    func balance(
        _ balance: Tensor<Buffer>, load: Tensor<Buffer>, rows: Int, factor: Float, addsTo scalar: Scalar)

    // MARK: Loss

    /// logits(n) become softCap · tanh(factor · logits / softCap), or factor · logits.
    func transformLogits(_ logits: Tensor<Buffer>, transform: LogitTransform)
    /// losses(R) = the cross entropy of logits(R, V) in nats, 0 where the target is negative.
    ///
    /// With `gradientScale`, logits become the gradient of what they were before `transform`, times that factor.
    func crossEntropy(
        losses: Tensor<Buffer>, logits: Tensor<Buffer>, targets: Tensor<Buffer>, shape: RowShape,
        transform: LogitTransform, gradientScale: Float?)
    /// losses(R) = (1 − α) · entropies + α · T² · divergences, and logits become the gradient of what they were before
    /// `transform`, times `gradientScale`.
    ///
    /// entropies(R) are cross entropies, divergences(R) = KL(teacher ‖ student) of the softmaxes at temperature T over the
    /// tokens that both have. A row that the lesson has no place for has its cross entropy alone, and 0 where the
    /// target is negative. https://arxiv.org/abs/1503.02531
    func distill(
        losses: Tensor<Buffer>, entropies: Tensor<Buffer>, divergences: Tensor<Buffer>,
        logits: Tensor<Buffer>, targets: Tensor<Buffer>, lesson: Lesson<Buffer>, shape: RowShape,
        transform: LogitTransform, gradientScale: Float)
    /// scalar += the sum of all values, in order, in double precision.
    func addSum(of values: Tensor<Buffer>, to scalar: Scalar)

    // MARK: Optimizer

    /// norm = the root of the sum of the squares of all values of all tensors.
    func gradientNorm(_ gradients: [Tensor<Buffer>], to norm: Scalar)
    /// One step of AdamW on each of a list of tensors. https://arxiv.org/abs/1711.05101
    ///
    /// With `clip`, gradients are first multiplied by min(1, clip / (norm + 1e-6)), as PyTorch's clip_grad_norm_ does.
    func adamW(_ updates: [AdamWUpdate<Buffer>], norm: Scalar, clip: Double?)
}
