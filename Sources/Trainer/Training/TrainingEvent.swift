/// What happens during a run, told as it happens.
public enum TrainingEvent: Sendable {
    /// The run begins, or goes on, after `step` of `steps`.
    case started(step: Int, steps: Int, parameters: Int, tokensPerStep: Int)
    /// A stage begins after `step`, or the run goes on in it; `number` counts from 1.
    case stage(number: Int, count: Int, title: String, step: Int, tokensPerStep: Int)
    /// A set was evaluated after a step.
    case evaluated(name: String, afterStep: Int, EvaluationResult)
    /// What the parent makes of a set, before the run begins or goes on.
    case parent(model: String, name: String, EvaluationResult)
    /// There is no parent to put beside the sets.
    case noParent(reason: String)
    /// The sets of the original domain are where the parent has them, after so many tokens.
    case healed(afterStep: Int, tokens: Int)
    /// A step was taken.
    case step(StepReport)
    /// A step was left out, for its loss or gradient is not like those before it.
    case skipped(step: Int, StepGuard.Finding, documents: String)
    /// The run went back to a checkpoint for such a step, and leaves out what it was of since then.
    case rolledBack(from: Int, to: Int, StepGuard.Finding, documents: String)
    /// The run was kept after a step.
    case kept(step: Int, folder: String)
    /// There was no room to keep the run after a step; it goes on.
    case notKept(step: Int, reason: String)
    /// What happened after a step could not be written down, to a log or another report; the run goes on.
    case notLogged(step: Int, reason: String)
    /// How far each part of the model was moved from where the run began.
    case drifted(afterStep: Int, [Drift])
    /// How often the tokens that the surgery has added were seen.
    case exposed(afterStep: Int, ExposureSummary)
    /// The healed model is being written.
    case writing(done: Int, total: Int)
    /// The run was stopped, or failed, after a step.
    case ended(step: Int, reason: String)
    /// The run is done.
    case finished(TrainingOutcome)
}

/// What one step did.
public struct StepReport: Codable, Sendable, Equatable {
    /// Which step of the run, from 1.
    public let step: Int
    /// The mean loss of its targets before it moved the weights, in nats: their cross entropy, where no teacher says otherwise; 0
    /// where it has none.
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
    /// What the loss is made of where there is a teacher.
    public var teacher: TeacherFigures?
    /// The same where rows are distilled.
    public var rows: RowFigures?

    enum CodingKeys: String, CodingKey {
        case step, loss, tokens, lr, seconds, sources, teacher, rows
        case gradNorm = "grad_norm"
    }
}

/// Why a run ended before its last step, with a result.
public enum RunEnd: String, Codable, Sendable {
    /// It did not get better any more.
    case patience
    /// The sets of the original domain are where the parent has them.
    case healed
}

/// What a run that came to its end has done.
public struct TrainingOutcome: Sendable {
    /// Steps that are done.
    public internal(set) var step: Int
    /// What was shown, by source.
    public internal(set) var sources: [SourceProgress]
    /// What the last step did; nil when none was taken.
    public internal(set) var last: StepReport?
    /// The sets before the first step; empty when the run went on with another.
    public internal(set) var before: [(name: String, result: EvaluationResult)] = []
    /// The sets after the last step.
    public internal(set) var after: [(name: String, result: EvaluationResult)] = []
    /// What the parent makes of the sets; nil where none is wanted, or there are no sets.
    public internal(set) var parent: ParentYardstick?
    /// How far each part of the model was moved; empty where it began with random weights.
    public internal(set) var drift: [Drift] = []
    /// The step at which the sets of the original domain were first where the parent has them; nil where they never were.
    public internal(set) var healedAt: Int?
    /// What has ended it before its last step; nil where nothing has.
    public internal(set) var end: RunEnd?
    /// The step whose weights the result has.
    public internal(set) var resultStep = 0
    /// How many targets a teacher has taught; nil where there was none.
    public internal(set) var taught: TaughtTargets?
    /// What the stages that have distilled rows found snippets of, in order.
    public internal(set) var rows: [SnippetSummary] = []
    /// Numbers that the model's own type could not hold, by tensor.
    public internal(set) var overflows: [(tensor: String, count: Int)] = []

    /// Tokens that all steps have shown.
    public var tokens: Int { sources.tokens }

    /// How far each set has come back to what the parent makes of it; none of a run that went on.
    public var healed: [(name: String, share: HealedShare)] {
        guard case .measured(_, let sets) = parent else { return [] }
        return after.compactMap { set in
            let results = [before, [set], sets].map { $0.first { $0.name == set.name }?.result.bitsPerByte }
            guard let raw = results[0], let now = results[1], let parent = results[2] else { return nil }
            return (set.name, HealedShare(raw: raw, now: now, parent: parent))
        }
    }

    init(step: Int, sources: [SourceProgress]) {
        self.step = step
        self.sources = sources
    }
}
