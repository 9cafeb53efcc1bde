import Formats
import TestSupport
import Testing

@testable import Trainer

@Suite("What became of a job's parameters, and why") struct JobExplanationTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try blankModel(in: folder)
    }

    /// A run of the blank model, whose sequences have 64 tokens and whose texts end with token 2.
    private func run(_ stages: [JSONObject] = [], change: (inout TrainingJob) -> Void = { _ in }) throws
        -> JobRun
    {
        var run = JobRun(on: folder.path, to: folder.path("healed"))
        run.job.fromScratch = true
        run.job.data = [TextSource(name: "en", path: example("data/english.val.jsonl"))]
        run.job.stages = stages.map { TrainingStage($0) }
        run.options.threads = 2
        change(&run.job)
        try run.job.check()
        return run
    }

    /// What is told of a parameter: in the whole run, or in a stage.
    private func row(_ name: String, _ stage: String? = nil, of run: JobRun) throws -> JobExplanation.Row {
        let rows = JobExplanation(of: try run.prepared()).rows
        return try #require(
            rows.first { $0.name == name && $0.stage == stage }, "\(name) of \(stage ?? "all")")
    }

    private func expect(
        _ name: String, _ stage: String? = nil, of run: JobRun, _ value: JSON, _ origin: ValueOrigin,
        _ reason: String? = nil, at location: SourceLocation = #_sourceLocation
    ) throws {
        let row = try row(name, stage, of: run)
        #expect(row.value == value && row.origin == origin, "\(row)", sourceLocation: location)
        if let reason {
            #expect(row.reason?.contains(reason) == true, "\(row)", sourceLocation: location)
        }
    }

    @Test func tellsEveryParameterOnce() throws {
        let prepared = try run().prepared()
        let rows = JobExplanation(of: prepared).rows
        #expect(rows.map(\.name) == TrainingJob.parametersBesideStages.map(\.name))
        #expect(rows.allSatisfy { $0.stage == nil })
    }

    @Test func tellsWhatWasLeftOpen() throws {
        let run = try run()
        let plan = try #require(try run.prepared().stages.first).plan
        #expect(plan.steps > 3)
        try expect("length", of: run, 64, .model, "the most that the model sees")
        try expect("epochs", of: run, 1, .default)
        try expect("steps", of: run, JSON(plan.steps), .data, "sequences of 64 tokens, 8 a step")
        try expect("tokens", of: run, .null, .default)
        try expect("warmup", of: run, JSON(plan.schedule.warmup), .rule, "a hundredth")
        try expect("embedding-lr", of: run, 1e-5, .rule, "a fifth of lr")
        try expect("gradients", of: run, "bf16", .rule, "one part")
        try expect("rope-theta", of: run, 10_000, .model)
        let end = try PretrainedModel.blank(folder.path).tokenizer().token(of: 2)
        try expect(
            "end-of-text", of: run, .string(try #require(end)), .model, "the first that config.json names")
        try expect("eval-at", of: run, [0, 1, 2, 5, 10, 20, 50, 100], .default)
        try expect("tensorboard", of: run, .string(folder.path("healed.run/tensorboard")), .rule)
        try expect("lr", of: run, 5e-5, .default)
        try expect("seed", of: run, 0, .default)
        let short = try self.run { $0.noTensorboard = true }
        try expect("tensorboard", of: short, .null, .default)
    }

    @Test func tellsWhatWasGiven() throws {
        let run = try run { job in
            (job.steps, job.length, job.accumulate, job.lr, job.batch) = (20, 32, 2, 1e-3, 8)
            (job.warmup, job.embeddingLr, job.ropeTheta, job.endOfText) = (3, 1e-4, 5e4, "2")
            (job.evalEvery, job.tensorboard) = (7, "events")
            job.eval = [TextSource(name: "en", path: example("data/english.val.jsonl"))]
        }
        for (name, value) in [
            ("steps", 20), ("length", 32), ("accumulate", 2), ("lr", 1e-3), ("warmup", 3),
            ("embedding-lr", 1e-4), ("rope-theta", 50_000), ("end-of-text", "2"), ("eval-every", 7),
            ("tensorboard", "events"),
        ] as [(String, JSON)] {
            try expect(name, of: run, value, .given)
        }
        try expect("gradients", of: run, "f32", .rule, "parts")
        // What is the default is the default, whoever typed it.
        try expect("batch", of: run, 8, .default)
        try expect("epochs", of: run, .null, .default)
        try expect("eval-at", of: run, [], .default)
        try expect("warmup", of: self.run { $0.schedule = .sqrt }, 0, .rule, "sqrt has none")
        let count = try self.run { ($0.tokens, $0.batch) = (1_000, 2) }
        try expect("tokens", of: count, 1_000, .given)
        try expect("steps", of: count, 8, .data, "16 sequences of 64 tokens, 2 a step")
    }

    @Test func tellsWhoseValuesAStageHas() throws {
        let run = try run([
            ["name": "first", "lr": 5e-5, "rope-theta": 5e4, "steps": 4],
            ["tokens": 1_024, "batch": 2, "length": 32, "keep-end": true], ["name": "last"],
        ]) { ($0.steps, $0.lr, $0.schedule) = (6, 1e-3, .constant) }
        // As long as all stages agree there is one row.
        try expect("schedule", of: run, "constant", .given)
        try expect("beta1", of: run, 0.9, .default)
        try expect("lr", "first", of: run, 5e-5, .stage)
        try expect("lr", "stage 2", of: run, 1e-3, .given)
        try expect("embedding-lr", "stage 2", of: run, 2e-4, .rule)
        try expect("steps", "first", of: run, 4, .stage)
        try expect("steps", "stage 2", of: run, 16, .data)
        try expect("tokens", "stage 2", of: run, 1_024, .stage)
        try expect("tokens", "last", of: run, .null, .default)
        try expect("steps", "last", of: run, 6, .given)
        try expect("rope-theta", "first", of: run, 5e4, .stage)
        try expect("rope-theta", "last", of: run, 50_000, .stage, "the stage before")
        try expect("seed", "first", of: run, 0, .default)
        try expect("seed", "last", of: run, 2, .rule)
        try expect("keep-end", "stage 2", of: run, true, .stage)
        try expect("keep-end", "last", of: run, .null, .default)
        let rows = JobExplanation(of: try run.prepared()).rows
        #expect(rows.filter { $0.name == "lr" }.map(\.stage) == ["first", "stage 2", "last"])
        #expect(Set(rows.map { "\($0.stage ?? "") \($0.name)" }).count == rows.count)
        let stages = rows.compactMap(\.stage)
        #expect(
            stages
                == stages.sorted {
                    run.job.stages.map(\.title).firstIndex(of: $0) ?? 1
                        < run.job.stages.map(\.title).firstIndex(of: $1) ?? 1
                })
    }

    /// What the data decides for a stage that goes on with it.
    @Test func dataThatGoesOnKeepsItsOrder() throws {
        let run = try run([["steps": 2], ["steps": 3]])
        try expect("seed", "stage 2", of: run, 0, .stage, "goes on")
    }

    @Test func rowsDecideTheLength() throws {
        let golden = GoldenModel(name: "llama")
        let (model, length) = try (golden.folder, golden.rows().length)
        var run = try run { ($0.data, $0.ids, $0.length) = ([], model + "/golden.safetensors", 7) }
        (run.model, run.job.fromScratch) = (model, false)
        #expect(length != 7)
        try expect("length", of: run, JSON(length), .data)
        try expect("end-of-text", of: run, .null, .default)
    }

    /// A run that goes on, longer, keeps the warm-up that it began with.
    @Test func aRunThatGoesOnKeepsItsWarmup() throws {
        func longer(_ steps: Int, resume: Bool) throws -> JobRun {
            var run = try run { ($0.steps, $0.schedule, $0.length, $0.batch) = (steps, .constant, 16, 1) }
            run.options.resume = resume
            return run
        }
        var taken = 0
        let loop = try TrainingLoop(try longer(8, resume: false).prepared()) {
            if case .step = $0 { taken += 1 }
        }
        #expect(throws: UserFacingError.self) { _ = try loop { taken >= 3 } }
        try expect("warmup", of: try longer(40, resume: true), 2, .checkpoint)
        try expect("warmup", of: try longer(40, resume: false), 10, .rule)
    }

    /// A dry run says what it can't know.
    @Test func missingFilesLeaveStepsOpen() throws {
        var run = try run { $0.data = [TextSource(path: "/nowhere/a.jsonl")] }
        run.options.isDryRun = true
        try expect("steps", of: run, .null, .data, "missing")
        try expect("warmup", of: run, .null, .rule)
        #expect(try run.prepared().expectedStageSeconds() == [nil])
    }

    @Test func tellsTheTimeOfEveryStage() throws {
        let run = try run([["steps": 2], ["steps": 4], ["steps": 4, "recompute": "layer"]])
        let seconds = try run.prepared().expectedStageSeconds().map { $0 ?? .nan }
        // The same products, measured once.
        #expect(seconds.count == 3 && seconds[0] > 0 && abs(seconds[1] / seconds[0] - 2) < 1e-9)
        #expect(abs(seconds[2] / seconds[1] - 4.0 / 3) < 1e-9)
    }
}
