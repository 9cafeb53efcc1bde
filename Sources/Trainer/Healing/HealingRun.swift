internal import Formats
internal import Foundation

/// Carries out a ``HealingRequest`` on an engine.
public struct HealingRun {
    private let request: HealingRequest
    private let model: PretrainedModel
    private let engine: CPUEngine
    private let run: Healing<CPUEngine>
    private let store: RunStore
    private let sets: [EvaluationSet]
    private let notify: (HealingEvent) -> Void

    /// Opens everything that the request names and takes the memory, so that what is wrong is said now.
    ///
    /// - Parameters:
    ///   - request: what to do.
    ///   - notify: told what happens.
    /// - Throws: a ``Diagnosis`` that names the file or setting.
    public init(_ request: HealingRequest, notify: @escaping (HealingEvent) -> Void) throws {
        self.request = request
        self.notify = notify
        model = request.fromScratch ? try .blank(request.model) : try .open(request.model)
        engine = try CPUEngine(threads: request.threads)
        let input = try Input(request, model)
        run = try Healing(input.plan, model.configuration, layout: model.layout, data: input.data, on: engine)
        store = RunStore(
            output: request.output,
            identity: RunIdentity(
                plan: input.plan,
                model: model.checkpoint.sources.map { .init(path: $0.name, bytes: $0.size) },
                data: input.files))
        sets = try EvaluationSet.read(request.evaluations, for: model)
        for warning in input.warnings { notify(.warning(warning)) }
        try prepare()
    }

    /// Looks whether the result can be written, and brings the run to where it begins.
    private func prepare() throws {
        try writer.check(writer.plan(result(), to: request.output))
        if let step = store.lastStep, !request.resume {
            guard request.force else { throw HealingError.unfinishedRun(folder: store.folder, step: step) }
            try store.remove()
        }
        if store.lastStep != nil {
            try store.restore(run)
        } else if request.fromScratch {
            model.initialize(run.model.weights, seed: run.plan.seed, on: engine)
        } else {
            try model.load(into: run.model.weights, on: engine)
        }
    }

    /// Takes all steps that are left and writes the healed model.
    ///
    /// - Parameter isCancelled: asked after each step; true keeps the run and ends it.
    /// - Returns: how it ended.
    /// - Throws: a ``Diagnosis``; what was kept before is then still there.
    public func callAsFunction(isCancelled: () -> Bool) throws -> HealingOutcome {
        notify(
            .started(
                step: run.step, steps: run.plan.steps, parameters: model.layout.parameterCount,
                tokensPerStep: run.plan.batch * run.plan.accumulate * run.plan.length))
        let before = run.step == 0 ? try evaluate() : []
        let log = try request.log.map { try StepLog(path: $0, keepingUpTo: run.step) }
        var last: StepReport?
        while run.step < run.plan.steps {
            let report = try run.takeStep()
            try log?.write(report)
            notify(.step(report))
            last = report
            let stops = isCancelled()
            let isDue = request.checkpointEvery > 0 && run.step % request.checkpointEvery == 0
            if stops || (isDue && run.step < run.plan.steps) { try keep() }
            if stops { return outcome(stopped: true, last, before: before, after: [], overflows: []) }
        }
        let after = try evaluate()
        let overflows = try publish()
        return outcome(stopped: false, last, before: before, after: after, overflows: overflows)
    }

    private func outcome(
        stopped: Bool, _ last: StepReport?, before: [(String, EvaluationResult)],
        after: [(String, EvaluationResult)], overflows: [(String, Int)]
    ) -> HealingOutcome {
        HealingOutcome(
            step: run.step, tokens: run.tokens, wasStopped: stopped, last: last, before: before, after: after,
            overflows: overflows)
    }

    private func keep() throws {
        try store.save(run)
        notify(.kept(step: run.step, folder: store.folder))
    }

    /// Writes the healed model and forgets the run; if it cannot be written, the run is kept.
    private func publish() throws -> [(String, Int)] {
        do {
            let report = try writer.write(
                result(), to: request.output,
                progress: { progress in
                    notify(.writing(done: progress.done, total: progress.total))
                })
            try store.remove()
            return report.overflows.map { ($0.tensor, $0.count) }
        } catch {
            try keep()
            throw error
        }
    }

    private var writer: CheckpointWriter {
        CheckpointWriter(options: WriteOptions(force: request.force, tool: request.tool))
    }

    private func result() throws -> Checkpoint {
        var parameters = JSONObject()
        parameters["steps"] = .init(run.plan.steps)
        parameters["tokens"] = .init(run.tokens)
        parameters["learning_rate"] = .init(run.plan.optimizer.rate)
        parameters["seed"] = .string(String(run.plan.seed))
        return try model.withWeights(
            run.model.weights, on: engine, by: Manifest.Operation(name: "heal", parameters: parameters))
    }

    private func evaluate() throws -> [(String, EvaluationResult)] {
        guard !sets.isEmpty else { return [] }
        let plan = ActivationPlan(
            model.configuration, batch: run.plan.batch, time: run.plan.length, recomputation: nil)
        let evaluated = try Transformer(sharingWeightsOf: run.model, plan: plan)
        return sets.map { set in
            let result = set.evaluate(evaluated)
            notify(.evaluated(name: set.name, afterStep: run.step, result))
            return (set.name, result)
        }
    }
}

/// A request's data, opened, and the plan that follows from it.
private struct Input {
    let plan: HealingPlan
    let data: any TrainingData
    let files: [RunIdentity.File]
    var warnings: [String] = []

    init(_ request: HealingRequest, _ model: PretrainedModel) throws {
        var plan = request.plan
        let rows = model.configuration.vocabularySize
        switch request.data {
        case .rows(let path):
            let tokens = try TokenRows(path: path, rows: rows)
            plan.length = tokens.length
            data = tokens
            files = [RunIdentity.File(path: path, bytes: try SourceFile(path: path).size)]
        case .text(let sources):
            data = try MixedText(
                sources, tokenizer: model.tokenizer(), rows: rows, endOfText: model.endOfText,
                length: plan.length,
                isolatesDocuments: plan.isolatesDocuments, seed: plan.seed)
            files = try sources.map {
                RunIdentity.File(path: $0.path, bytes: try SourceFile(path: $0.path).size, weight: $0.weight)
            }
            warnings = Self.warnings(request, sources, model)
        }
        if let tokens = request.tokens {
            let step = plan.batch * plan.accumulate * plan.length
            plan.steps = (tokens + step - 1) / step
        }
        plan.schedule.steps = plan.steps
        plan.schedule.warmup = request.warmup ?? min(max(10, plan.steps / 100), plan.steps / 4)
        if plan.length > model.configuration.maximumLength {
            throw ModelError.tooLong(
                path: request.model, length: plan.length, maximum: model.configuration.maximumLength)
        }
        self.plan = plan
    }

    private static func warnings(
        _ request: HealingRequest, _ sources: [TextSource], _ model: PretrainedModel
    ) -> [String] {
        guard !request.fromScratch else { return [] }
        var warnings: [String] = []
        if !sources.contains(where: \.isReplay) {
            warnings.append(
                """
                no source is marked as the model's original domain; without some of it a model forgets what it \
                knew. Add --replay FILE[:WEIGHT], 5 % for a similar domain, 25 % for another language
                """)
        }
        if model.looksInstructionTuned {
            warnings.append(
                """
                \(request.model) has a chat template, so it looks instruction-tuned; continued pre-training \
                undoes such tuning. Heal the base model and tune the result
                """)
        }
        return warnings
    }
}
