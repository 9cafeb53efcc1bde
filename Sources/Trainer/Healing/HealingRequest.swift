public import Formats

/// A whole run from a model's folder to a healed model's folder.
public struct HealingRequest: Sendable {
    /// Where the tokens come from.
    public enum Data: Sendable {
        /// Files of documents, mixed by weight.
        case text([TextSource])
        /// A safetensors file with `input_ids`.
        case rows(path: String)
    }

    /// The model's folder; that of a model that was not written, for messages.
    public var model: String
    /// The model, where it was not written: what a surgery has made of another.
    public var checkpoint: Checkpoint?
    /// Whether nothing will be trained: files that are not there are named, and what depends on them stays open.
    public var isDryRun = false
    /// Whether it holds only a configuration and a tokenizer, and training begins with random weights.
    public var fromScratch: Bool
    /// Where the tokens come from.
    public var data: Data
    /// Sets to evaluate before and after, by name and file.
    public var evaluations: [(name: String, path: String)]
    /// How documents are read.
    public var text: TextOptions
    /// Everything else that decides the result.
    ///
    /// The length is the rows' own where the data has rows; a length of 0 is settled by the model.
    public var plan: HealingPlan
    /// Where the data ends, and with it the run; where it does not, the plan's steps end it.
    public var extent: DataExtent
    /// What ends a document.
    public var endOfText: EndOfText
    /// Steps of rising rate; nil for a hundredth of all, at least 10, at most a quarter.
    public var warmup: Int?
    /// How many threads compute.
    public var threads: Int
    /// The folder that the healed model becomes.
    public var output: String
    /// Whether an output, or an unfinished run for it, is replaced.
    public var force: Bool
    /// Whether an unfinished run goes on; one that was never kept begins.
    public var resume: Bool
    /// Steps between two checkpoints; 0 keeps one only when the run is stopped.
    public var checkpointEvery: Int
    /// A file for one line of JSON a step.
    public var log: String?
    /// Where TensorBoard's files go.
    public var tensorBoard = TensorBoardFolder.ofRun
    /// What was asked for, by the names of a job's parameters, for the run's record.
    public var asked = JSONObject()
    /// Name and version of the program, for the manifest.
    public var tool: String
    /// Bytes that can be written to the disk of a path; a test may claim less.
    package var freeSpace: @Sendable (String) -> Int? = FileSystem.freeSpace

    /// A run.
    public init(
        model: String, fromScratch: Bool = false, data: Data,
        evaluations: [(name: String, path: String)] = [], text: TextOptions = TextOptions(),
        plan: HealingPlan, extent: DataExtent = .unlimited, endOfText: EndOfText = .ofModel,
        warmup: Int? = nil, threads: Int, output: String,
        force: Bool = false,
        resume: Bool = false, checkpointEvery: Int = 100, log: String? = nil, tool: String = "trainer"
    ) {
        self.model = model
        self.fromScratch = fromScratch
        self.data = data
        self.evaluations = evaluations
        self.text = text
        self.plan = plan
        self.extent = extent
        self.endOfText = endOfText
        self.warmup = warmup
        self.threads = threads
        self.output = output
        self.force = force
        self.resume = resume
        self.checkpointEvery = checkpointEvery
        self.log = log
        self.tool = tool
    }

