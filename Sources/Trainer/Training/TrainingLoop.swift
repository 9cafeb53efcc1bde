internal import Formats

/// Carries out a ``PreparedJob`` on the ``DefaultEngine``: its stages one after the other, each in memory of its own.
///
/// Between two stages the run is kept on the disk, and the next begins with what was kept; so a run that is stopped
/// anywhere ends with the same bits.
public final class TrainingLoop {
    private let job: PreparedJob
    private let engine: DefaultEngine
    private let store: CheckpointStore
    private let identity: RunIdentity
    private let reporters: RunReporters
    /// The checkpoint that the run goes on from; nil where it begins.
    private let kept: CheckpointStore.Kept?

    /// What there is to know of the sets' texts, a sentence each.
    public var warnings: [String] { job.evaluations.flatMap(\.warnings) }

    /// Takes the run's folder, and finds where the run begins or goes on; memory is taken with the first stage.
    ///
    /// - Parameters:
    ///   - job: what to do.
    ///   - notify: told what happens.
    /// - Throws: a ``UserFacingError`` that names the file or setting.
    public init(_ job: PreparedJob, notify: @escaping (TrainingEvent) -> Void) throws {
        try job.check()
        self.job = job
        identity = try job.identity()
        engine = try DefaultEngine(threads: job.options.threads)
        store = try CheckpointStore(
            output: job.output.output, identity: identity, freeSpace: job.options.freeSpace)
        if let step = store.lastStep, !job.options.resume {
            guard job.options.force else {
                throw UserFacingError.unfinishedRun(folder: store.folder, step: step)
            }
            try store.removeSteps()
        }
        kept = try store.last()
        let (begun, name) = (kept?.progress.step ?? 0, identity.name)
        var writers: [any RunReporter] =
            try job.job.log.map {
                [
                    try StepLog(
                        path: $0, run: name, keepingUpTo: begun, resumes: job.options.resume,
                        replaces: job.options.force)
                ]
            } ?? []
        writers.append(RunRecord(of: job, run: name, in: store.folder, begun: begun))
        if !job.job.noTensorboard {
            let folder = job.job.tensorboard ?? Path.join(store.folder, EventFile.folderName)
            writers.append(EventFile(in: folder, begun: begun, replacesOthers: job.job.tensorboard == nil))
        }
        reporters = RunReporters(writers, notify: notify)
    }

    /// Takes all steps that are left and writes the healed model.
    ///
    /// - Parameter isCancelled: asked often; true stops the run after the part of a step at hand, and keeps it.
    /// - Returns: what it did.
    /// - Throws: ``UserFacingError`` when it was stopped or failed; what was kept before is then still there.
    public func callAsFunction(isCancelled: () -> Bool) throws -> TrainingOutcome {
        var (from, first) = (kept, 0)
        if let progress = kept?.progress {
            let isOver = progress.inStage.step >= job.stages[progress.stage].plan.steps
            first = isOver ? min(progress.stage + 1, job.stages.count - 1) : progress.stage
        }
        reporters.tell(
            .started(
                step: kept?.progress.step ?? 0, steps: job.steps, parameters: job.trainedParameterCount,
                tokensPerStep: job.stages[first].tokensPerStep))
        var outcome = TrainingOutcome(step: kept?.progress.step ?? 0, sources: [])
        outcome.parent = try preparing(kept) { try measureParent(isCancelled) }
        for index in first..<job.stages.count {
            let run = try preparing(from) { try begin(index, from: from, isCancelled) }
            let isLast = index + 1 == job.stages.count
            do {
                if run.step == 0 { outcome.before = try evaluate(run, isCancelled) }
                try takeSteps(run, &outcome, isCancelled)
                if isLast {
                    outcome.after = try evaluate(run, isCancelled)
                    outcome.drift = try drift(run, isCancelled)
                    outcome.overflows = try publish(run, isCancelled)
                } else {
                    try keep(run)
                }
            } catch {
                let error = ended(run, by: error)
                if run.step > 0 { reporters.tell(.ended(step: run.step, reason: Self.words(error))) }
                throw error
            }
            if !isLast { from = try store.last() }
        }
        reporters.tell(.finished(outcome))
        try store.removeSteps()
        return outcome
    }

