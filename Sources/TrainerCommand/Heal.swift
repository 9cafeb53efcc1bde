import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Heal: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "heal",
        abstract: "Train a model on: continued pre-training.",
        discussion: """
            Reads documents, mixes them by weight and trains the model with AdamW: all of it, or what --train and \
            --freeze leave. Of a model of more than text the text model is trained, and the rest comes along. The \
            source is never changed; the result is a folder of its own, in the source's type and format, that \
            appears when the run is done.

              trainer heal my-model-dus-48 --data korean.jsonl:0.75 --replay english.jsonl:0.25 --steps 2000

            A document is a start token, its text and the model's end of text. Without --steps, --tokens or --epochs a \
            run goes on until every source was shown once, in proportion to the weights. Of each source every token is \
            shown once before any is shown again.

            A run that was stopped goes on with the same command and --resume, to the same bits. What is kept for \
            that lies beside the output, in OUT.run. SIGINT, SIGTERM, SIGHUP, SIGUSR1 and \
            SIGXCPU end the step at hand and keep the run.

            \(TextArguments.files) What came through a pipe has to be given again to go on.

            The log has a line a step: "run" (whose line it is), "step", "loss" (nats a token, before the step, and the load-balancing loss \
            where config.json asks for it), "tokens" (shown so far), "sources" \
            ({NAME: {"passes", "coverage", "tokens"}}), "lr", "grad_norm" (before clipping), \
            "seconds" (of the step).
            """)

    @Argument(help: "The model's folder.") var model = "."
    @OptionGroup(title: "Data") var data: HealData
    @OptionGroup(title: "Reading of text") var text: TextArguments
    @OptionGroup(title: "Length of the run") var extent: HealExtent
    @OptionGroup(title: "Optimizer") var optimizer: HealOptimizer
    @OptionGroup(title: "Result") var result: HealResult
    @OptionGroup var compute: ComputeOptions

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            try refuseModels(among: optimizer.train + optimizer.freeze)
            try requireModel(model)
            let setup = try HealingSetup(request()) { Interruption.signal != nil }
            if let finished = try setup.finished() { return try tell(finished, output: setup.request.output) }
            for warning in setup.warnings { warn(warning) }
            report(describe(setup))
            if result.dryRun {
                try setup.check()
                if result.json { printJSON(try JSON(encoding: HealPlanReport(setup))) }
                return
            }
            var narrator = HealNarrator()
            let run = try HealingRun(setup, isCancelled: { Interruption.signal != nil }) { narrator.tell($0) }
            for warning in run.warnings { warn(warning) }
            defer { narrator.finish() }
            let outcome = try run { Interruption.signal != nil }
            narrator.finish()
            try conclude(outcome, output: setup.request.output)
        }
    }

    /// What a run will do and take, before it does.
    private func describe(_ setup: HealingSetup) -> String {
        let (plan, memory) = (setup.plan, setup.memory)
        var table = Table(columns: [("", .left), ("", .left)])
        table.add("model", setup.request.model)
        table.add("output", setup.output.output)
        let (all, trained) = (setup.layout.parameterCount, setup.layout.trainedParameterCount)
        table.add(
            "parameters",
            Units.grouped(all) + (trained == all ? "" : ", of which \(Units.grouped(trained)) are trained"))
        table.add(
            "steps", "\(plan.steps) of \(plan.batch) × \(plan.accumulate) sequences of \(plan.length) tokens")
        for source in setup.sources { table.add("data", Self.describe(source)) }
        if let end = plan.documents?.end { table.add("end of text", String(end)) }
        let available = MemoryNeed.available.map { " of \(Units.bytes($0)) available" } ?? ""
        table.add(
            "memory",
            """
            \(Units.bytes(memory.total))\(available): weights \(Units.bytes(memory.weights)), gradients \
            \(Units.bytes(memory.gradients)), moments \(Units.bytes(memory.moments)), activations \
            \(Units.bytes(memory.activations)), data \(Units.bytes(memory.data))
            """)
        let free = setup.freeRoom.map { " of \(Units.bytes($0)) free" } ?? ""
        table.add(
            "disk",
            """
            \(Units.bytes(setup.roomNeeded))\(free): the result \(Units.bytes(setup.output.byteCount)), \
            a checkpoint \(Units.bytes(setup.checkpointBytes))
            """)
        return table.description
    }

    /// What was, or will be, shown of a source.
    private static func describe(_ source: SourceProgress) -> String {
        """
        \(source.name): \(Units.grouped(source.shown)) tokens, \(Units.fixed(source.passes, digits: 2)) passes, \
        \(Units.fixed(100 * source.coverage, digits: 1)) % of its tokens
        """
    }

    /// The request that the command line makes.
    private func request() throws -> HealingRequest {
        let steps = extent.steps ?? 1
        let plan = HealingPlan(
            steps: steps, batch: extent.batch, accumulate: extent.accumulate,
            length: try extent.length ?? (data.ids == nil ? defaultLength(of: model) : 1),
            optimizer: optimizer.settings, moments: optimizer.moments,
            gradients: optimizer.gradients ?? (extent.accumulate == 1 ? .bf16 : .f32),
            trained: TensorSelection(train: optimizer.train, freeze: optimizer.freeze),
            schedule: Schedule(
                shape: optimizer.schedule, warmup: 0, steps: steps, floor: optimizer.minLrRatio),
            seed: optimizer.seed,
            recomputation: extent.recompute, isolatesDocuments: !data.crossDocuments)
        return HealingRequest(
            model: model, fromScratch: data.fromScratch, data: data.source,
            evaluations: data.evaluations.map { ($0.name, $0.path) }, text: text.options, plan: plan,
            extent: extent.data, endOfText: data.ends.endOfText, warmup: optimizer.warmup,
            threads: compute.count,
            output: result.output ?? OutputPath.beside(model, suffix: "healed"),
            force: result.force,
            resume: result.resume, checkpointEvery: result.checkpointEvery, log: result.log,
            tool: "trainer \(Version.current)")
    }

    /// Says that the run has ended before.
    private func tell(_ finished: (steps: Int, tokens: Int), output: String) throws {
        report(
            "\(output): this run is finished, after \(finished.steps) steps; there is nothing to go on with")
        if result.json {
            printJSON(
                [
                    "output": .string(output), "steps": JSON(finished.steps), "tokens": JSON(finished.tokens),
                    "loss": .null, "before": [:], "after": [:],
                ])
        }
    }

    private func conclude(_ outcome: HealingOutcome, output: String) throws {
        for overflow in outcome.overflows {
            warn(
                "\(overflow.count) numbers of \(overflow.tensor) are too large for its type and became infinite"
            )
        }
        if result.json { return printJSON(try JSON(encoding: HealReport(outcome, output: output))) }
        for source in outcome.sources { report(Self.describe(source)) }
        if !outcome.after.isEmpty {
            var table = Table(evaluations: ["set", "when"])
            for (when, sets) in [("before", outcome.before), ("after", outcome.after)] {
                for set in sets { table.add([set.name, when] + set.result.columns) }
            }
            report(table.description)
        }
        report("\(output): healed in \(outcome.step) steps, \(Units.count(outcome.tokens)) tokens")
    }
}

