public import Models

/// The shape of a linear layer's work: y(rows, outputs) = x(rows, inputs) · w(outputs, inputs)ᵀ.
public struct LinearShape: Equatable, Sendable {
    /// R: batch × sequence length.
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
    /// R: batch × sequence length.
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

/// The shape of a norm's work: R rows of G groups of C values, each group normalised by itself.
///
/// The residual stream is one group a row; queries or keys are a group a head.
public struct NormShape: Equatable, Sendable {
    /// What is computed.
    public var norm: Norm
    /// R: batch × sequence length.
    public var rows: Int
    /// G: groups in a row, one after the other.
    public var groups: Int
    /// C: values of a group.
    public var columns: Int
    /// Values from one row's start to the next's, of what is normalised and of the result.
    public var inputStride: Int, outputStride: Int
    /// Whether each group has a scale of its own: scale and bias are (G, C) then.
    public var hasOwnScales: Bool

    /// The norm of `groups` groups in each row; rows follow each other without a gap unless strides say otherwise.
    public init(
        _ norm: Norm, rows: Int, groups: Int = 1, columns: Int, inputStride: Int? = nil,
        outputStride: Int? = nil, hasOwnScales: Bool = false
    ) {
        self.norm = norm
        self.rows = rows
        self.groups = groups
        self.columns = columns
        self.inputStride = inputStride ?? groups * columns
        self.outputStride = outputStride ?? groups * columns
        self.hasOwnScales = hasOwnScales
    }

    /// How many values scale and bias have.
    public var scaleCount: Int { hasOwnScales ? groups * columns : columns }
}

/// The shape of self-attention over queries, keys and values that lie in one row.
///
/// Query head h reads key-value head h / (heads / keyValueHeads) (grouped-query attention,
/// <https://arxiv.org/abs/2305.13245>).
public struct AttentionShape: Equatable, Sendable {
    /// B: sequences.
    public var batch: Int
    /// T: tokens in each.
    public var sequenceLength: Int
    /// H: query heads.
    public var heads: Int
    /// Heads of keys and of values; divides ``heads``.
    public var keyValueHeads: Int
    /// D: channels of one head.
    public var headSize: Int
    /// How queries, keys and values follow each other in a row.
    public var arrangement: Attention.Arrangement
    /// What the products of queries and keys are multiplied by.
    public var scale: Float
    /// The scores s become softCap · tanh(s / softCap), where there is one.
    public var softCap: Float?

    /// Self-attention of `heads` heads over `batch` sequences of `sequenceLength` tokens.
    public init(
        batch: Int, sequenceLength: Int, heads: Int, keyValueHeads: Int, headSize: Int,
        arrangement: Attention.Arrangement = .stacked, scale: Float? = nil, softCap: Float? = nil
    ) {
        self.batch = batch
        self.sequenceLength = sequenceLength
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
        self.arrangement = arrangement
        self.scale = scale ?? 1 / Float(headSize).squareRoot()
        self.softCap = softCap
    }

    /// Batch × sequence length.
    public var rows: Int { batch * sequenceLength }
    /// The width of a token's queries, keys and values together.
    public var qkvWidth: Int { (heads + 2 * keyValueHeads) * headSize }
    /// The width of a token's result.
    public var outputWidth: Int { heads * headSize }
    /// Query heads that share a key-value head.
    public var groupSize: Int { heads / keyValueHeads }

    /// Where query head `head` begins in a row.
    public func query(_ head: Int) -> Int {
        switch arrangement {
        case .stacked: head * headSize
        case .grouped: (head / groupSize * (groupSize + 2) + head % groupSize) * headSize
        }
    }

    /// Where key head `head` begins in a row.
    public func key(_ head: Int) -> Int {
        switch arrangement {
        case .stacked: (heads + head) * headSize
        case .grouped: (head * (groupSize + 2) + groupSize) * headSize
        }
    }

    /// Where value head `head` begins in a row.
    public func value(_ head: Int) -> Int {
        switch arrangement {
        case .stacked: (heads + keyValueHeads + head) * headSize
        case .grouped: (head * (groupSize + 2) + groupSize + 1) * headSize
        }
    }
}

extension AttentionShape {
    /// How many values the keys and the values of all tokens have: (2, B, key-value heads, T, D).
    var keptCount: Int { 2 * rows * keyValueHeads * headSize }

    /// Where what is kept of a key, or value, head at a place (sequence · T + position) begins in its half.
    func kept(_ head: Int, at place: Int) -> Int {
        let (sequence, position) = (place / sequenceLength, place % sequenceLength)
        return ((sequence * keyValueHeads + head) * sequenceLength + position) * headSize
    }
}

/// Which channels of a head are turned, and in what pairs.
public struct RotaryShape: Equatable, Sendable {
    /// N: how many channels, from a head's first; even.
    public var size: Int
    /// Whether pairs are neighbours (0, 1), (2, 3) …; otherwise they are (i, i + N / 2).
    public var isInterleaved: Bool

    /// The first `size` channels, in pairs of one kind or the other.
    public init(size: Int, isInterleaved: Bool = false) {
        self.size = size
        self.isInterleaved = isInterleaved
    }
}

/// The shape of a mixture of experts' work.
public struct ExpertShape: Equatable, Sendable {
    /// R: batch × sequence length.
    public var rows: Int
    /// E: experts.
    public var experts: Int
    /// K: experts that each row is computed by.
    public var chosen: Int

    /// `rows` rows that choose `chosen` of `experts` experts each.
    public init(rows: Int, experts: Int, chosen: Int) {
        self.rows = rows
        self.experts = experts
        self.chosen = chosen
    }

    /// S: rows × chosen.
    public var slots: Int { rows * chosen }
}

/// What becomes of the head's products before the softmax.
public struct LogitTransform: Equatable, Sendable {
    /// What they are multiplied by.
    public var factor: Float
    /// What they are capped at smoothly, after that.
    public var softCap: Float?

    /// Multiplies by `factor`, then caps.
    public init(factor: Float = 1, softCap: Float? = nil) {
        self.factor = factor
        self.softCap = softCap
    }

    /// Whether logits stay as they are.
    public var isIdentity: Bool { factor == 1 && softCap == nil }
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

    /// One step's numbers.
    public init(rate: Float, beta1: Float, beta2: Float, epsilon: Float, decay: Float, step: Int) {
        self.rate = rate
        self.beta1 = beta1
        self.beta2 = beta2
        self.epsilon = epsilon
        self.decay = decay
        self.step = step
    }
}

/// A tensor that AdamW moves.
public struct AdamWUpdate<Buffer: EngineBuffer> {
    /// The parameters, in float32.
    public var weights: Tensor<Buffer>
    /// Their gradients.
    public var gradients: Tensor<Buffer>
    /// The mean of each gradient, and of its square.
    public var mean: Tensor<Buffer>, square: Tensor<Buffer>
    /// What they are moved by.
    public var step: AdamWStep
    /// Runs of values that have a rate and a decay of their own, all values in order; empty where the step's are for all.
    public var runs: [AdamWRun] = []
}

/// Neighbouring values that AdamW moves alike.
public struct AdamWRun: Equatable, Sendable {
    /// How many values.
    public var count: Int
    /// Their learning rate in this step.
    public var rate: Float
    /// Their weight decay.
    public var decay: Float
    /// Whether they stay as they are, to the bit; their moments become zero.
    public var isFrozen = false
}
