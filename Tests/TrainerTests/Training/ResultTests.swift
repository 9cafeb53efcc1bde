import Formats
import Foundation
import OrderedCollections
import TestSupport
import Testing

@testable import Trainer

@Suite("What a run keeps, ends by and makes") struct ResultTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try blankModel(in: folder)
    }

    /// The golden Llama, all of it in float32, on its rows: `model.layers.1` only, so that little is written.
    private func run(_ output: String, steps: Int = 6, lr: Double = 1e-2) throws -> JobRun {
        let model = try GoldenModel(name: "llama").folder
        var run = JobRun(on: model, to: folder.path(output))
        run.job.ids = model + "/golden.safetensors"
        (run.job.steps, run.job.batch, run.job.lr, run.job.moments) = (steps, 2, lr, .f32)
        (run.job.schedule, run.job.warmup, run.job.gradients) = (.constant, 0, .f32)
        (run.job.train, run.job.noTensorboard) = (["model.layers.1.*"], true)
        (run.job.checkpointEvery, run.options.threads) = (1, 2)
        return run
    }

    /// A run on text with a set, from random weights.
    private func textRun(_ output: String, steps: Int = 8, lr: Double = 1e-2) -> JobRun {
        var run = JobRun(on: folder.path, to: folder.path(output))
        run.job.fromScratch = true
        run.job.data = [TextSource(name: "en", path: example("data/english.val.jsonl"))]
        run.job.eval = [TextSource(name: "set", path: example("data/korean.val.jsonl"))]
        (run.job.steps, run.job.batch, run.job.length, run.job.lr) = (steps, 2, 24, lr)
        (run.job.schedule, run.job.warmup, run.job.checkpointEvery) = (.constant, 0, 0)
        (run.job.noTensorboard, run.options.threads) = (true, 2)
        return run
    }

    private func kept(_ output: String) throws -> [String] {
        try folder.names("\(output).run").filter { $0.hasPrefix("step-") }
    }

    private func values(_ path: String, prefix: String = "") throws -> [String: [Float]] {
        try Checkpoint.open(folder.path(path)).tensors.reduce(into: [:]) { values, entry in
            guard entry.key.hasPrefix(prefix) else { return }
            values[String(entry.key.dropFirst(prefix.count))] = try entry.value.floats()
        }
    }

    @Test func theLastCheckpointsStay() throws {
        var run = try run("kept")
        run.job.keep = 2
        _ = try run()
        #expect(try kept("kept") == ["step-000005", "step-000006"])
        // What the last one has is the result.
        let result = try values("kept")
        for (name, values) in try values("kept.run/step-000006", prefix: "weights/") {
            #expect(result[name] == values, "\(name)")
        }
        run.output = folder.path("none")
        run.job.keep = nil
        _ = try run()
        #expect(try kept("none").isEmpty)
    }

    /// A run that is stopped in an evaluation, in the middle of a stage or at its end, evaluates when it goes on.
    @Test(arguments: [2, 4, 6]) func anEvaluationThatWasStoppedIsNotLeftOut(step: Int) throws {
        func run(_ output: String) -> JobRun {
            var run = textRun(output)
            (run.job.stages, run.job.evalEvery) = (
                [TrainingStage(["steps": 4]), TrainingStage(["steps": 4])], 2
            )
            run.options.resume = true
            return run
        }
        _ = try run("straight")()
        final class Flag { var isUp = false }
        func stop() throws {
            let flag = Flag()
            let loop = try TrainingLoop(run("stopped").prepared()) { event in
                if case .step(let report) = event, report.step == step { flag.isUp = true }
            }
            #expect(throws: UserFacingError.self) { _ = try loop { flag.isUp } }
        }
        try stop()
        #expect(try kept("stopped") == ["step-00000\(step)"])
        _ = try run("stopped")()
        let histories = try ["straight", "stopped"].map { try RunHistory.find(folder.path($0)) }
        #expect(histories[0].evaluations.map(\.step) == [0, 2, 4, 6, 8])
        #expect(histories[1].evaluations.map(\.step) == [0, 2, 4, 6, 8])
        #expect(histories[0].evaluations.map(\.result.loss) == histories[1].evaluations.map(\.result.loss))
    }

    private func stop(_ run: JobRun, after steps: Int) throws {
        final class Counter { var value = 0 }
        let taken = Counter()
        let loop = try TrainingLoop(run.prepared()) { if case .step = $0 { taken.value += 1 } }
        #expect(throws: UserFacingError.self) { _ = try loop { taken.value >= steps } }
    }

    /// A run that was stopped after two steps, and what resuming it with other settings is refused with.
    private func refusals(
        of run: JobRun, _ changes: [(inout JobRun) throws -> Void]
    ) throws -> [String] {
        try stop(run, after: 2)
        return try changes.map { change in
            var other = run
            other.options.resume = true
            try change(&other)
            do { _ = try TrainingLoop(other.prepared()) { _ in } } catch { return "\(error)" }
            return ""
        }
    }

    /// Figures of a set are put beside each other, so it must be the same set, whatever lies in its file by then.
    @Test func goesOnWithTheSameSetsOnly() throws {
        let korean = try folder.copy(of: example("data/korean.val.jsonl"), as: "set.jsonl")
        let same = try folder.copy(of: korean, as: "same.jsonl")
        var run = textRun("run")
        run.job.eval = [TextSource(name: "set", path: korean)]
        let refusals = try refusals(
            of: run,
            [
                { $0.job.eval = [TextSource(name: "set", path: same)] },
                { $0.job.eval = [TextSource(name: "korean", path: korean)] },
                { $0.job.eval.append(TextSource(name: "en", path: example("data/english.val.jsonl"))) },
                { $0.job.eval = [] },
                { _ in
                    try FileManager.default.removeItem(atPath: korean)
                    _ = try folder.copy(of: example("data/english.val.jsonl"), as: "set.jsonl")
                },
            ])
        #expect(refusals[0] == "")
        #expect(refusals[1].contains("the set 'korean' is new; the set 'set' is missing"))
        #expect(refusals[2].contains("other settings: the set 'en' is new. Resume"))
        #expect(refusals[3].contains("other settings: the set 'set' is missing. Resume"))
        #expect(refusals[4].contains("the set 'set' has other text than when the run began. Resume"))
    }

    /// What a run goes by is what it began with; what only says where it stands may be another.
    @Test func goesOnByTheSameRulesOnly() throws {
        let refused = try refusals(
            of: textRun("run"),
            [
                { $0.job.result = .best }, { $0.job.patience = 2 },
                { ($0.job.untilHealed, $0.job.healedBy) = (true, ["set"]) },
                { $0.job.guarding = .rollback },
            ])
        for (message, rule) in zip(refused, ["result is \"best\"", "patience is 2", "until-healed is"]) {
            #expect(message.contains("\(rule)") && message.contains("was not given"), "\(message)")
        }
        #expect(refused[3].contains("checkpoint-every is 0, was not given"))
        let allowed = try refusals(
            of: textRun("other"),
            [
                { $0.job.evalEvery = 3 }, { $0.job.checkpointEvery = 2 }, { $0.job.keep = 2 },
                { $0.job.keepBest = true }, { $0.job.maxTime = "1h" },
            ])
        #expect(allowed == ["", "", "", "", ""])
        var judged = textRun("judged")
        judged.job.patience = 3
        let often = try refusals(of: judged, [{ $0.job.evalEvery = 3 }, { _ in }])
        #expect(
            often[0].contains(#"evaluated is "every 3 steps", was "after 0, 1, 2, 5, 10, 20, 50, 100 %""#))
        #expect(often[1] == "")
    }

    /// What other files say of how tokenizer.json encodes text counts, and nothing else in them.
    @Test func goesOnWithTheSameTokensOnly() throws {
        let settings = "tokenizer_config.json"
        try folder.write(settings, #"{"split_special_tokens": false}"#)
        var run = textRun("run")
        run.job.eval = []
        let refusals = try refusals(
            of: run,
            [
                { _ in try folder.write(settings, #"{"chat_template": "a"}"#) },
                { _ in try folder.write(settings, #"{"split_special_tokens": true}"#) },
                { _ in
                    try folder.write(
                        settings,
                        #"{"added_tokens_decoder": {"1024": {"content": "<new>", "special": true}}}"#)
                },
            ])
        #expect(refusals[0] == "")
        let name = "model.tokenizer_config.json:"
        #expect(refusals[1].contains("\(name) split_special_tokens is \"true\", was not given"))
        #expect(refusals[2].contains("\(name) added_tokens is"), "\(refusals[2])")
        // Nor is a model made of a checkpoint that reads text in another way.
        try folder.write(settings, #"{"split_special_tokens": true}"#)
        let step = folder.path("run.run/step-000002")
        let export = #expect(throws: UserFacingError.self) {
            try CheckpointExport(step, to: folder.path("exported"))
        }
        #expect(export?.message.contains("other tokenizer_config.json: split_special_tokens") == true)
    }

    /// From an older checkpoint the run is the same run.
    @Test func anyCheckpointIsGoneOnFrom() throws {
        _ = try run("straight")()
        var run = try run("run")
        run.job.keep = 3
        final class Counter { var value = 0 }
        func stop() throws {
            let taken = Counter()
            let loop = try TrainingLoop(run.prepared()) { if case .step = $0 { taken.value += 1 } }
            #expect(throws: UserFacingError.self) { _ = try loop { taken.value >= 5 } }
        }
        try stop()
        #expect(try kept("run") == ["step-000003", "step-000004", "step-000005"])
        (run.options.resume, run.options.atStep) = (true, 2)
        let error = #expect(throws: UserFacingError.self) { try run() }
        #expect(error?.message.contains("no checkpoint of step 2 is kept; there are 3, 4, 5") == true)
        run.options.atStep = 3
        var steps: [Int] = []
        try run { if case .step(let step) = $0 { steps.append(step.step) } }
        #expect(steps == [4, 5, 6])
        let (one, other) = (try values("straight"), try values("run"))
        #expect(one == other)
    }

    /// A stage that moves nothing has the average that it began with: its weights, not the average of the stage before.
    @Test func anAverageBeginsWithItsStage() throws {
        for (name, result) in [("mean", RunResult.average), ("last", .last)] {
            var run = try run(name)
            run.job.stages = [
                TrainingStage(["steps": 3]), TrainingStage(["steps": 2, "lr": 0, "embedding-lr": 0]),
            ]
            (run.job.steps, run.job.result) = (nil, result)
            if result == .average { run.job.averageDecay = 0.5 }
            try run()
        }
        #expect(try values("mean") == values("last"))
    }

    /// The running average is what the weights of all steps make it.
    @Test func theAverageIsOfAllSteps() throws {
        var run = try run("average")
        (run.job.result, run.job.averageDecay, run.job.keep) = (.average, 0.5, 100)
        let outcome = try run()
        let model = try Checkpoint.open(run.model)
        let result = try values("average")
        let names = try values("average.run/step-000001", prefix: "weights/").keys
        #expect(names.count == 9 && outcome.resultStep == 6)
        for name in names {
            var average = try #require(model[name]).floats()
            for step in 1...6 {
                let weights = try #require(values("average.run/step-00000\(step)", prefix: "weights/")[name])
                for index in average.indices { average[index] = average[index] * 0.5 + weights[index] * 0.5 }
            }
            #expect(try #require(result[name]).map(\.bitPattern) == average.map(\.bitPattern), "\(name)")
        }
        // Stopped in the middle it is the same.
        run.output = folder.path("pieces")
        run.options.resume = true
        final class Counter { var value = 0 }
        let taken = Counter()
        do {
            let loop = try TrainingLoop(run.prepared()) { if case .step = $0 { taken.value += 1 } }
            #expect(throws: UserFacingError.self) { _ = try loop { taken.value >= 3 } }
        }
        _ = try run()
        #expect(try values("pieces") == result)
    }

    /// A rate that first teaches and then breaks: the best is neither the first evaluation nor the last.
    @Test func theBestBecomesTheResult() throws {
        var run = textRun("best", steps: 12)
        run.job.schedule = .joined
        run.job.pieces = ["constant 6 0.3", "constant rest 1"]
        (run.job.warmup, run.job.lr, run.job.result, run.job.evalEvery) = (nil, 0.3, .best, 2)
        var means: [Int: Double] = [:]
        let outcome = try run {
            if case .evaluated(_, let step, let result) = $0 { means[step] = result.bitsPerByte }
        }
        #expect(means.keys.sorted() == [0, 2, 4, 6, 8, 10, 12])
        let best = try #require(means.filter { $0.key > 0 }.min { $0.value < $1.value })
        #expect(best.key < 12 && outcome.resultStep == best.key)
        #expect(outcome.after[0].result.bitsPerByte == best.value)
        let healed = try EvaluationRequest(
            model: folder.path("best"), sets: [("set", example("data/korean.val.jsonl"))], length: 24,
            threads: 2
        ).run().sets[0].result
        #expect(try abs(#require(healed.bitsPerByte) - best.value) < 0.02 * best.value)
        #expect(try kept("best").isEmpty)
        // The manifest knows what the weights began with, and nothing of the checkpoint, which is gone.
        let manifest = try Manifest.read(path: folder.path("best/surgery.json"))
        #expect(manifest.lineage.values.allSatisfy { $0.kind == .computed } && !manifest.lineage.isEmpty)
        #expect(!String(decoding: try folder.bytes("best/surgery.json"), as: UTF8.self).contains("best.run"))
    }

    @Test func patienceEndsTheRun() throws {
        var run = textRun("patience", steps: 40, lr: 0.3)
        (run.job.patience, run.job.evalEvery) = (2, 2)
        let outcome = try run()
        #expect(outcome.end == .patience && outcome.step < 40 && outcome.step.isMultiple(of: 2))
        #expect(FileSystem.exists(folder.path("patience/model.safetensors")))
        run.options.resume = true
        #expect(try run.prepared().finished()?.steps == outcome.step)
    }

    @Test func aRunWhoseTimeIsOverIsKept() throws {
        var run = textRun("time", steps: 10_000)
        (run.job.maxTime, run.job.eval) = ("3s", [])
        let error = #expect(throws: UserFacingError.self) { try run() }
        #expect(error?.kind == .interrupted)
        #expect(
            error?.message.contains(/stopped after 3s \(--max-time\); step [0-9]+ of the run is kept/) == true
        )
        #expect(try kept("time").count == 1)
    }

    @Test(arguments: [
        ("90s", 90.0), ("45m", 2_700), ("3h30m", 12_600), ("2d", 172_800), ("1d1h1m1s", 90_061),
    ])
    func timesAreRead(text: String, seconds: Double) throws {
        #expect(try RunTime(text, of: "max-time").seconds == seconds)
    }

    @Test(arguments: ["", "3", "0s", "3 h", "30m3h", "-1s", "1.5h"])
    func otherTimesAreRefused(text: String) {
        #expect(throws: UserFacingError.self) { try RunTime(text, of: "max-time") }
    }

    @Test func whatContradictsItselfIsNamed() throws {
        func message(_ change: (inout TrainingJob) -> Void) -> String {
            var job = textRun("x").job
            change(&job)
            do {
                try job.check(prefix: "--")
                return ""
            } catch { return error.message }
        }
        #expect(message { ($0.evalAt, $0.evalEvery) = ([1], 2) }.contains("--eval-at and --eval-every"))
        #expect(message { $0.evalEvery = 0 }.contains("1 or more steps"))
        #expect(message { ($0.eval, $0.patience) = ([], 3) }.contains("--patience goes by evaluations"))
        #expect(message { ($0.eval, $0.result) = ([], .best) }.contains("--result best goes by evaluations"))
        #expect(message { $0.averageDecay = 0.9 }.contains("--average-decay is of --result average"))
        #expect(message { $0.healedBy = ["sat"] }.contains("did you mean set?"))
        #expect(message { $0.untilHealed = true }.contains("--healed-by"))
        #expect(message { ($0.lr, $0.embeddingLr) = (0, 1e-3) }.contains("share of --lr, which is 0"))
        #expect(message { $0.keep = 0 }.contains("--keep must be 1 or more"))
        #expect(message { $0.maxTime = "soon" }.contains("--max-time is a time"))
    }
}
