public import Formats
internal import Models
public import Surgery
public import Trainer

/// Carries out steps on a model: surgery in one pass over the disk, selection by and healing of what was never written in between.
///
/// A model is written where a step says `output`, after a healing, and at the end. What is there already, made by the same
/// steps of the same source, is taken as it is, so that the same run again goes on where it stopped.
public struct RecipeRun {
    /// A step and where its model is written.
    public struct Step {
        /// What it is called.
        public let name: String
        /// What is done: a ``SurgeryOperation``, a ``SelectionJob``, a ``TrainingJob`` or an ``EvaluationJob``.
        public let operation: any Parameterized
        /// The folder that the model is written to after it, nil for the next one that is; of a selection the file of what is
        /// chosen.
        public let output: String?

        /// A step.
        public init(name: String, operation: any Parameterized, output: String? = nil) {
            self.name = name
            self.operation = operation
            self.output = output
        }
    }

    /// How it is carried out.
    public struct Options {
        /// How models are written; `force` begins everything again.
        public var write = WriteOptions()
        /// Whether nothing is written and nothing trained.
        public var isDryRun = false
        /// Whether a source is taken whose parts do not fit together.
        public var allowsDisagreement = false
        /// The most threads that work.
        public var threads = 1

        /// Options; by default one thread, and nothing is replaced.
        public init() {}
    }

    /// What happens, told as it happens.
    public enum Event {
        /// What the user should know.
        case warning(String)
        /// What an operation says of its work before it is done.
        case note(String)
        /// How far an operation is: what, how much is done, of how much.
        case progress(doing: String, done: Int, total: Int)
        /// An operation was applied; nothing is written yet.
        case made(Step, Outcome)
        /// A model will be written, or would be, with what was made since `source`.
        case planned(WritePlan, source: Checkpoint, Outcome)
        /// What was made since `source` is healed without being written.
        case unwritten(source: Checkpoint, Outcome)
        /// How far a model is written.
        case writing(ByteProgress)
        /// A model was written.
        case wrote(WriteReport)
        /// A folder, or a file of chosen documents, is there already, made by the same steps.
        case isThere(path: String)
        /// Documents were chosen and written to a file; in a dry run without a report.
        case selected(Step, SelectionReport?, file: String)
        /// A healing is ready to begin, or would begin.
        case prepared(Step, PreparedJob)
        /// What happens during a healing.
        case healing(TrainingEvent)
        /// A healing has ended and its model is written.
        case healed(Step, TrainingOutcome, folder: String)
        /// A model was evaluated; in a dry run without results.
        case evaluated(Step, [(name: String, result: EvaluationResult)])
    }

    private let model: String
    private let steps: [Step]
    private let output: String
    private let options: Options
    private let isCancelled: @Sendable () -> Bool
    private let selecting: @Sendable (TextSelection.Stage, _ done: Int, _ total: Int) -> Void
    private let tell: (Event) -> Void

    /// A run.
    ///
    /// - Parameters:
    ///   - steps: what is done, in order.
    ///   - model: the model that it begins with.
    ///   - output: the folder of the last model that is made.
    ///   - options: how.
    ///   - isCancelled: asked often, by several threads; true stops.
    ///   - tell: told what happens.
    ///   - selecting: told how far a selection is, by several threads.
    public init(
        _ steps: [Step], on model: String, to output: String, options: Options,
        isCancelled: @escaping @Sendable () -> Bool = { false },
        tell: @escaping (Event) -> Void,
        selecting: @escaping @Sendable (TextSelection.Stage, _ done: Int, _ total: Int) -> Void = {
            _, _, _ in
        }
    ) {
        self.model = model
        self.steps = steps
        self.output = output
        self.options = options
        self.isCancelled = isCancelled
        self.selecting = selecting
        self.tell = tell
    }

    /// Carries it out.
    ///
    /// - Throws: ``UserFacingError``; what was written before is whole.
    public func callAsFunction() throws {
        let last = steps.lastIndex(where: \.makesModel)
        var state: State?
        for (index, step) in steps.enumerated() {
            let isLast = index == last
            if let job = step.operation as? TrainingJob {
                let folder = step.output ?? (isLast ? output : folder(of: step))
                state = try heal(step, job, state, to: folder)
            } else if let job = step.operation as? SelectionJob {
                state = try select(step, job, state, isBeforeResult: last.map { index < $0 } ?? false)
            } else if let job = step.operation as? EvaluationJob {
                try evaluate(step, job, state ?? open())
            } else if let operation = step.operation as? any SurgeryOperation {
                state = try operate(step, operation, state ?? open(), before: steps[(index + 1)...])
                if isLast || step.output != nil {
                    state = try write(state ?? open(), to: step.output ?? output)
                }
            } else {
                preconditionFailure("a step is surgery, a selection, a healing or an evaluation")
            }
        }
        if !options.isDryRun, FileSystem.exists(stepsFolder) {
            try RunHistory.move(from: stepsFolder, besideResult: output)
            try FileSystem.remove(stepsFolder)
        }
    }

