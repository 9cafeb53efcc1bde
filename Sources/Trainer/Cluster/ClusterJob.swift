package import Formats
internal import Models

/// Where and how PyTorch's engine computes.
public struct ClusterSettings: Sendable, Equatable {
    /// What computes.
    public enum Device: String, Codable, Sendable, CaseIterable { case cuda, cpu }
    /// What it computes in; weights, moments and gradients are float32 in both.
    public enum Precision: String, Codable, Sendable, CaseIterable { case bf16, f32 }

    /// How many processes there are on a host; nil for as many as there are GPUs, or one on a CPU.
    public var processes: Int?
    /// How many hosts there are, this one among them, and where they meet: on this one; nil where only scripts start them.
    public var hosts: Int, rendezvous: Rendezvous?
    /// What computes.
    public var device: Device
    /// What it computes in; nil for bf16 on a GPU and f32 on a CPU.
    public var precision: Precision?
    /// The Python that starts the processes; nil for that of the torchrun which is first on PATH.
    public var python: String?

    /// Some processes.
    public init(
        processes: Int? = nil, hosts: Int = 1, rendezvous: Rendezvous? = nil, device: Device,
        precision: Precision? = nil, python: String? = nil
    ) {
        (self.processes, self.hosts, self.rendezvous) = (processes, hosts, rendezvous)
        (self.device, self.precision, self.python) = (device, precision, python)
    }

    /// What it computes in, settled.
    var settledPrecision: Precision { precision ?? (device == .cuda ? .bf16 : .f32) }
}