    /// The run that a job is on a model.
    ///
    /// - Parameters:
    ///   - job: what is asked for.
    ///   - model: the model's folder.
    ///   - checkpoint: the model, where it was not written.
    ///   - threads: how many threads compute.
    ///   - output: the folder that the healed model becomes.
    ///   - force: whether an output, or an unfinished run for it, is replaced.
    ///   - resume: whether an unfinished run goes on; one that was never kept begins.
    ///   - tool: name and version of the program, for the manifest.
    public init(
        _ job: TrainingJob, model: String, checkpoint: Checkpoint? = nil, threads: Int, output: String,
        force: Bool = false, resume: Bool = false, tool: String = "trainer"
    ) {
        let steps = job.steps ?? 1
        let settings = AdamWSettings(
            rate: job.lr, embeddingScale: job.lr == 0 ? 0 : (job.embeddingLr ?? job.lr / 5) / job.lr,
            beta1: job.beta1, beta2: job.beta2, epsilon: job.eps, weightDecay: job.weightDecay,
            clip: job.clip == 0 ? nil : job.clip)
        var plan = HealingPlan(
            steps: steps, batch: job.batch, accumulate: job.accumulate, length: job.length ?? 0,
            optimizer: settings, moments: job.moments,
            gradients: job.gradients ?? (job.accumulate == 1 ? .bf16 : .f32),
            trained: TensorSelection(train: job.train, freeze: job.freeze),
            schedule: Schedule(
                shape: job.schedule, warmup: 0, steps: steps, floor: job.minLrRatio,
                decayShare: job.decayShare),
            seed: job.seed, recomputation: job.recompute, isolatesDocuments: !job.crossDocuments)
        plan.groups = job.groupRules
        let extent: DataExtent =
            job.tokens.map { .tokens($0) } ?? (job.steps == nil ? .passes(job.epochs ?? 1) : .unlimited)
        self.init(
            model: model, fromScratch: job.fromScratch,
            data: job.ids.map { .rows(path: $0) } ?? .text(job.sources),
            evaluations: job.eval.map { ($0.name, $0.path) }, text: job.text, plan: plan, extent: extent,
            endOfText: EndOfText(token: job.endOfText, isLeftOut: job.noEndOfText),
            warmup: job.warmup, threads: threads, output: output, force: force, resume: resume,
            checkpointEvery: job.checkpointEvery, log: job.log, tool: tool)
        self.checkpoint = checkpoint
        tensorBoard = job.noTensorboard ? .none : job.tensorboard.map { .folder($0) } ?? .ofRun
        asked = job.parameters
    }
}

extension HealingRequest {
    /// The files that are read besides the model.
    var files: [String] {
        let data: [String] =
            switch self.data {
            case .text(let sources): sources.map(\.path)
            case .rows(let path): [path]
            }
        return data + evaluations.map(\.path)
    }

    /// The model's tokenizer; nil where only rows of tokens are read.
    func tokenizer(of model: PretrainedModel) throws -> Tokenizer? {
        if case .rows = data, evaluations.isEmpty { return nil }
        return try model.tokenizer()
    }
}

/// Where the event files of a run go that TensorBoard reads.
public enum TensorBoardFolder: Sendable, Equatable {
    /// `OUT.run/tensorboard`.
    case ofRun
    /// A folder that is made if need be.
    case folder(String)
    /// Nowhere.
    case none
}

/// What happens during a run, told as it happens.
public enum HealingEvent: Sendable {
    /// The run begins, or goes on, after `step` of `steps`.
    case started(step: Int, steps: Int, parameters: Int, tokensPerStep: Int)
    /// A set was evaluated; `afterStep` is the run's first or last step.
    case evaluated(name: String, afterStep: Int, EvaluationResult)
    /// A step was taken.
    case step(StepReport)
    /// The run was kept after a step.
    case kept(step: Int, folder: String)
    /// There was no room to keep the run after a step; it goes on.
    case notKept(step: Int, reason: String)
    /// What happened after a step could not be written down, to a log or another report; the run goes on.
    case notLogged(step: Int, reason: String)
    /// How far each part of the model was moved from where the run began.
    case drifted(afterStep: Int, [Drift])
    /// The healed model is being written.
    case writing(done: Int, total: Int)
    /// The run was stopped, or failed, after a step.
    case ended(step: Int, reason: String)
    /// The run is done.
    case finished(HealingOutcome)
}

/// What a run that came to its end has done.
public struct HealingOutcome: Sendable {
    /// Steps that are done.
    public internal(set) var step: Int
    /// Tokens that all steps have shown.
    public internal(set) var tokens: Int
    /// What was shown, by source.
    public internal(set) var sources: [SourceProgress]
    /// What the last step did; nil when none was taken.
    public internal(set) var last: StepReport?
    /// The sets before the first step; empty when the run went on with another.
    public internal(set) var before: [(name: String, result: EvaluationResult)] = []
    /// The sets after the last step.
    public internal(set) var after: [(name: String, result: EvaluationResult)] = []
    /// How far each part of the model was moved; empty where it began with random weights.
    public internal(set) var drift: [Drift] = []
    /// Numbers that the model's own type could not hold, by tensor.
    public internal(set) var overflows: [(tensor: String, count: Int)] = []

    init(step: Int, tokens: Int, sources: [SourceProgress]) {
        self.step = step
        self.tokens = tokens
        self.sources = sources
    }
}