    /// Does what comes before steps; where it is stopped, says what is kept of the run.
    private func preparing<Value>(
        _ kept: CheckpointStore.Kept?, _ work: () throws -> Value
    ) throws -> Value {
        do { return try work() } catch let error as UserFacingError where error.isInterruption {
            throw kept.map { Self.interrupted(keeping: $0.progress.step, again: again) } ?? error
        }
    }

    // MARK: Stages

    /// A stage being trained, and where it stands in the run.
    fileprivate struct StageRun {
        let stage: PreparedStage
        let index: Int
        let state: TrainingState<DefaultEngine>
        /// The steps before the stage, and what they have shown.
        let firstStep: Int, earlier: [SourceProgress]

        var step: Int { firstStep + state.step }
        var sources: [SourceProgress] { earlier.adding(state.sources) }
        var progress: RunProgress {
            RunProgress(
                step: step, stage: index, inStage: state.progress, ages: state.ages, earlier: earlier,
                sources: sources)
        }
        /// What was trained so far, in float32.
        var masters: [String: TensorExpression] {
            get throws(UserFacingError) { try stage.model.masters(of: state.model, and: stage.masters) }
        }
    }

    /// Takes the memory of a stage and brings it to where it begins or goes on.
    private func begin(
        _ index: Int, from kept: CheckpointStore.Kept?, _ isCancelled: () -> Bool
    ) throws -> StageRun {
        let stage = job.stages[index]
        let state = try TrainingState(
            stage.plan, stage.model.architecture, layout: stage.layout, groups: stage.groups,
            data: stage.data, on: engine)
        var (model, earlier) = (stage.model, [SourceProgress]())
        if let kept, kept.progress.stage == index {
            model = model.replacing(kept.masters)
            try kept.loadMoments(into: state, all: true)
            try state.resume(kept.progress.inStage)
            earlier = kept.progress.earlier
        } else if let kept = try kept ?? job.job.from.map({ try CheckpointStore.Kept.read($0) }) {
            model = model.replacing(kept.masters)
            try kept.loadMoments(into: state, all: false)
            state.inherit(ages: kept.ages(of: state))
            if index > 0, stage.goesOn {
                try state.goOn(from: kept.progress.inStage.data)
                earlier = kept.progress.earlier
            } else if index > 0 {
                earlier = kept.progress.sources
            }
        }
        if job.job.fromScratch, kept == nil {
            model.initialize(state.model, seed: stage.plan.seed)
        } else {
            try model.load(into: state.model, isCancelled: isCancelled)
        }
        let run = StageRun(
            stage: stage, index: index, state: state, firstStep: job.steps(before: index), earlier: earlier)
        if let title = stage.plan.title {
            reporters.tell(
                .stage(
                    number: index + 1, count: job.stages.count, title: title, step: run.step,
                    tokensPerStep: stage.tokensPerStep))
        }
        return run
    }

    private func takeSteps(
        _ run: StageRun, _ outcome: inout TrainingOutcome, _ isCancelled: () -> Bool
    ) throws {
        let every = job.job.checkpointEvery
        (outcome.step, outcome.sources) = (run.step, run.sources)
        while run.state.step < run.stage.plan.steps {
            if isCancelled() { throw UserFacingError.interrupted }
            let report = run.report(try run.state.takeStep(isCancelled: isCancelled))
            reporters.tell(.step(report))
            (outcome.step, outcome.sources, outcome.last) = (run.step, run.sources, report)
            guard every > 0, run.step % every == 0, run.state.step < run.stage.plan.steps else { continue }
            do { try keep(run) } catch let error as UserFacingError where error.isLackOfRoom {
                reporters.tell(.notKept(step: run.step, reason: error.message))
            }
        }
        try run.state.checkWeights(step: run.step)
    }

    private static func words(_ error: any Error) -> String {
        (error as? UserFacingError)?.description ?? "\(error)"
    }

    /// What to throw when something ended the run; keeps it, unless its numbers are what failed.
    private func ended(_ run: StageRun, by cause: any Error) -> any Error {
        let error = cause as? UserFacingError
        let isStopped = error?.isInterruption == true
        if error?.kind == .diverged { return cause }
        guard run.step > 0 else {
            return isStopped
                ? UserFacingError.interrupted("; no step was taken, so nothing is kept") : cause
        }
        do { try keep(run) } catch {
            guard isStopped else { return cause }
            let last = store.lastStep.map {
                "step \($0) is, and \(again) from it"
            }
            return UserFacingError.interrupted(
                "; step \(run.step) of the run can't be kept: \(Self.words(error)); \(last ?? "nothing is")")
        }
        return isStopped ? Self.interrupted(keeping: run.step, again: again) : cause
    }