/// What `job.json` of a ``RunFolder`` says: everything that decides a run's result, in numbers.
package struct ClusterJob: Codable, Sendable {
    /// A file of the model.
    package struct File: Codable, Sendable, Equatable {
        package var name: String
        package var bytes: Int
        package var sha256: String
    }

    /// A model: its folder and the files of its weights, and what the head is called in them, where it has one of its own.
    package struct Model: Codable, Sendable {
        package var path: String
        package var files: [File]
        /// The file of its configuration in the run folder.
        package var configuration: String
        package var head: String?
        /// The share of the load-balancing loss of a mixture of experts, where its configuration asks for one.
        package var balance: Double?

        /// A model; reads its files through once.
        init(_ model: PretrainedModel, configuration: String) throws(UserFacingError) {
            path = Path.absolute(model.checkpoint.path)
            files = try ClusterJob.files(of: model)
            self.configuration = configuration
            head = model.layout.parameters.first { $0.role == .head }?.name
            balance = model.architecture.balanceFactor
        }
    }

    /// The teacher, and the file of its token for each of the model's: int32, (V), negative where it has none.
    package struct Teacher: Codable, Sendable {
        package var model: Model
        package var tokens: String

        static let configurationName = "config-teacher.json", tokensName = "teacher.tokens"

        /// A teacher; reads its files through once.
        init(_ teacher: PreparedTeacher) throws(UserFacingError) {
            model = try Model(teacher.model, configuration: Self.configurationName)
            tokens = Self.tokensName
        }
    }

    /// Rows of a tensor that are moved alike: their share of the rate, their decay, or nothing at all.
    package struct Rows: Codable, Sendable, Equatable {
        /// The first, and the one behind the last.
        package var rows: [Int]
        package var rate: Double
        package var decay: Double
        package var frozen: Bool
    }

    /// AdamW's numbers.
    package struct Optimizer: Codable, Sendable {
        package var rate: Double
        package var beta1: Double
        package var beta2: Double
        package var epsilon: Double
        package var clip: Double?
    }

    /// A ``StepGuard``'s numbers.
    package struct Guard: Codable, Sendable {
        package var policy: StepGuard.Policy
        package var sigma: Double
        package var mostInARow: Int
        package var window = StepGuard.window, fewest = StepGuard.fewest
        package var leastDeviation = StepGuard.leastDeviation

        enum CodingKeys: String, CodingKey {
            case policy, sigma, window, fewest
            case mostInARow = "most_in_a_row"
            case leastDeviation = "least_deviation"
        }
    }

    /// How what copied layers add grows from nothing to all of it.
    package struct Ramp: Codable, Sendable, Equatable {
        /// After how many steps they add all of it.
        package var steps: Int
        /// Of each of the layers the tensors of the modules whose results are added to the residual stream.
        package var writers: [[String]]

        /// The ramp of a stage; nil where it has none.
        init?(_ stage: PreparedStage) {
            guard let ramp = stage.plan.ramp else { return nil }
            steps = ramp.steps
            writers = ramp.layers.map { layer in
                let own = stage.layout.parameters.filter { $0.layer == layer }
                let norms: [Module] = [.attentionOutputNorm, .feedForwardOutputNorm]
                let parts: [[Module]] = [[.attentionOutput], [.down, .expertDown, .sharedDown]]
                return zip(norms, parts).flatMap { norm, parts in
                    // A norm behind a part has the last word.
                    let last = own.contains { $0.module == norm } ? [norm] : parts
                    return own.filter { last.contains($0.module) }.map(\.name)
                }
            }
        }
    }

    /// How a stage distils rows, of which every sequence is a snippet: what ``RowDistiller`` does.
    package struct Distillation: Codable, Sendable, Equatable {
        /// How many layers both readings go through before they are compared.
        package var layer: Int
        /// Whether the head has rows of its own, which learn to predict the snippets' tokens.
        package var predicts: Bool

        /// That of a stage; nil where it trains on text.
        init?(_ stage: PreparedStage) {
            guard let layer = stage.plan.rows?.layer else { return nil }
            self.layer = layer
            predicts = !stage.model.architecture.head.isTied && stage.layout.head.isTrained
        }
    }

    /// How the trainer's own engine keeps a tensor, by which the worker rounds as it does.
    package struct Storage: Codable, Sendable, Equatable {
        /// Where its numbers begin among all that are trained, and whether its last two dimensions lie the other way round
        /// there: the chance of rounding a moment up is a hash of the place.
        package var place: Int, transposed: Bool
        /// How its gradient is kept.
        package var gradient: GradientPrecision
    }

    /// A stage.
    package struct Stage: Codable, Sendable {
        package var title: String?
        package var steps: Int
        package var batch: Int
        package var accumulate: Int
        package var length: Int
        /// The file of its sequences; with a guard that goes back it holds some to spare.
        package var sequences: String
        /// Whether they go on where those of the stage before end, and would go on behind what that has passed over.
        package var goesOn: Bool
        /// The tokens that one pass over a source shows, by name.
        package var sizes: [String: Int]
        /// What the backward pass computes again.
        package var recompute: Recomputation
        /// The file of the model's configuration as the stage has it.
        package var configuration: String
        /// How copied layers come in; nil where they are there from the first step.
        package var ramp: Ramp?
        /// How it learns from the teacher; nil where it doesn't.
        package var teaching: Teaching?
        /// How it distils rows; nil where it trains on text.
        package var distillation: Distillation?
        /// Whether a token's position is its place in the row, in place of that in what it sees.
        package var countsFromRow: Bool
        package var optimizer: Optimizer
        /// How moments are kept; and of every tensor that is trained how its numbers are, where not all are float32.
        package var moments: MomentPrecision, storage: [String: Storage]?
        package var guarding: Guard
        /// The rows of every tensor that is trained, by its name, in order; those of others have no part in the stage.
        package var tensors: [String: [Rows]]

        enum CodingKeys: String, CodingKey {
            case title, steps, batch, accumulate, length, recompute, configuration, ramp, teaching, sequences,
                sizes, optimizer, moments,
                storage, tensors
            case goesOn = "goes_on"
            case distillation = "distils_rows"
            case guarding = "guard"
            case countsFromRow = "counts_from_row"
        }

        /// The parts of a sequence: tokens, targets, first visible positions, and with a teacher 1 where it teaches; where rows are
        /// distilled, the old reading's tokens and first visible positions, and its place with which each is compared.
        package var parts: Int { distillation != nil ? 6 : teaching == nil ? 3 : 4 }
    }

    /// A set that is evaluated.
    package struct Evaluation: Codable, Sendable {
        package var name: String
        package var file: String
        package var length: Int
        /// Bytes of its texts; nil where one is cut.
        package var bytes: Int?
    }

    /// When the run is judged and kept, what ends it and what it becomes.
    package struct Rules: Codable, Sendable, Equatable {
        /// The steps after which the sets are evaluated.
        package var evaluateAfter: [Int]
        /// Steps between checkpoints; 0 keeps one only when the run is stopped, or a stage ends.
        package var checkpointEvery: Int
        /// How many of the last checkpoints are kept, whether the best is, and the ends of stages that are.
        package var keep: Int?, keepBest: Bool, keepEnds: [Int]
        /// What becomes the result, and what is left of a running average after an update.
        package var result: RunResult, averageDecay: Double?
        /// What ends it before its last step, and the sets that must be healed for that.
        package var patience: Int?, untilHealed: Bool, healedBy: [String]

        enum CodingKeys: String, CodingKey {
            case keep, result, patience
            case evaluateAfter = "evaluate_after"
            case checkpointEvery = "checkpoint_every"
            case keepBest = "keep_best"
            case keepEnds = "keep_ends"
            case averageDecay = "average_decay"
            case untilHealed = "until_healed"
            case healedBy = "healed_by"
        }

        /// Those of a job.
        init(_ prepared: PreparedJob) {
            let job = prepared.job
            let ends = prepared.stages.indices.map { prepared.steps(before: $0 + 1) }
            evaluateAfter = Set(job.evaluationSchedule.steps(of: prepared.steps) + ends).sorted()
            (checkpointEvery, keep, keepBest) = (job.checkpointEvery, job.keep, job.keepBest)
            keepEnds = zip(ends, prepared.stages).filter(\.1.keepsEnd).map(\.0)
            (result, averageDecay) = (job.result, job.result == .average ? job.averageDecay : nil)
            (patience, untilHealed, healedBy) = (job.patience, job.untilHealed, job.healingSets)
        }
    }

    /// What the parent makes of the sets, or why there is none.
    package struct Parent: Codable, Sendable {
        package var model: String?, reason: String?
        package var sets: [EvaluationProgress.Finding] = []
    }

    package static let formatName = "model-surgery job"
    package static let formatVersion = 4

    package var format = ClusterJob.formatName
    package var version = ClusterJob.formatVersion
    /// The program that has planned it.
    package var tool: String
    /// The run's name, and what makes it the same run as another.
    package var run: String, identity: RunIdentity
    /// The result's folder.
    package var output: String
    package var model: Model
    /// From whose predictions some stage learns; nil for none.
    package var teacher: Teacher?
    package var device: ClusterSettings.Device
    package var dtype: ClusterSettings.Precision
    package var stages: [Stage]
    /// The files of what it begins with in place of the model's own values, and how many updates each tensor has had by then.
    package var beginning: [String]?, counts: [String: Int]?
    package var evaluations: [Evaluation]
    package var rules: Rules
    /// Nil where no parent is wanted.
    package var parent: Parent?
    /// How many numbers some stage trains.
    package var parameters: Int
    /// What will have been shown at the end.
    package var sources: [SourceProgress]
    /// What its record begins with.
    package var facts: JSON

    /// The job of a run; reads the model's files through once.
    init(
        _ prepared: PreparedJob, _ settings: ClusterSettings, evaluations: [Evaluation] = [],
        parent: Parent? = nil, beginning: WorkerBeginning? = nil
    ) throws {
        let identity = try prepared.identity()
        (tool, run, self.identity) = (prepared.options.tool, identity.name, identity)
        output = prepared.output.output
        model = try Model(prepared.model, configuration: Configuration.fileName)
        teacher = try prepared.teacher.map { (teacher) throws(UserFacingError) in try Teacher(teacher) }
        (device, dtype) = (settings.device, settings.settledPrecision)
        stages = prepared.stages.enumerated().map { Stage($1, index: $0) }
        self.evaluations = evaluations
        (self.beginning, counts) = (beginning?.files, beginning?.counts)
        rules = Rules(prepared)
        self.parent = parent
        parameters = prepared.trainedParameterCount
        sources = prepared.sources
        var facts = prepared.facts
        // What the run takes is not this program's memory and threads.
        (facts["memory"], facts["threads"]) = (nil, nil)
        (facts["on"], facts["device"], facts["dtype"]) = (
            "torchrun", .string(device.rawValue), .string(dtype.rawValue)
        )
        self.facts = .object(facts)
    }

    /// What is different from a job that was planned before, a phrase each.
    func differences(from kept: ClusterJob) -> [String] {
        var differences = identity.differences(from: kept.identity)
        if device != kept.device { differences.append("device is \(device), was \(kept.device)") }
        if dtype != kept.dtype { differences.append("dtype is \(dtype), was \(kept.dtype)") }
        differences += RunIdentity.compare(try? JSON(encoding: rules), try? JSON(encoding: kept.rules))
        return differences
    }

    /// The safetensors files of a model, by whose names PyTorch's engine reads it.
    static func files(of model: PretrainedModel) throws(UserFacingError) -> [File] {
        let folder = model.checkpoint.path
        let index = Path.join(folder, "model.safetensors.index.json")
        var names = ["model.safetensors"]
        if FileSystem.kind(of: index) == .file {
            let places = try JSON.read(path: index)["weight_map"]?.object ?? [:]
            names = Set(places.compactMap { $0.1.string }).sorted()
        }
        return try names.map { name throws(UserFacingError) in
            let path = Path.join(folder, name)
            guard FileSystem.kind(of: path) == .file else {
                throw UserFacingError(
                    .unsupported,
                    """
                    \(folder) has no \(name); --on takes a model as Hugging Face writes it, which surgery convert makes of \
                    other formats
                    """)
            }
            let file = try InputFile(path: path)
            return File(name: name, bytes: file.size, sha256: try FileDigest.sha256(file))
        }
    }

    /// Refuses what the worker can't do.
    ///
    /// - Throws: ``UserFacingError`` that names the option.
    package static func check(_ prepared: PreparedJob) throws(UserFacingError) {
        let job = prepared.job
        let plans = prepared.stages.map(\.plan)
        let refused = [
            ("from-scratch", job.fromScratch),
            (
                "guard rollback where a stage goes on with the data of the one before at another size",
                job.guarding == .rollback && prepared.dataChangesSize
            ),
        ]
        guard plans.allSatisfy({ $0.moments != .int8 }) else {
            throw UserFacingError(
                .request,
                """
                --on does not know --moments 8bit, whose blocks of 256 numbers share a scale: FSDP2 shards rows, and cuts \
                through blocks; take bf16 or f32
                """)
        }
        guard let name = refused.first(where: \.1)?.0 else { return }
        throw UserFacingError(.request, "--on does not know --\(name); leave one of the two out")
    }
}

