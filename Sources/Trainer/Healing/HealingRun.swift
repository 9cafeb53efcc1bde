internal import Formats

/// Carries out a ``HealingSetup`` on the ``DefaultEngine``.
public struct HealingRun {
    private let setup: HealingSetup
    private let engine: DefaultEngine
    private let run: Healing<DefaultEngine>
    private let store: RunStore
    private let identity: RunIdentity
    private let sets: [EvaluationSet]
    private let reporters: RunReporters

    /// What there is to know of the sets' texts, a sentence each.
    public var warnings: [String] { sets.flatMap(\.warnings) }

    /// Takes the memory and brings the run to where it begins or goes on.
    ///
    /// - Parameters:
    ///   - setup: what to do.
    ///   - isCancelled: asked while the weights are read; true stops.
    ///   - notify: told what happens.
    /// - Throws: a ``UserFacingError`` that names the file or setting.
    public init(
        _ setup: HealingSetup, isCancelled: () -> Bool = { false },
        notify: @escaping (HealingEvent) -> Void
    ) throws {
        try setup.check()
        let (request, model) = (setup.request, setup.model)
        self.setup = setup
        identity = try setup.identity()
        engine = try DefaultEngine(threads: request.threads)
        sets = setup.evaluations
        store = try RunStore(output: request.output, identity: identity, freeSpace: request.freeSpace)
        if let step = store.lastStep, !request.resume {
            guard request.force else { throw UserFacingError.unfinishedRun(folder: store.folder, step: step) }
            try store.removeSteps()
        }
        run = try Healing(
            setup.plan, model.architecture, layout: setup.layout, groups: setup.groups, data: setup.data,
            on: engine)
        if store.lastStep != nil {
            try model.load(into: run.model, onlyFrozen: true, isCancelled: isCancelled)
            try store.restore(run)
        } else if request.fromScratch {
            model.initialize(run.model, seed: setup.plan.seed)
        } else {
            try model.load(into: run.model, isCancelled: isCancelled)
        }
        let (begun, name) = (run.step, identity.name)
        var writers: [any RunReporter] =
            try request.log.map {
                [
                    try StepLog(
                        path: $0, run: name, keepingUpTo: begun, resumes: request.resume,
                        replaces: request.force)
                ]
            } ?? []
        writers.append(RunRecord(of: setup, run: name, in: store.folder, begun: begun))
        switch request.tensorBoard {
        case .ofRun:
            let folder = Path.join(store.folder, EventFile.folderName)
            writers.append(EventFile(in: folder, begun: begun, replacesOthers: true))
        case .folder(let folder):
            writers.append(EventFile(in: folder, begun: begun, replacesOthers: false))
        case .none: break
        }
        reporters = RunReporters(writers, notify: notify)
    }

    /// Takes all steps that are left and writes the healed model.
    ///
    /// - Parameter isCancelled: asked often; true stops the run after the part of a step at hand, and keeps it.
    /// - Returns: what it did.
    /// - Throws: ``UserFacingError`` when it was stopped or failed; what was kept before is then still there.
    public func callAsFunction(isCancelled: () -> Bool) throws -> HealingOutcome {
        let plan = run.plan
        reporters.tell(
            .started(
                step: run.step, steps: plan.steps, parameters: setup.layout.trainedParameterCount,
                tokensPerStep: plan.batch * plan.accumulate * plan.length))
        var outcome = HealingOutcome(step: run.step, tokens: run.tokens, sources: run.sources)
        do {
            if run.step == 0 { outcome.before = try evaluate(isCancelled) }
            try takeSteps(&outcome, isCancelled)
            outcome.after = try evaluate(isCancelled)
            if !setup.request.fromScratch {
                outcome.drift = try setup.model.drift(of: run.model, isCancelled: isCancelled)
                reporters.tell(.drifted(afterStep: run.step, outcome.drift))
            }
            outcome.overflows = try publish(isCancelled)
        } catch {
            let error = ended(by: error)
            if run.step > 0 { reporters.tell(.ended(step: run.step, reason: Self.words(error))) }
            throw error
        }
        reporters.tell(.finished(outcome))
        try store.removeSteps()
        return outcome
    }

    private func takeSteps(_ outcome: inout HealingOutcome, _ isCancelled: () -> Bool) throws {
        let every = setup.request.checkpointEvery
        while run.step < run.plan.steps {
            if isCancelled() { throw UserFacingError.interrupted }
            let report = try run.takeStep(isCancelled: isCancelled)
            reporters.tell(.step(report))
            (outcome.step, outcome.tokens, outcome.last) = (run.step, run.tokens, report)
            outcome.sources = run.sources
            guard every > 0, run.step % every == 0, run.step < run.plan.steps else { continue }
            do { try keep() } catch let error as UserFacingError where error.isLackOfRoom {
                reporters.tell(.notKept(step: run.step, reason: error.message))
            }
        }
        try run.checkWeights()
    }

    private static func words(_ error: any Error) -> String {
        (error as? UserFacingError)?.description ?? "\(error)"
    }

    /// What to throw when something ended the run; keeps it, unless its numbers are what failed.
    private func ended(by cause: any Error) -> any Error {
        let error = cause as? UserFacingError
        let isStopped = error?.isInterruption == true
        let again =
            setup.request.resume ? "the same command goes on" : "the same command with --resume goes on"
        if error?.kind == .diverged { return cause }
        guard run.step > 0 else {
            return isStopped
                ? UserFacingError.interrupted("; no step was taken, so nothing is kept") : cause
        }
        do { try keep() } catch {
            guard isStopped else { return cause }
            let last = store.lastStep.map {
                "step \($0) is, and \(again) from it"
            }
            return UserFacingError.interrupted(
                "; step \(run.step) of the run can't be kept: \(Self.words(error)); \(last ?? "nothing is")")
        }
        guard isStopped else { return cause }
        return UserFacingError.interrupted(
            "; step \(run.step) of the run is kept, and \(again)")
    }

    private func keep() throws {
        guard store.lastStep != run.step else { return }
        try run.checkWeights()
        try store.save(run)
        reporters.tell(.kept(step: run.step, folder: store.folder))
    }

    private func publish(_ isCancelled: () -> Bool) throws(UserFacingError) -> [(tensor: String, count: Int)]
    {
        var parameters = JSONObject()
        parameters["steps"] = .init(run.plan.steps)
        parameters["tokens"] = .init(run.tokens)
        parameters["learning_rate"] = .init(run.plan.optimizer.rate)
        parameters["seed"] = .string(String(run.plan.seed))
        parameters["run"] = .string(identity.name)
        let result: Checkpoint
        do {
            result = try setup.model.withWeights(
                of: run.model, by: Manifest.Operation(name: "heal", parameters: parameters))
        } catch {
            throw error.within("the weights can't be written")
        }
        let report = try HealingSetup.writer(setup.request).write(
            result, to: setup.request.output, isCancelled: isCancelled,
            progress: { reporters.tell(.writing(done: $0.done, total: $0.total)) })
        return report.overflows.map { ($0.tensor, $0.count) }
    }

    /// The sets by name, in the memory of the training batches.
    private func evaluate(_ isCancelled: () -> Bool) throws -> [(name: String, result: EvaluationResult)] {
        var results: [(name: String, result: EvaluationResult)] = []
        for set in sets {
            let result = try set.evaluate(run.model, isCancelled: isCancelled)
            guard result.loss.isFinite else { throw UserFacingError.lossNotFinite(set: set.name) }
            reporters.tell(.evaluated(name: set.name, afterStep: run.step, result))
            results.append((set.name, result))
        }
        return results
    }
}
