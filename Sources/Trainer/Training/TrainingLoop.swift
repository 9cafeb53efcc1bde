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
        exposure = job.exposure
        engine = try DefaultEngine(threads: job.options.threads)
        store = try CheckpointStore(
            output: job.output.output, identity: identity, model: job.place, keeping: job.job.keep ?? 1,
            freeSpace: job.options.freeSpace)
        if let step = store.lastStep, !job.options.resume {
            guard job.options.force else {
                throw UserFacingError.unfinishedRun(folder: store.folder, step: step)
            }
            try store.removeSteps()
        }
        if let step = job.options.atStep { try store.goBack(to: step) }
        kept = try store.kept()
        let (begun, name) = (kept?.progress.step ?? 0, identity.name)
        var writers: [any RunReporter] =
            try job.job.log.map {
                [
                    try StepLog(
                        path: $0, run: name, keepingUpTo: begun, resumes: job.options.resume,
                        replaces: job.options.force)
                ]
            } ?? []
        writers.append(
            RunRecord(
                job.facts, run: name, in: store.folder, begun: begun, rollbacks: kept?.progress.rollbacks ?? 0
            ))
        if let folder = job.eventFolder {
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
            // Stopped in what follows the last step of a stage, the run has that before it yet.
            let isOver =
                progress.inStage.step >= job.stages[progress.stage].plan.steps
                && progress.goesBackTo == progress.step
            first = isOver ? min(progress.stage + 1, job.stages.count - 1) : progress.stage
            recall(progress)
        } else {
            evaluations.patience = job.job.patience.map { Patience(evaluations: $0) }
        }
        exemptCheckpoints(best: job.keepsBest)
        reporters.tell(
            .started(
                step: kept?.progress.step ?? 0, steps: job.steps, parameters: job.trainedParameterCount,
                tokensPerStep: job.stages[first].tokensPerStep))
        var outcome = TrainingOutcome(step: kept?.progress.step ?? 0, sources: [])
        parent = try preparing(kept) { try measureParent(isCancelled) }
        outcome.parent = parent
        for index in first..<job.stages.count {
            let run = try preparing(from) { try begin(index, from: from, isCancelled) }
            do {
                if run.step == 0 { try evaluate(run, isCancelled) }
                try takeSteps(run, &outcome, isCancelled)
                if index + 1 == job.stages.count || evaluations.end != nil {
                    try finish(run, &outcome, isCancelled)
                    break
                }
                try keep(run)
            } catch {
                let error = ended(run, by: error)
                if run.step > 0 { reporters.tell(.ended(step: run.step, reason: Self.words(error))) }
                throw error
            }
            from = try store.kept()
        }
        reporters.tell(.finished(outcome))
        // The best has become the result, where that was what it was kept for.
        exemptCheckpoints(best: job.job.keepBest)
        try store.finish(keeping: job.job.keep != nil)
        return outcome
    }

    /// Does what comes before steps; where it is stopped, says what is kept of the run.
    private func preparing<Value>(
        _ kept: CheckpointStore.Kept?, _ work: () throws -> Value
    ) throws -> Value {
        do { return try work() } catch let error as UserFacingError where error.isInterruption {
            throw kept.map { interrupted(keeping: $0.progress.step) } ?? error
        }
    }

    /// Takes over what a checkpoint knows of the run so far.
    private func recall(_ progress: RunProgress) {
        evaluations = progress.evaluations
        _ = exposure?.restore(progress.exposure)
        taught = progress.taught
        (goesBackTo, rollbacks, keptRollbacks) = (
            progress.goesBackTo, max(rollbacks, progress.rollbacks), progress.rollbacks
        )
    }

    /// How often new tokens were seen; nil where there are none.
    private var exposure: TokenExposure?
    /// How many targets a teacher has taught; nil where there is none.
    private var taught: TaughtTargets?
    /// What the parent makes of the sets; nil where none is wanted.
    private var parent: ParentYardstick?
    /// What the evaluations have come to.
    private var evaluations = EvaluationProgress()
    /// The last checkpoint that was kept by the run's own rules, to which it goes back; nil before the first.
    ///
    /// What was kept because the run was stopped is none, so that it ends as if it had not been.
    private var goesBackTo: Int?
    /// How often the run has gone back, and how often it had when it was kept last.
    private var rollbacks = 0, keptRollbacks = 0
    /// Whether the weights and buffers are being put back, and are neither what they were nor what they will be.
    private var isGoingBack = false
    private let clock = ContinuousClock.now

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
        /// Whether steps were taken, and what was trained is a model without its ramp.
        var isMature: Bool { step > 0 && !stage.plan.isInRamp(after: state.step) }
        func progress(
            _ evaluations: EvaluationProgress, _ exposure: TokenExposure?, _ taught: TaughtTargets?,
            goesBackTo: Int?, rollbacks: Int
        ) -> RunProgress {
            RunProgress(
                step: step, stage: index, inStage: state.progress, ages: state.ages, earlier: earlier,
                sources: sources, evaluations: evaluations, exposure: exposure?.state ?? [],
                goesBackTo: goesBackTo, rollbacks: rollbacks, taught: taught)
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
            data: stage.data, teacher: stage.teacher(on: engine, isCancelled), on: engine)
        var earlier: [SourceProgress] = []
        if let kept {
            try restore(state, of: stage, index, from: kept, isCancelled)
            let isOver = kept.progress.stage < index
            if isOver, stage.goesOn { try state.goOn(from: kept.progress.inStage.data) }
            earlier = isOver && !stage.goesOn ? kept.progress.sources : kept.progress.earlier
        } else if let beginning = job.beginning {
            try restore(state, of: stage, index, from: beginning, isCancelled)
        } else if job.job.fromScratch {
            stage.model.initialize(state.model, seed: stage.plan.seed)
            state.beginAverage()
        } else {
            try stage.model.load(into: state.model, isCancelled: isCancelled)
            state.beginAverage()
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

    /// Brings a stage's weights and buffers to where a checkpoint has them: of the same stage, or of what came before it.
    private func restore(
        _ state: TrainingState<DefaultEngine>, of stage: PreparedStage, _ index: Int,
        from kept: CheckpointStore.Kept, isBack: Bool = false, _ isCancelled: () -> Bool
    ) throws {
        try stage.model.replacing(kept.masters).load(into: state.model, isCancelled: isCancelled)
        state.beginAverage()
        if isBack { state.clearMoments() }
        let isSame = kept.identity.name == identity.name && kept.progress.stage == index
        try kept.load(into: state, all: isSame)
        if isSame {
            try state.resume(kept.progress.inStage, isBack: isBack)
        } else {
            state.inherit(ages: kept.ages(of: state))
        }
    }

    private func takeSteps(
        _ run: StageRun, _ outcome: inout TrainingOutcome, _ isCancelled: () -> Bool
    ) throws {
        let longest = try job.job.maxTime.map { try RunTime($0, of: "max-time").seconds }
        (outcome.step, outcome.sources) = (run.step, run.sources)
        // A run may have been stopped between a step and what follows it.
        if run.state.step > 0 { try settle(run, isCancelled) }
        while run.state.step < run.stage.plan.steps, evaluations.end == nil {
            if isCancelled() { throw UserFacingError.interrupted }
            if let longest, (ContinuousClock.now - clock) / .seconds(1) >= longest {
                isOutOfTime = true
                throw UserFacingError.interrupted
            }
            let shown = run.sources.tokens
            let taken = try run.state.takeStep(isCancelled: isCancelled) { exposure?.count($0) }
            if taken.verdict == .take, let figures = taken.teacher {
                taught = (taught ?? TaughtTargets()) + figures
            }
            if taken.verdict != .take {
                if try goesBack(run, taken) { continue }
            } else if run.sources.tokens > shown {
                // After a run went back, data that has an end may leave nothing for its last steps.
                let report = run.report(taken)
                outcome.last = report
                reporters.tell(.step(report))
            }
            (outcome.step, outcome.sources) = (run.step, run.sources)
            try settle(run, isCancelled)
        }
        try run.state.checkWeights(step: run.step)
    }

    /// Does what follows a step: evaluates and keeps what should be after it, and has not been.
    private func settle(_ run: StageRun, _ isCancelled: () -> Bool) throws {
        let every = job.job.checkpointEvery
        let isLast = run.state.step == run.stage.plan.steps
        if evaluatedSteps.contains(run.step) || isLast && run.step < job.steps,
            evaluations.last?.step != run.step
        {
            let best = evaluations.best
            try evaluate(run, isCancelled)
            // What can't be kept can't be the best.
            if evaluations.best?.step == run.step, job.keepsBest, try !keepIfThereIsRoom(run) {
                evaluations.best = best
            }
        }
        if every > 0, run.step % every == 0, !isLast { _ = try keepIfThereIsRoom(run) }
    }

    /// The steps before the last after which the sets are evaluated.
    private lazy var evaluatedSteps = Set(job.job.evaluationSchedule.steps(of: job.steps))
        .subtracting([job.steps])

    /// Deals with a step that was left out.
    ///
    /// - Returns: whether the run went back to its last checkpoint; without one the step is only left out.
    /// - Throws: ``UserFacingError`` where the run should stop.
    private func goesBack(_ run: StageRun, _ taken: StageStep) throws -> Bool {
        switch taken.verdict {
        case .take: return false
        case .stop(let finding):
            throw finding.before == nil && job.job.guarding != .skip && job.job.guarding != .rollback
                ? UserFacingError.notFinite(what: finding.what, step: run.step, documents: taken.documents)
                : .spike(
                    finding, step: run.step, inARow: run.state.progress.guarding.inARow,
                    documents: taken.documents)
        case .skip(let finding):
            reporters.tell(.skipped(step: run.step, finding, documents: taken.documents))
            return false
        case .rollBack(let finding):
            let step = run.step
            guard let last = goesBackTo, store.steps.contains(last), let kept = try store.kept(step: last)
            else {
                reporters.tell(.skipped(step: step, finding, documents: taken.documents))
                return false
            }
            isGoingBack = true
            try store.goBack(to: last)
            try restore(run.state, of: run.stage, run.index, from: kept, isBack: true) { false }
            isGoingBack = false
            recall(kept.progress)
            rollbacks += 1
            reporters.tell(.rolledBack(from: step, to: run.step, finding, documents: taken.documents))
            return true
        }
    }

    private static func words(_ error: any Error) -> String {
        (error as? UserFacingError)?.description ?? "\(error)"
    }

    /// What to throw when something ended the run; keeps it, unless its numbers are what failed.
    private func ended(_ run: StageRun, by cause: any Error) -> any Error {
        let error = cause as? UserFacingError
        let isStopped = error?.isInterruption == true
        if error?.kind == .diverged || isGoingBack { return cause }
        guard run.step > 0 else {
            return isStopped
                ? UserFacingError.interrupted("; no step was taken, so nothing is kept") : cause
        }
        do { try keep(run, isStopped: true) } catch {
            guard isStopped else { return cause }
            let last = store.lastStep.map {
                "step \($0) is, and \(again) from it"
            }
            return UserFacingError.interrupted(
                "; step \(run.step) of the run can't be kept: \(Self.words(error)); \(last ?? "nothing is")")
        }
        return isStopped ? interrupted(keeping: run.step) : cause
    }

    private func interrupted(keeping step: Int) -> UserFacingError {
        let why = isOutOfTime ? " after \(job.job.maxTime ?? "") (--max-time)" : ""
        return .interrupted("\(why); step \(step) of the run is kept, and \(again)")
    }

    private var isOutOfTime = false

    /// How the run goes on after it was stopped, for messages.
    private var again: String {
        job.options.resume ? "the same command goes on" : "the same command with --resume goes on"
    }

    /// Keeps the run where the disk has room; else says so.
    private func keepIfThereIsRoom(_ run: StageRun) throws -> Bool {
        do { try keep(run) } catch let error as UserFacingError where error.isLackOfRoom {
            reporters.tell(.notKept(step: run.step, reason: error.message))
            return false
        }
        return true
    }

    /// Keeps the run as it stands, by its own rules or because it was stopped.
    ///
    /// Where it went back to, it is kept again only when it is stopped there.
    private func keep(_ run: StageRun, isStopped: Bool = false) throws {
        guard isStopped ? store.lastStep != run.step || keptRollbacks < rollbacks : goesBackTo != run.step
        else { return }
        try run.state.checkWeights(step: run.step)
        let last = isStopped ? goesBackTo : run.step
        try store.save(
            run.state, masters: run.masters,
            run.progress(evaluations, exposure, taught, goesBackTo: last, rollbacks: rollbacks),
            besides: job.job.guarding == .rollback ? last : nil)
        (goesBackTo, keptRollbacks) = (last, rollbacks)
        reporters.tell(.kept(step: run.step, folder: store.folder))
    }

    /// What the parent makes of the sets; its memory is given back before the run takes its own.
    private func measureParent(_ isCancelled: () -> Bool) throws -> ParentYardstick? {
        let parent = try job.measureParent(isCancelled)
        switch parent {
        case .measured(let model, let sets):
            for set in sets { reporters.tell(.parent(model: model, name: set.name, set.result)) }
        case .missing(let reason): reporters.tell(.noParent(reason: reason))
        case nil: break
        }
        return parent
    }

    // MARK: Result

    /// Evaluates and writes what becomes of the run.
    private func finish(_ run: StageRun, _ outcome: inout TrainingOutcome, _ isCancelled: () -> Bool) throws {
        if job.keepsLastStep { _ = try keepIfThereIsRoom(run) }
        // Nothing is trained after this, and what is kept has the weights themselves.
        run.state.takeAverage()
        if evaluations.last?.step != run.step || job.job.result == .average { try evaluate(run, isCancelled) }
        if evaluations.best?.step == run.step, job.keepsBest { _ = try keepIfThereIsRoom(run) }
        var (stage, masters, step) = (run.stage, try run.masters, run.step)
        outcome.before = evaluations.first?.results ?? []
        outcome.after = evaluations.last?.results ?? []
        if job.job.result == .best, let best = evaluations.best, best.step < run.step,
            let kept = try store.kept(step: best.step)
        {
            (stage, masters, step) = (job.stages[kept.progress.stage], kept.masters, best.step)
            outcome.after = best.results
        }
        outcome.drift = try drift(masters, step: step, isCancelled)
        try tellExposure(step: run.step)
        (outcome.end, outcome.healedAt, outcome.taught) = (evaluations.end, evaluations.healedAt, taught)
        outcome.resultStep = step
        outcome.rows = snippets(through: run)
        outcome.overflows = try publish(stage, masters, step: step, of: run, isCancelled)
    }

    /// What the stages that distil rows have found snippets of, up to one.
    private func snippets(through run: StageRun) -> [SnippetSummary] {
        job.stages.prefix(run.index + 1).compactMap(\.plan.snippets)
    }

    /// How far weights have moved since the run began; nothing where it began with random ones.
    private func drift(
        _ masters: [String: TensorExpression], step: Int, _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> [Drift] {
        if job.job.fromScratch { return [] }
        let beginning = job.model.replacing(job.beginning?.masters ?? [:])
        let drift = try beginning.drift(to: masters, on: engine, isCancelled: isCancelled)
        reporters.tell(.drifted(afterStep: step, drift))
        return drift
    }

    private func tellExposure(step: Int) throws {
        guard let exposure else { return }
        let tokenizer = try job.model.tokenizer()
        reporters.tell(.exposed(afterStep: step, exposure.summary { tokenizer.text(of: $0) }))
    }

    private func publish(
        _ stage: PreparedStage, _ masters: [String: TensorExpression], step: Int, of run: StageRun,
        _ isCancelled: () -> Bool
    ) throws(UserFacingError) -> [(tensor: String, count: Int)] {
        var more = JSONObject()
        if step < run.step { more["result_step"] = .init(step) }
        if job.job.result != .last { more["result"] = .string(job.job.result.rawValue) }
        if let end = evaluations.end { more["ended"] = .string(end.rawValue) }
        if let teacher = job.teacher, let taught {
            more["teacher"] = identity.teaching(by: teacher.path, taught)
        }
        let rows = snippets(through: run)
        if !rows.isEmpty { more["distilled_rows"] = .array(rows.map(\.counts)) }
        let operation = identity.operation(
            steps: run.step, shown: run.sources, stage: run.index, and: more)
        let result: Checkpoint
        do {
            result = try stage.model.learning(masters, by: operation)
        } catch {
            throw error.within("the weights can't be written")
        }
        let report = try PreparedJob.writer(job.options).write(
            result, to: job.output.output, isCancelled: isCancelled,
            progress: { reporters.tell(.writing(done: $0.done, total: $0.total)) })
        return report.overflows.map { ($0.tensor, $0.count) }
    }

    // MARK: Evaluation

    /// Evaluates the sets, in the memory of the training batches, and finds whether the run should end.
    private func evaluate(_ run: StageRun, _ isCancelled: () -> Bool) throws {
        var findings: [EvaluationProgress.Finding] = []
        for set in job.evaluations {
            let result = try set.evaluate(run.state.model, window: job.window, isCancelled: isCancelled)
            guard result.loss.isFinite else { throw UserFacingError.lossNotFinite(set: set.name) }
            reporters.tell(.evaluated(name: set.name, afterStep: run.step, result))
            findings.append(EvaluationProgress.Finding(name: set.name, result: result))
        }
        guard !findings.isEmpty else { return }
        let evaluation = EvaluationProgress.Evaluation(step: run.step, findings: findings)
        evaluations.last = evaluation
        if run.step == 0 { evaluations.first = evaluation }
        if run.isMature, evaluations.best.map({ evaluation.mean < $0.mean }) ?? true {
            evaluations.best = evaluation
            exemptCheckpoints(best: job.keepsBest)
        }
        if run.step == 0 || run.isMature,
            evaluations.patience?.isOver(
                bitsPerByte: evaluation.bitsPerByte, after: run.step, of: job.steps) == true
        {
            evaluations.end = .patience
        }
        let shares = job.job.healingSets.compactMap { evaluations.share(of: $0, beside: parent) }
        guard run.isMature, shares.isHealed else { return }
        if evaluations.healedAt == nil {
            evaluations.healedAt = run.step
            reporters.tell(.healed(afterStep: run.step, tokens: run.sources.tokens))
        }
        if job.job.untilHealed { evaluations.end = .healed }
    }

    /// Tells the store which checkpoints stay: the best, and the ends of stages that should.
    private func exemptCheckpoints(best isKept: Bool) {
        var steps = Set(
            job.stages.indices.filter { job.stages[$0].keepsEnd }.map { job.steps(before: $0 + 1) })
        if isKept, let best = evaluations.best { steps.insert(best.step) }
        store.exempt(steps)
    }
}

extension EvaluationProgress.Evaluation {
    /// The sets by name.
    fileprivate var results: [(name: String, result: EvaluationResult)] {
        findings.map { ($0.name, $0.result) }
    }
}

extension PreparedJob {
    /// What the parent makes of the sets; nil where none is wanted.
    ///
    /// - Throws: ``UserFacingError`` where the run needs one and there is none, or it was stopped.
    func measureParent(_ isCancelled: () -> Bool) throws -> ParentYardstick? {
        let evaluation = EvaluationRequest(
            model: "", sets: job.eval.map { ($0.name, $0.path) }, text: job.text,
            endOfText: EndOfText(token: nil, isLeftOut: job.noEndOfText), length: window,
            threads: options.threads)
        let parent = try job.parentChoice.measure(
            evaluation, for: model.checkpoint, isCancelled: isCancelled)
        if case .missing(let reason) = parent, job.untilHealed {
            throw UserFacingError.noParentToHealTo(reason)
        }
        return parent
    }
}

extension TrainingLoop.StageRun {
    /// A step of the stage as a step of the run.
    fileprivate func report(_ taken: StageStep) -> StepReport {
        StepReport(
            step: step, loss: taken.loss, tokens: sources.tokens, lr: taken.rate,
            gradNorm: taken.gradientNorm, seconds: taken.seconds, sources: sources.figures,
            teacher: taken.teacher, rows: taken.rows)
    }
}