extension StagePlan {
    /// The sequences that are dealt out to processes at a time, and tokens of one: where rows are distilled, each is a snippet.
    var dealtOut: (batch: Int, length: Int) { rows.map { ($0.batch, $0.length) } ?? (batch, length) }
}

extension PreparedJob {
    /// Whether a stage takes other portions of the data that it goes on with, or only so much of it.
    fileprivate var dataChangesSize: Bool {
        zip(stages, stages.dropFirst()).contains { before, stage in
            stage.goesOn
                && (stage.plan.batch * stage.plan.accumulate != before.plan.batch * before.plan.accumulate
                    || stage.plan.tokens != nil || before.plan.tokens != nil)
        }
    }
}

extension PreparedStage {
    /// For how many steps more than its own the stage may need data: going back drops what lies behind a checkpoint, and a run
    /// that goes back oftener than the guard bears in a row is unlikely to come to its end.
    var spareSteps: Int {
        guard plan.guarding.policy == .rollback else { return 0 }
        let (steps, most) = (plan.steps, plan.guarding.mostInARow)
        return job.checkpointEvery == 0 ? steps : min(steps, most * job.checkpointEvery)
    }
}

extension ClusterJob.Stage {
    /// A stage in numbers.
    init(_ stage: PreparedStage, index: Int) {
        let plan = stage.plan
        title = plan.title
        (steps, accumulate) = (plan.steps, plan.accumulate)
        (batch, length) = plan.dealtOut
        sequences = "stage-\(index + 1).tokens"
        goesOn = stage.goesOn
        recompute = plan.recomputation
        configuration = plan.ropeTheta == nil ? Configuration.fileName : "config-\(index + 1).json"
        ramp = ClusterJob.Ramp(stage)
        teaching = plan.teaching
        distillation = ClusterJob.Distillation(stage)
        sizes = Dictionary(stage.sources.map { ($0.name, $0.size) }) { $1 }
        countsFromRow = stage.job.ids != nil
        optimizer = ClusterJob.Optimizer(
            rate: plan.optimizer.rate, beta1: plan.optimizer.beta1, beta2: plan.optimizer.beta2,
            epsilon: plan.optimizer.epsilon, clip: plan.optimizer.clip)
        moments = plan.moments
        if plan.moments != .f32 || plan.gradients != .f32 {
            let trained = stage.layout.parameters.filter(\.isTrained).map { parameter in
                let gradient: GradientPrecision = parameter.gradient?.precision == .bf16 ? .bf16 : .f32
                return (
                    parameter.name,
                    ClusterJob.Storage(
                        place: parameter.weights.start, transposed: parameter.isTransposed, gradient: gradient
                    )
                )
            }
            storage = Dictionary(uniqueKeysWithValues: trained)
        }
        guarding = ClusterJob.Guard(
            policy: plan.guarding.policy, sigma: plan.guarding.sigma, mostInARow: plan.guarding.mostInARow)
        tensors = ParameterGroup.rows(
            of: stage.layout, ParameterGroup.groups(of: stage.layout, plan.optimizer, by: stage.groups))
    }
}