    private static func interrupted(keeping step: Int, again: String) -> UserFacingError {
        .interrupted("; step \(step) of the run is kept, and \(again)")
    }

    /// How the run goes on after it was stopped, for messages.
    private var again: String {
        job.options.resume ? "the same command goes on" : "the same command with --resume goes on"
    }

    private func keep(_ run: StageRun) throws {
        guard store.lastStep != run.step else { return }
        try run.state.checkWeights(step: run.step)
        try store.save(run.state, masters: run.masters, run.progress)
        reporters.tell(.kept(step: run.step, folder: store.folder))
    }

    /// What the parent makes of the sets; its memory is given back before the run takes its own.
    private func measureParent(_ isCancelled: () -> Bool) throws -> ParentYardstick? {
        let evaluation = EvaluationRequest(
            model: "", sets: job.job.eval.map { ($0.name, $0.path) }, text: job.job.text,
            endOfText: EndOfText(token: nil, isLeftOut: job.job.noEndOfText), length: job.window,
            threads: job.options.threads)
        let parent = try job.job.parentChoice.measure(
            evaluation, for: job.model.checkpoint, isCancelled: isCancelled)
        switch parent {
        case .measured(let model, let sets):
            for set in sets { reporters.tell(.parent(model: model, name: set.name, set.result)) }
        case .missing(let reason): reporters.tell(.noParent(reason: reason))
        case nil: break
        }
        return parent
    }

    /// How far what is trained has moved since the run began; nothing where it began with random weights.
    private func drift(_ run: StageRun, _ isCancelled: () -> Bool) throws(UserFacingError) -> [Drift] {
        if job.job.fromScratch { return [] }
        let beginning = try job.job.from.map { (path) throws(UserFacingError) in
            try job.model.replacing(CheckpointStore.Kept.read(path).masters)
        }
        let drift = try (beginning ?? job.model).drift(to: run.masters, on: engine, isCancelled: isCancelled)
        reporters.tell(.drifted(afterStep: run.step, drift))
        return drift
    }

    private func publish(
        _ run: StageRun, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> [(tensor: String, count: Int)] {
        var parameters = JSONObject()
        parameters["steps"] = .init(run.step)
        parameters["tokens"] = .init(run.sources.tokens)
        parameters["learning_rate"] = .init(run.stage.plan.optimizer.rate)
        parameters["seed"] = .string(String(run.stage.plan.seed))
        parameters["run"] = .string(identity.name)
        if let beginning = identity.beginning { parameters["from"] = .string(beginning) }
        if job.stages.count > 1 {
            parameters["stages"] = .array(
                job.stages.map { .string($0.plan.title ?? "") })
        }
        let result: Checkpoint
        do {
            result = try run.stage.model.learning(
                run.masters, by: Manifest.Operation(name: TrainingJob.name, parameters: parameters))
        } catch {
            throw error.within("the weights can't be written")
        }
        let report = try PreparedJob.writer(job.options).write(
            result, to: job.output.output, isCancelled: isCancelled,
            progress: { reporters.tell(.writing(done: $0.done, total: $0.total)) })
        return report.overflows.map { ($0.tensor, $0.count) }
    }

    /// The sets by name, in the memory of the training batches.
    private func evaluate(
        _ run: StageRun, _ isCancelled: () -> Bool
    ) throws -> [(name: String, result: EvaluationResult)] {
        var results: [(name: String, result: EvaluationResult)] = []
        for set in job.evaluations {
            let result = try set.evaluate(run.state.model, window: job.window, isCancelled: isCancelled)
            guard result.loss.isFinite else { throw UserFacingError.lossNotFinite(set: set.name) }
            reporters.tell(.evaluated(name: set.name, afterStep: run.step, result))
            results.append((set.name, result))
        }
        return results
    }
}

extension TrainingLoop.StageRun {
    /// A step of the stage as a step of the run.
    fileprivate func report(_ taken: StageStep) -> StepReport {
        StepReport(
            step: step, loss: taken.loss, tokens: sources.tokens, lr: taken.rate,
            gradNorm: taken.gradientNorm, seconds: taken.seconds, sources: sources.figures)
    }
}

extension PreparedStage {
    /// The tokens of a full step.
    fileprivate var tokensPerStep: Int { plan.batch * plan.accumulate * plan.length }
}
