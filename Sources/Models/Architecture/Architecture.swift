/// What a decoder-only transformer computes, as data that belongs to no family.
///
/// A family makes one of its config.json (see ``Family``); the trainer builds its blocks from it.
/// Letters as in the papers: C channels of the residual stream, H heads of D channels, V tokens.
public struct Architecture: Equatable, Sendable {
    /// V: rows of the embedding.
    public var vocabularySize: Int
    /// C: the width of the residual stream.
    public var hiddenSize: Int
    /// The longest sequence that the model was made for.
    public var maximumLength: Int
    /// How tokens become rows of the residual stream.
    public var embedding: Embedding
    /// The layers, from the first.
    public var layers: [Layer]
    /// The norm after the last layer.
    public var finalNorm: Norm
    /// How the last state becomes logits.
    public var head: Head
    /// The share of the load-balancing loss in training, where the configuration asks for one.
    public var balanceFactor: Double?

    /// How tokens become rows of the residual stream.
    public struct Embedding: Equatable, Sendable {
        /// What the rows are multiplied by.
        public var factor: Float
        /// How many learned positions are added, where there are any.
        public var positions: Int?
        /// The norm of their sum, where there is one.
        public var norm: Norm?

        /// Rows as they are, unless more is said.
        public init(factor: Float = 1, positions: Int? = nil, norm: Norm? = nil) {
            self.factor = factor
            self.positions = positions
            self.norm = norm
        }
    }

    /// How the last state becomes logits.
    public struct Head: Equatable, Sendable {
        /// Whether the output head is the embedding.
        public var isTied: Bool
        /// What the logits are multiplied by.
        public var factor: Float
        /// What they are capped at smoothly, after that (<https://arxiv.org/abs/2408.00118>, section 2).
        public var softCap: Float?

        /// Logits as they are, unless more is said.
        public init(isTied: Bool, factor: Float = 1, softCap: Float? = nil) {
            self.isTied = isTied
            self.factor = factor
            self.softCap = softCap
        }
    }

    /// A model of these parts.
    public init(
        vocabularySize: Int, hiddenSize: Int, maximumLength: Int, embedding: Embedding = Embedding(),
        layers: [Layer], finalNorm: Norm, head: Head, balanceFactor: Double? = nil
    ) {
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.maximumLength = maximumLength
        self.embedding = embedding
        self.layers = layers
        self.finalNorm = finalNorm
        self.head = head
        self.balanceFactor = balanceFactor
    }
}

/// A norm of rows.
public struct Norm: Equatable, Sendable {
    /// What is computed.
    public enum Kind: Equatable, Sendable {
        /// x / √(mean(x²) + ε), <https://arxiv.org/abs/1910.07467>.
        case rms
        /// (x − mean(x)) / √(variance(x) + ε), <https://arxiv.org/abs/1607.06450>.
        case layer
    }

    /// What is computed.
    public var kind: Kind
    /// ε: added to the mean square.
    public var epsilon: Float
    /// Whether the result is multiplied by 1 + scale in place of scale, as in Gemma.
    public var addsOne: Bool
    /// Whether there is a scale.
    public var hasScale: Bool
    /// Whether there is a bias.
    public var hasBias: Bool

    /// RMSNorm with a scale.
    public static func rms(_ epsilon: Double, addsOne: Bool = false) -> Norm {
        Norm(kind: .rms, epsilon: Float(epsilon), addsOne: addsOne, hasScale: true, hasBias: false)
    }

    /// LayerNorm with a scale.
    public static func layer(_ epsilon: Double, bias: Bool) -> Norm {
        Norm(kind: .layer, epsilon: Float(epsilon), addsOne: false, hasScale: true, hasBias: bias)
    }

    /// A norm of this kind.
    public init(kind: Kind, epsilon: Float, addsOne: Bool, hasScale: Bool, hasBias: Bool) {
        self.kind = kind
        self.epsilon = epsilon
        self.addsOne = addsOne
        self.hasScale = hasScale
        self.hasBias = hasBias
    }
}

/// One layer: attention and a feed-forward part, and how they are put together.
public struct Layer: Equatable, Sendable {
    /// How the two parts follow each other.
    public enum Order: Equatable, Sendable {
        /// x += attention(norm(x)), then x += feedForward(norm(x)).
        case serial
        /// x += attention(norm(x)) + feedForward(norm(x)), <https://arxiv.org/abs/2204.06745>, section 2.1.
        case parallel
    }