extension ParameterGroup {
    /// What moves the rows of each tensor that is trained, by its name.
    fileprivate static func rows(
        of layout: ParameterLayout, _ groups: [ParameterGroup]
    ) -> [String: [ClusterJob.Rows]] {
        var tensors: [String: [ClusterJob.Rows]] = [:]
        for parameter in layout.parameters where parameter.isTrained {
            let words = parameter.weights.words
            guard let group = groups.first(where: { $0.block.weights.words.contains(words.lowerBound) })
            else {
                continue
            }
            let height = max(1, parameter.shape.first ?? 1)
            let width = max(1, parameter.weights.count / height)
            // Where the tensor lies among the values of its operand.
            let own = words.lowerBound - group.block.weights.words.lowerBound
            let range = own..<own + parameter.weights.count
            var (start, rows): (Int, [ClusterJob.Rows]) = (0, [])
            for run in group.runs {
                let part = (start..<start + run.count).clamped(to: range)
                start += run.count
                guard !part.isEmpty else { continue }
                rows.append(
                    ClusterJob.Rows(
                        rows: [(part.lowerBound - own) / width, (part.upperBound - own) / width],
                        rate: run.rateScale, decay: run.decay, frozen: run.isFrozen))
            }
            tensors[parameter.name] = rows
        }
        return tensors
    }
}
