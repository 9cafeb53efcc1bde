internal import Formats

/// Carries out a ``HealingSetup`` on the ``DefaultEngine``.
public struct HealingRun {
    private let setup: HealingSetup
    private let engine: DefaultEngine
    private let run: Healing<DefaultEngine>
    private let store: RunStore
    private let sets: [EvaluationSet]
    private let log: StepLog?
    private let notify: (HealingEvent) -> Void

    /// Takes the memory and brings the run to where it begins or goes on.
    ///
    /// - Parameters:
    ///   - setup: what to do.
    ///   - notify: told what happens.
    /// - Throws: a ``UserFacingError`` that names the file or setting.
    public init(_ setup: HealingSetup, notify: @escaping (HealingEvent) -> Void) throws {
        try setup.check()
        let (request, model) = (setup.request, setup.model)
        self.setup = setup
        self.notify = notify
        engine = try DefaultEngine(threads: request.threads)
        sets = try EvaluationSet.read(request.evaluations, for: model, tokenizer: setup.tokenizer)
        store = try RunStore(output: request.output, identity: setup.identity)
        if let step = store.lastStep, !request.resume {
            guard request.force else { throw UserFacingError.unfinishedRun(folder: store.folder, step: step) }
            try store.removeSteps()
        }
        run = try Healing(setup.plan, model.architecture, layout: setup.layout, data: setup.data, on: engine)
        if store.lastStep != nil {
            try model.load(into: run.model, onlyFrozen: true)
            try store.restore(run)
        } else if request.fromScratch {
            model.initialize(run.model, seed: setup.plan.seed)
        } else {
            try model.load(into: run.model)
        }
        let begun = run.step
        log = try request.log.map { try StepLog(path: $0, keepingUpTo: begun) }
    }

    /// Takes all steps that are left and writes the healed model.
    ///
    /// - Parameter isCancelled: asked often; true stops the run after the step at hand, and keeps it.
    /// - Returns: what it did.
    /// - Throws: ``UserFacingError`` when it was stopped or failed; what was kept before is then still there.
    public func callAsFunction(isCancelled: () -> Bool) throws -> HealingOutcome {
        let plan = run.plan
        notify(
            .started(
                step: run.step, steps: plan.steps, parameters: setup.layout.trainedParameterCount,
                tokensPerStep: plan.batch * plan.accumulate * plan.length))
        var outcome = HealingOutcome(step: run.step, tokens: run.tokens)
        if run.step == 0 { outcome.before = try evaluate(isCancelled) }
        while run.step < plan.steps {
            let report = try keepingOnFailure { try run.takeStep() }
            try keepingOnFailure { try log?.write(report) }
            notify(.step(report))
            (outcome.step, outcome.tokens, outcome.last) = (run.step, run.tokens, report)
            if isCancelled() { throw try interrupted() }
            let every = setup.request.checkpointEvery
            if every > 0, run.step % every == 0, run.step < plan.steps { try keep() }
        }
        outcome.after = try evaluate(isCancelled)
        do {
            outcome.overflows = try publish(isCancelled)
        } catch {
            if error.isInterruption { throw try interrupted() }
            try? keep()
            throw error
        }
        try store.removeSteps()
        return outcome
    }

    /// Keeps the run, if a step was taken.
    ///
    /// - Returns: what to throw then.
    private func interrupted() throws -> UserFacingError {
        guard run.step > 0 else { return .interrupted("; no step was taken, so nothing is kept") }
        try keep()
        return .interrupted(
            "; step \(run.step) of the run is kept, and the same command with --resume goes on")
    }

    /// Does something whose failure must not cost the steps that were taken, unless they are what failed.
    private func keepingOnFailure<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch {
            if run.step > 0, (error as? UserFacingError)?.kind != .diverged { try? keep() }
            throw error
        }
    }

    private func keep() throws {
        try store.save(run)
        notify(.kept(step: run.step, folder: store.folder))
    }

    private func publish(_ isCancelled: () -> Bool) throws(UserFacingError) -> [(tensor: String, count: Int)]
    {
        var parameters = JSONObject()
        parameters["steps"] = .init(run.plan.steps)
        parameters["tokens"] = .init(run.tokens)
        parameters["learning_rate"] = .init(run.plan.optimizer.rate)
        parameters["seed"] = .string(String(run.plan.seed))
        let result: Checkpoint
        do {
            result = try setup.model.withWeights(
                of: run.model, by: Manifest.Operation(name: "heal", parameters: parameters))
        } catch {
            throw error.within("the weights can't be written")
        }
        let report = try HealingSetup.writer(setup.request).write(
            result, to: setup.request.output, isCancelled: isCancelled,
            progress: { notify(.writing(done: $0.done, total: $0.total)) })
        return report.overflows.map { ($0.tensor, $0.count) }
    }

    /// The sets by name, in the memory of the training batches.
    private func evaluate(_ isCancelled: () -> Bool) throws -> [(name: String, result: EvaluationResult)] {
        var results: [(name: String, result: EvaluationResult)] = []
        for set in sets {
            let result: EvaluationResult
            do { result = try set.evaluate(run.model, isCancelled: isCancelled) } catch {
                throw try interrupted()
            }
            notify(.evaluated(name: set.name, afterStep: run.step, result))
            results.append((set.name, result))
        }
        return results
    }
}
