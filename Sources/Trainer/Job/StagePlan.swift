internal import Models

/// Everything that decides the result of a stage, apart from the model and the data; a run without stages is one.
public struct StagePlan: Codable, Sendable, Equatable {
    /// What reports call it; nil in a run without stages.
    public var title: String?
    /// Optimizer steps.
    public var steps: Int
    /// Tokens that the steps show, starts and ends of documents included; nil where the steps are full.
    public var tokens: Int?
    /// How documents are laid out; nil where the data is rows of tokens.
    public var documents: DocumentLayout?
    /// How documents are turned round, but for those of the original domain; nil where none is.
    public var infilling: Infilling?
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
    public var groups: [GroupRule]
    /// The learning rate's course.
    public var schedule: Schedule
    /// Decides the order of the data and, from scratch, the first weights.
    public var seed: UInt64
    /// What the backward pass computes again.
    public var recomputation: Recomputation
    /// What stands in a sequence, and what a token sees of it.
    public var packing: Packing
    /// The base of the rotary position embedding; nil for the model's own.
    public var ropeTheta: Double?
    /// What becomes of a step whose loss or gradient is not like those before it.
    public var guarding: StepGuard
    /// How copied layers come in; nil where they are there from the first step.
    public var ramp: SeamRamp?
    /// How it learns from a teacher; nil where there is none.
    public var teaching: Teaching?
    /// How new rows learn from the old reading of snippets, and what was found of these; nil where the stage trains on text.
    public var rows: RowDistillation?, snippets: SnippetSummary?
    /// What is left of the running average of the weights after an update; nil where there is none.
    public var averageDecay: Double?

    /// The plan of a job without stages.
    ///
    /// What only the model and the data tell is left open: steps that follow from the data, the length where none is given
    /// (0), the warm-up where none is given (0).
    ///
    /// - Parameters:
    ///   - job: what is asked for; one of ``TrainingJob/stageJobs``.
    ///   - title: what the stage is called.
    ///   - settled: is told what the job leaves open and follows from its other parameters.
    init(_ job: TrainingJob, title: String? = nil, _ settled: inout SettledValues) {
        self.title = title
        steps = job.steps ?? 1
        (batch, accumulate, length) = (job.batch, job.accumulate, job.length ?? 0)
        let embeddingRate = settled.settle(
            "embedding-lr", job.embeddingLr, else: job.lr / 5, .rule, "a fifth of lr")
        optimizer = AdamWSettings(
            rate: job.lr, embeddingScale: job.lr == 0 ? 0 : embeddingRate / job.lr,
            beta1: job.beta1, beta2: job.beta2, epsilon: job.eps, weightDecay: job.weightDecay,
            clip: job.clip == 0 ? nil : job.clip)
        moments = job.moments
        let hasOnePart = job.accumulate == 1
        gradients = settled.settle(
            "gradients", job.gradients, else: hasOnePart ? .bf16 : .f32, .rule,
            hasOnePart ? "a step has one part" : "those of a step's parts are added up")
        trained = TensorSelection(train: job.train, freeze: job.freeze)
        groups = job.groupRules
        schedule = Schedule(
            shape: job.schedule, warmup: job.warmup ?? 0, warmupFrom: job.warmupFrom, steps: steps,
            floor: job.minLrRatio, decayShare: job.decayShare, cooldownShare: job.cooldownShare,
            holdRatio: job.holdRatio, joined: job.pieceRules)
        (seed, recomputation, packing) = (job.seed, job.recompute, job.packing)
        ropeTheta = job.ropeTheta
        guarding = StepGuard(job.guarding, sigma: job.guardSigma)
        teaching = job.teaching
        rows = job.rowDistillation
        averageDecay = job.result == .average ? job.averageDecay : nil
    }

    /// Whether copied layers are still coming in after some steps.
    func isInRamp(after steps: Int) -> Bool { ramp.map { steps < $0.steps } ?? false }

    /// The memory of a step.
    func activations(
        _ architecture: Architecture, _ layout: ParameterLayout
    ) -> ActivationPlan {
        ActivationPlan(
            architecture, layout: layout, batch: batch, sequenceLength: length,
            training: ActivationPlan.Training(
                recomputation: recomputation, accumulates: accumulate > 1, fades: ramp != nil))
    }
}
