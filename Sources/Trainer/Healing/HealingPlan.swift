internal import Models

/// Everything that decides a run's result, apart from the model and the data.
public struct HealingPlan: Codable, Sendable, Equatable {
    /// Optimizer steps.
    public var steps: Int
    /// Tokens that the steps show, starts and ends of documents included; nil where the steps are full.
    public var tokens: Int?
    /// How documents are laid out; nil where the data is rows of tokens.
    public var documents: DocumentLayout?
    /// Sequences that are computed at once.
    public var batch: Int
    /// How often that is done for one step.
    public var accumulate: Int
    /// Tokens of a sequence.
    public var length: Int
    /// The optimizer's numbers.
    public var optimizer: AdamWSettings
    /// How the optimizer keeps its moments.
    public var moments: MomentPrecision
    /// How gradients are kept from the backward pass to the optimizer.
    public var gradients: GradientPrecision
    /// What is trained.
    public var trained: TensorSelection
    /// What is moved in a way of its own.
    public var groups: [GroupRule] = []
    /// The learning rate's course.
    public var schedule: Schedule
    /// Decides the order of the data and, from scratch, the first weights.
    public var seed: UInt64
    /// What the backward pass computes again.
    public var recomputation: Recomputation
    /// What stands in a sequence, and what a token sees of it.
    public var packing: Packing

    /// A run's numbers.
    public init(
        steps: Int, batch: Int, accumulate: Int, length: Int, optimizer: AdamWSettings,
        moments: MomentPrecision = .f32, gradients: GradientPrecision = .f32, trained: TensorSelection = .all,
        schedule: Schedule, seed: UInt64, recomputation: Recomputation,
        packing: Packing
    ) {
        self.steps = steps
        self.batch = batch
        self.accumulate = accumulate
        self.length = length
        self.optimizer = optimizer
        self.moments = moments
        self.gradients = gradients
        self.trained = trained
        self.schedule = schedule
        self.seed = seed
        self.recomputation = recomputation
        self.packing = packing
    }

    /// The memory of a step.
    func activations(
        _ architecture: Architecture, _ layout: ParameterLayout
    ) -> ActivationPlan {
        ActivationPlan(
            architecture, layout: layout, batch: batch, sequenceLength: length,
            training: ActivationPlan.Training(recomputation: recomputation, accumulates: accumulate > 1))
    }
}

/// What one step did.
public struct StepReport: Codable, Sendable, Equatable {
    /// Which step, from 1.
    public let step: Int
    /// The mean cross entropy of its targets before it moved the weights, in nats; 0 where it has none.
    public let loss: Double
    /// Tokens that all steps so far have shown.
    public let tokens: Int
    /// The learning rate of the layers.
    public let lr: Double
    /// The norm of all gradients before clipping.
    public let gradNorm: Double
    /// How long the step took.
    public let seconds: Double
    /// What was shown so far, by source.
    public let sources: [String: SourceFigures]

    enum CodingKeys: String, CodingKey {
        case step, loss, tokens, lr, seconds, sources
        case gradNorm = "grad_norm"
    }
}