    /// A model, and what was done to it since it was opened.
    private struct State {
        let source: Checkpoint
        var total: Outcome

        init(_ source: Checkpoint) {
            self.source = source
            total = Outcome(source)
        }
    }

    /// Where healed models are kept that are not the run's last and have no output of their own.
    private var stepsFolder: String { Path.absolute(output) + ".steps" }

    private func folder(of step: Step) -> String { Path.join(stepsFolder, step.name) }

    // MARK: Steps

    /// The model that the run begins with; for a dry run one that has its configuration alone, the tensors then being
    /// those that its family has.
    private func open() throws -> State {
        do {
            return try State(checked(Checkpoint.openModel(model)))
        } catch {
            guard options.isDryRun, error.kind == .missing,
                FileSystem.kind(of: Path.join(model, Configuration.fileName)) == .file
            else { throw error }
            tell(.warning("\(model) has no weights: types and shapes follow from config.json"))
            return State(try PretrainedModel.blank(model).checkpoint)
        }
    }

    /// A source whose parts fit together, unless the user has said that they need not.
    private func checked(_ source: Checkpoint) throws(UserFacingError) -> Checkpoint {
        if options.allowsDisagreement {
            for disagreement in source.inconsistencies { tell(.warning(disagreement)) }
        } else {
            try source.checkAgreement()
        }
        return source
    }

    private func operate(
        _ step: Step, _ operation: any SurgeryOperation, _ state: State, before later: ArraySlice<Step>
    ) throws -> State {
        var state = state
        let healing = later.lazy.compactMap { $0.operation as? TrainingJob }.first
        let selections = later.filter { $0.operation is SelectionJob }
        let context = OperationContext(
            threads: options.threads, isDryRun: options.isDryRun,
            checkAgreement: { (model) throws(UserFacingError) in _ = try checked(model) },
            probe: RowProbe(
                healing: healing, chosenLater: selections.compactMap(\.output), threads: options.threads,
                isDryRun: options.isDryRun,
                say: { tell(.note($0)) }),
            isCancelled: isCancelled,
            progress: { tell(.progress(doing: $0, done: $1, total: $2)) })
        // A step may have put it into another library's terms.
        let made = try state.total.checkpoint.asHuggingFace().applying(operation, context)
        tell(.made(step, made))
        state.total.checkpoint = made.checkpoint
        state.total.summary += made.summary
        state.total.changes += made.changes
        state.total.warnings += made.warnings
        return state
    }

    private func write(_ state: State, to folder: String) throws -> State {
        let writer = CheckpointWriter(options: options.write)
        let plan = try writer.plan(state.total.checkpoint, to: folder)
        tell(.planned(plan, source: state.source, state.total))
        if !options.write.force, plan.isCarriedOut {
            tell(.isThere(path: folder))
        } else {
            try writer.check(plan)
            if !options.isDryRun {
                tell(.wrote(try writer.write(plan, isCancelled: isCancelled) { tell(.writing($0)) }))
            }
        }
        if options.isDryRun {
            var next = State(state.total.checkpoint)
            next.total.checkpoint.operations = []
            return next
        }
        return try State(checked(Checkpoint.openModel(folder)))
    }

    /// Chooses texts, by the model as it stands where the step asks a model and names none; nothing of it need be written.
    private func select(
        _ step: Step, _ job: SelectionJob, _ state: State?, isBeforeResult: Bool
    ) throws -> State? {
        guard let file = step.output else { preconditionFailure("a selection has a file of its own") }
        guard !options.isDryRun else {
            for path in job.files where !TextPaths.isPattern(path) && !FileSystem.exists(path) {
                tell(.warning("\(path) is not there yet"))
            }
            tell(.selected(step, nil, file: file))
            return state
        }
        let asksOwnModel = job.needsModel && job.model == nil
        let state = asksOwnModel ? try state ?? open() : state
        let selection = try TextSelection(
            job, model: asksOwnModel ? state?.total.checkpoint : nil, threads: options.threads,
            tool: options.write.tool)
        if !options.write.force, try selection.isFinished(at: file, isCancelled: isCancelled) {
            tell(.isThere(path: file))
            return state
        }
        if isBeforeResult { try refuseResult() }
        let report = try selection.write(
            to: file, replaces: options.write.force, isCancelled: isCancelled, progress: selecting)
        report.warnings.forEach { tell(.warning($0)) }
        tell(.selected(step, report, file: file))
        return state
    }