/// What `heal --dry-run --json` prints.
private struct HealPlanReport: Encodable {
    let output: String
    let parameters: Int
    let trainedParameters: Int
    let steps: Int
    let tokens: Int
    let sources: [String: SourceFigures]
    let memoryBytes: Int
    let dataMemoryBytes: Int
    let availableMemoryBytes: Int?
    let outputBytes: Int
    let checkpointBytes: Int
    let diskBytes: Int
    let availableDiskBytes: Int?

    enum CodingKeys: String, CodingKey {
        case output, parameters, steps, tokens, sources
        case dataMemoryBytes = "data_memory_bytes"
        case trainedParameters = "trained_parameters"
        case memoryBytes = "memory_bytes"
        case availableMemoryBytes = "available_memory_bytes"
        case outputBytes = "output_bytes"
        case checkpointBytes = "checkpoint_bytes"
        case diskBytes = "disk_bytes"
        case availableDiskBytes = "available_disk_bytes"
    }

    init(_ setup: HealingSetup) {
        output = setup.output.output
        parameters = setup.layout.parameterCount
        trainedParameters = setup.layout.trainedParameterCount
        steps = setup.plan.steps
        sources = setup.sources.figures
        tokens = setup.sources.reduce(0) { $0 + $1.shown }
        memoryBytes = setup.memory.total
        dataMemoryBytes = setup.memory.data
        availableMemoryBytes = MemoryNeed.available
        outputBytes = setup.output.byteCount
        checkpointBytes = setup.checkpointBytes
        diskBytes = setup.roomNeeded
        availableDiskBytes = setup.freeRoom
    }
}

/// What `heal --json` prints.
private struct HealReport: Encodable {
    let output: String
    let steps: Int
    let tokens: Int
    let loss: Double?
    let sources: [String: SourceFigures]
    let before: [String: EvaluationResult]
    let after: [String: EvaluationResult]

    init(_ outcome: HealingOutcome, output: String) {
        self.output = output
        steps = outcome.step
        tokens = outcome.tokens
        loss = outcome.last?.loss
        sources = outcome.sources.figures
        before = Dictionary(outcome.before.map { ($0.name, $0.result) }) { first, _ in first }
        after = Dictionary(outcome.after.map { ($0.name, $0.result) }) { first, _ in first }
    }
}