    /// How the two parts follow each other.
    public var order: Order
    /// The norm of what enters attention, where there is one.
    public var attentionNorm: Norm?
    /// Attention.
    public var attention: Attention
    /// The norm of what attention adds to the residual stream, where there is one.
    public var attentionOutputNorm: Norm?
    /// The norm of what enters the feed-forward part; without one, a parallel layer takes attention's.
    public var feedForwardNorm: Norm?
    /// The feed-forward part.
    public var feedForward: FeedForward
    /// The norm of what the feed-forward part adds to the residual stream, where there is one.
    public var feedForwardOutputNorm: Norm?
    /// What both results are multiplied by before they are added.
    public var branchFactor: Float
    /// Whether results are added to what enters a part behind its norm, BLOOM's option, in place of before it.
    public var addsToNormed: Bool

    /// A layer of these parts.
    public init(
        order: Order = .serial, attentionNorm: Norm?, attention: Attention, attentionOutputNorm: Norm? = nil,
        feedForwardNorm: Norm?, feedForward: FeedForward, feedForwardOutputNorm: Norm? = nil,
        branchFactor: Float = 1, addsToNormed: Bool = false
    ) {
        precondition(
            order == .serial || !addsToNormed, "a parallel layer adds to what enters it, before its norms")
        self.order = order
        self.attentionNorm = attentionNorm
        self.attention = attention
        self.attentionOutputNorm = attentionOutputNorm
        self.feedForwardNorm = feedForwardNorm
        self.feedForward = feedForward
        self.feedForwardOutputNorm = feedForwardOutputNorm
        self.branchFactor = branchFactor
        self.addsToNormed = addsToNormed
    }
}

/// Causal self-attention.
public struct Attention: Equatable, Sendable {
    /// How the outputs of one product of queries, keys and values follow each other.
    public enum Arrangement: Equatable, Sendable {
        /// All queries, then all keys, then all values.
        case stacked
        /// By key-value head: its queries, its key, its value.
        case grouped
    }

    /// A norm of queries and of keys before they are turned.
    public struct QueryKeyNorm: Equatable, Sendable {
        /// What is normalised at once.
        public enum Extent: Equatable, Sendable {
            /// Each head, all with the same scale (D).
            case head
            /// Each head, with a scale of its own (H, D).
            case headOwnScale
            /// All heads together (H · D).
            case all
        }

        /// What is computed.
        public var norm: Norm
        /// What is normalised at once.
        public var extent: Extent

        /// A norm of queries and keys.
        public init(_ norm: Norm, _ extent: Extent) {
            self.norm = norm
            self.extent = extent
        }
    }

    /// H: query heads.
    public var heads: Int
    /// Heads of keys and of values; divides ``heads``.
    public var keyValueHeads: Int
    /// D: channels of one head.
    public var headSize: Int
    /// How the outputs of one product of queries, keys and values follow each other.
    public var arrangement: Arrangement
    /// Whether queries, keys and values have biases.
    public var hasBias: Bool
    /// Whether the product that writes into the residual stream has a bias.
    public var hasOutputBias: Bool
    /// The norm of queries and keys, where there is one.
    public var queryKeyNorm: QueryKeyNorm?
    /// How positions turn queries and keys; nil where they do not.
    public var rotary: RotaryEmbedding?
    /// What positions add to the scores, where they do.
    public var positionBias: PositionBias?
    /// What the products of queries and keys are multiplied by.
    public var scale: Float
    /// What the scores are capped at smoothly (<https://arxiv.org/abs/2408.00118>, section 2).
    public var softCap: Float?
    /// How many tokens, itself included, each token sees; all before it when nil.
    public var window: Int?
    /// Whether each head has a sink: a score that belongs to no token (<https://arxiv.org/abs/2309.17453>).
    public var hasSinks: Bool

    /// Attention with scores scaled by 1 / √D, unless more is said.
    public init(
        heads: Int, keyValueHeads: Int, headSize: Int, arrangement: Arrangement = .stacked,
        hasBias: Bool = false, hasOutputBias: Bool = false, queryKeyNorm: QueryKeyNorm? = nil,
        rotary: RotaryEmbedding? = nil, positionBias: PositionBias? = nil, scale: Float? = nil,
        softCap: Float? = nil, window: Int? = nil, hasSinks: Bool = false
    ) {
        self.heads = heads
        self.keyValueHeads = keyValueHeads
        self.headSize = headSize
        self.arrangement = arrangement
        self.hasBias = hasBias
        self.hasOutputBias = hasOutputBias
        self.queryKeyNorm = queryKeyNorm
        self.rotary = rotary
        self.positionBias = positionBias
        self.scale = scale ?? 1 / Float(headSize).squareRoot()
        self.softCap = softCap
        self.window = window
        self.hasSinks = hasSinks
    }

    /// The width of queries, keys and values together.
    public var qkvWidth: Int { (heads + 2 * keyValueHeads) * headSize }
}

