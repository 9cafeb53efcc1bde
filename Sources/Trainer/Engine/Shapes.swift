/// The shape of a linear layer's work: y(rows, outputs) = x(rows, inputs) · w(outputs, inputs)ᵀ.
public struct LinearShape: Equatable, Sendable {
    /// R: batch × time.
    public var rows: Int
    /// Channels that come in.
    public var inputs: Int
    /// Channels that go out.
    public var outputs: Int

    /// A linear layer of `inputs` × `outputs` on `rows` rows.
    public init(rows: Int, inputs: Int, outputs: Int) {
        self.rows = rows
        self.inputs = inputs
        self.outputs = outputs
    }
}

/// A block of rows of equal width.
public struct RowShape: Equatable, Sendable {
    /// R: batch × time.
    public var rows: Int
    /// C: the width of a row.
    public var columns: Int

    /// `rows` rows of `columns` values.
    public init(rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
    }

    /// Rows × columns.
    public var count: Int { rows * columns }
}

/// The shape of self-attention over queries, keys and values that lie side by side.
///
/// A token's row is `heads` queries, then `keyValueHeads` keys, then as many values, each `headSize` wide.
/// Query head h reads key-value head h / (heads / keyValueHeads) (grouped-query attention,
/// <https://arxiv.org/abs/2305.13245>).
public struct AttentionShape: Equatable, Sendable {
    /// B: sequences.
    public var batch: Int
    /// T: tokens in each.
    public var time: Int
    /// H: query heads.
    public var heads: Int
    /// Heads of keys and of values; divides ``heads``.
    public var keyValueHeads: Int
    /// D: channels of one head.
    public var headSize: Int

    /// Self-attention of `heads` heads over `batch` sequences of `time` tokens.
    public init(batch: Int, time: Int, heads: Int, keyValueHeads: Int, headSize: Int) {
        self.batch = batch
        self.time = time
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
    }

    /// Batch × time.
    public var rows: Int { batch * time }
    /// The width of a token's queries, keys and values together.
    public var width: Int { (heads + 2 * keyValueHeads) * headSize }
    /// The width of a token's result.
    public var outputWidth: Int { heads * headSize }
}

/// What a gated linear unit makes of its gate.
public enum GateActivation: Sendable, Equatable {
    /// x · sigmoid(x): SwiGLU.
    case silu
    /// x · Φ(x), Φ being the normal distribution's: GEGLU. <https://arxiv.org/abs/1606.08415>
    case gelu
    /// The same with Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, section 2 there.
    case geluTanh
}

/// What one step of AdamW multiplies by.
public struct AdamWStep: Equatable, Sendable {
    /// The learning rate of this step.
    public var rate: Float
    /// How slowly the mean of the gradient follows, in 0 ..< 1.
    public var beta1: Float
    /// How slowly the mean of its square follows, in 0 ..< 1.
    public var beta2: Float
    /// Added to the root of the second moment.
    public var epsilon: Float
    /// Weight decay, applied to the parameter itself (decoupled).
    public var decay: Float
    /// Which step this is, from 1: corrects the moments' bias towards zero.
    public var step: Int
    /// What clipping leaves of the gradient, from 0 to 1.
    public var gradientScale: Float

    /// One step's numbers.
    public init(
        rate: Float, beta1: Float, beta2: Float, epsilon: Float, decay: Float, step: Int, gradientScale: Float
    ) {
        self.rate = rate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.decay = decay
        self.step = step
        self.gradientScale = gradientScale
    }
}