    /// Refuses to begin what takes hours and would be refused at its end, because the result is there.
    private func refuseResult() throws(UserFacingError) {
        if !options.write.force, FileSystem.exists(output) { throw .exists(path: output) }
    }

    /// Refuses a healing in between whose model is another's, or was removed when the run was finished.
    private func refuseModel(between step: Step, in folder: String) throws(UserFacingError) {
        guard !options.write.force else { return }
        guard step.output == nil else {
            for path in [folder, output] where FileSystem.exists(path) { throw .exists(path: path) }
            return
        }
        if FileSystem.exists(folder) { throw .madeOtherwise(step: step.name, path: folder) }
        if FileSystem.exists(output) { throw .madeWithout(step: step.name, output: output) }
    }

    private func heal(_ step: Step, _ job: TrainingJob, _ state: State?, to folder: String) throws -> State {
        let isBlank = job.fromScratch && state == nil
        let begun = isBlank ? nil : try state ?? open()
        if let begun, !begun.total.summary.isEmpty {
            tell(.unwritten(source: begun.source, begun.total))
        }
        var running = RunOptions()
        (running.threads, running.tool, running.isDryRun) = (
            options.threads, options.write.tool, options.isDryRun
        )
        (running.force, running.resume) = (options.write.force, !options.write.force)
        running.freeSpace = options.write.freeSpace
        let prepared = try PreparedJob(
            job, on: isBlank ? model : begun?.source.path ?? model, checkpoint: begun?.total.checkpoint,
            to: folder, options: running, isCancelled: isCancelled)
        tell(.prepared(step, prepared))
        if options.isDryRun {
            return try begun ?? State(PretrainedModel.blank(model).checkpoint)
        }
        if try prepared.finished() != nil {
            tell(.isThere(path: folder))
        } else {
            if Path.absolute(folder) != Path.absolute(output) { try refuseModel(between: step, in: folder) }
            if !FileSystem.exists(Path.parent(folder)), folder.hasPrefix(stepsFolder) {
                try FileSystem.create(stepsFolder)
            }
            let run = try TrainingLoop(prepared) { tell(.healing($0)) }
            run.warnings.forEach { tell(.warning($0)) }
            tell(.healed(step, try run(isCancelled: isCancelled), folder: folder))
        }
        return try State(checked(Checkpoint.openModel(folder)))
    }

    private func evaluate(_ step: Step, _ job: EvaluationJob, _ state: State) throws {
        guard !options.isDryRun else {
            for set in job.data where set.path != "-" && !FileSystem.exists(set.path) {
                tell(.warning("\(set.path) is not there yet"))
            }
            return tell(.evaluated(step, []))
        }
        let request = EvaluationRequest(job, of: state.total.checkpoint, threads: options.threads)
        let outcome = try request.run(isCancelled: isCancelled, warn: { tell(.warning($0)) })
        if let set = outcome.notFinite { throw UserFacingError.lossNotFinite(set: set) }
        tell(.evaluated(step, outcome.sets))
    }
}

extension RecipeRun.Step {
    /// Whether a model comes out that did not go in.
    fileprivate var makesModel: Bool { !(operation is SelectionJob || operation is EvaluationJob) }
}

// Why a step is not begun.
extension UserFacingError {
    /// A healing in between has left a model that these steps would not make.
    fileprivate static func madeOtherwise(step: String, path: String) -> Self {
        Self(
            .request,
            """
            \(path), which step '\(step)' has made, is of other settings, data or steps before it than they are now; put them \
            back, remove \(path) to do this step again, or begin everything again with --force
            """)
    }

    /// The result is there, and a model in between, by which it would be known, is not.
    fileprivate static func madeWithout(step: String, output: String) -> Self {
        Self(
            .request,
            """
            \(output) exists already, and can't be compared with these steps: the model of '\(step)' in between was removed \
            when they were done (give that step an output, and it stays); name another output, or replace it with --force
            """)
    }
}