/// The feed-forward part of a layer.
public enum FeedForward: Equatable, Sendable {
    /// down(activation(gate(x)) · up(x)).
    case gated(GatedMLP)
    /// down(activation(up(x))).
    case plain(MLP)
    /// A sum over the experts that a router chooses for each token.
    case experts(Experts)
}

/// down(activation(gate(x)) · up(x)), <https://arxiv.org/abs/2002.05202>.
public struct GatedMLP: Equatable, Sendable {
    /// F: its width.
    public var size: Int
    /// What it makes of gate and up.
    public var unit: GatedUnit
    /// Whether gate and up, and down, have biases.
    public var hasBias: Bool, hasDownBias: Bool

    /// A gated feed-forward part `size` wide.
    public init(size: Int, unit: GatedUnit, hasBias: Bool = false, hasDownBias: Bool = false) {
        self.size = size
        self.unit = unit
        self.hasBias = hasBias
        self.hasDownBias = hasDownBias
    }
}

/// down(activation(up(x))).
public struct MLP: Equatable, Sendable {
    /// F: its width.
    public var size: Int
    /// What it makes of its hidden values.
    public var activation: Activation
    /// Whether up and down have biases.
    public var hasBias: Bool

    /// A feed-forward part `size` wide.
    public init(size: Int, activation: Activation, hasBias: Bool) {
        self.size = size
        self.activation = activation
        self.hasBias = hasBias
    }
}

/// A mixture of experts (<https://arxiv.org/abs/1701.06538>), of which each token is computed by a few.
public struct Experts: Equatable, Sendable {
    /// E: how many there are.
    public var count: Int
    /// K: how many each token is computed by.
    public var chosen: Int
    /// What each of them is.
    public var expert: GatedMLP
    /// How they are chosen and weighed.
    public var routing: Routing
    /// Whether the router has a bias.
    public var hasRouterBias: Bool
    /// The expert that computes every token, where there is one.
    public var shared: GatedMLP?
    /// Whether the shared expert is weighed by a gate of its own.
    public var hasSharedGate: Bool

    /// `count` experts, of which `chosen` compute each token.
    public init(
        count: Int, chosen: Int, expert: GatedMLP, routing: Routing, hasRouterBias: Bool = false,
        shared: GatedMLP? = nil, hasSharedGate: Bool = false
    ) {
        self.count = count
        self.chosen = chosen
        self.expert = expert
        self.routing = routing
        self.hasRouterBias = hasRouterBias
        self.shared = shared
        self.hasSharedGate = hasSharedGate
    }
}

/// How a router's logits become a choice of experts and their weights.
public enum Routing: Equatable, Sendable {
    /// The softmax over all experts; the chosen ones' shares are made to sum to one when `normalizes`.
    case softmax(normalizes: Bool)
    /// The softmax over the chosen experts only.
    case softmaxOfChosen
    /// Each expert's sigmoid, to which a correction is added for the choice alone; the weights are multiplied by
    /// `factor` after they were made to sum to one when `normalizes` (<https://arxiv.org/abs/2412.19437>, section 2.1.2).
    case sigmoid(normalizes: Bool, factor: Float)
}

/// What a gated unit makes of a gate g and what it gates, u.
public struct GatedUnit: Equatable, Sendable {
    /// What is computed.
    public enum Kind: Equatable, Sendable {
        /// activation(g) · u.
        case product(Activation)
        /// min(g, limit) · sigmoid(alpha · min(g, limit)) · (clamp(u, ±limit) + 1), as in GPT-OSS.
        case clamped(alpha: Float, limit: Float)
    }

    /// What is computed.
    public var kind: Kind
    /// Whether gates and what they gate come in turn, g u g u …, in place of one after the other.
    public var isInterleaved: Bool

    /// activation(g) · u.
    public static func product(_ activation: Activation) -> GatedUnit {
        GatedUnit(kind: .product(activation), isInterleaved: false)
    }

    /// A unit of this kind.
    public init(kind: Kind, isInterleaved: Bool) {
        self.kind = kind
        self.isInterleaved = isInterleaved
    }
}

/// What a feed-forward part makes of its hidden values.
public enum Activation: Equatable, Sendable, CaseIterable {
    /// x · sigmoid(x).
    case silu
    /// x · Φ(x), Φ being the normal distribution's. <https://arxiv.org/abs/1606.08415>
    case gelu
    /// The same with Φ(x) ≈ (1 + tanh(√(2/π) (x + 0.044715 x³))) / 2, section 2 there.
    case geluTanh
    /// The same with Φ(x) ≈ sigmoid(1.702 x), section 2 there.
    case geluQuick
    /// max(0, x).
    case relu
    /// max(0, x)².
    case reluSquared
}
