import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("Stages of a run") struct StageTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// The golden Llama with layers 0, 1, 1, 2 and 40 more rows, not written.
    private func grown() throws -> Checkpoint {
        var resize = VocabularyChange()
        resize.size = 251
        return try GoldenModel(name: "llama").checkpoint().applying(DepthUpScaling(to: 4)).checkpoint
            .applying(resize).checkpoint
    }

    private func run(
        _ output: String, stages: [JSONObject], moments: MomentPrecision = .f32, resume: Bool = false,
        checkpointEvery: Int = 0
    ) throws -> JobRun {
        let model = try grown()
        var run = JobRun(on: model.path, to: folder.path(output))
        run.checkpoint = model
        run.job.ids = try fixture("groups/rows.safetensors")
        (run.job.steps, run.job.batch, run.job.lr, run.job.embeddingLr) = (3, 2, 3e-3, 3e-3)
        (run.job.schedule, run.job.warmup, run.job.moments, run.job.gradients) = (.constant, 0, moments, .f32)
        (run.job.checkpointEvery, run.job.stages) = (checkpointEvery, stages.map { TrainingStage($0) })
        (run.options.threads, run.options.resume) = (2, resume)
        try run.job.check()
        return run
    }

    /// EEVE's seven, each of a few steps.
    private static let eeve: [JSONObject] = [
        ["groups": ["new-input-rows: rate=1", "rest: freeze"]],
        ["groups": ["new-output-rows: rate=1", "rest: freeze"]],
        ["groups": ["new-rows: rate=1", "rest: freeze"]],
        ["groups": ["head: rate=1", "rest: freeze"]],
        ["groups": ["new-input-rows: rate=1", "head: rate=1", "rest: freeze"], "steps": 2],
        ["lr": 1e-3],
        ["groups": ["embeddings: freeze", "head: freeze"], "steps": 4, "beta2": 0.98],
    ]

    /// Rows that one stage has trained and the next one freezes have moments, and stay what they are all the same.
    @Test func rowsThatAreFrozenLaterStay() throws {
        try run("first", stages: [["steps": 3]])()
        try run("both", stages: [["steps": 3], ["groups": ["old-rows: freeze"]]])()
        let (first, both) = (
            try Checkpoint.open(folder.path("first")).tensors,
            try Checkpoint.open(folder.path("both")).tensors
        )
        for name in ["model.embed_tokens.weight", "lm_head.weight"] {
            let (old, new) = (try #require(first[name]), try #require(both[name]))
            #expect(try old.rows(0..<211).floats() == new.rows(0..<211).floats(), "\(name)")
            #expect(try old.rows(211..<251).floats() != new.rows(211..<251).floats(), "\(name)")
        }
    }

    /// A running average of rows that are not moved has their bits.
    @Test func frozenRowsOfAnAverageStay() throws {
        var run = try run("mean", stages: [["steps": 6, "groups": ["old-rows: freeze"]]])
        run.job.result = .average
        try run()
        let (before, after) = (
            try grown().tensors, try Checkpoint.open(folder.path("mean")).tensors
        )
        for name in ["model.embed_tokens.weight", "lm_head.weight"] {
            let (old, new) = (try #require(before[name]), try #require(after[name]))
            #expect(try old.rows(0..<211).floats() == new.rows(0..<211).floats(), "\(name)")
            #expect(try old.rows(211..<251).floats() != new.rows(211..<251).floats(), "\(name)")
        }
    }

    private func bytes(_ output: String) throws -> Data {
        try Data(contentsOf: URL(filePath: folder.path("\(output)/model.safetensors")))
    }

    /// Stops a run after every `count` steps until it is done; how often it was stopped.
    private func inPieces(of count: Int, _ run: (Bool) throws -> JobRun) throws -> Int {
        try run(true).stopped(afterEvery: count).stops
    }

    private func stop(_ run: JobRun, after count: Int) throws {
        final class Counter { var value = 0 }
        let taken = Counter()
        let loop = try TrainingLoop(run.prepared()) { if case .step = $0 { taken.value += 1 } }
        #expect(throws: UserFacingError.self) { _ = try loop { taken.value >= count } }
    }

    /// What no stage has moved keeps the source's bytes, and a run stopped after every step ends with the same ones.
    @Test(arguments: MomentPrecision.allCases) func sevenStages(moments: MomentPrecision) throws {
        var told: [String] = []
        var steps: [Int] = []
        let outcome = try run("straight", stages: Self.eeve, moments: moments)() { event in
            if case .stage(let number, let count, let title, let step, _) = event {
                told.append("\(number)/\(count) \(title) \(step)")
            }
            if case .step(let report) = event { steps.append(report.step) }
        }
        #expect(told == [0, 3, 6, 9, 12, 14, 17].enumerated().map { "\($0 + 1)/7 stage \($0 + 1) \($1)" })
        #expect(steps == Array(1...21) && outcome.step == 21)
        #expect(outcome.tokens == 21 * 2 * 24 && outcome.last?.tokens == outcome.tokens)
        for count in moments == .f32 ? [1, 2, 5] : [2] {
            let stops = try inPieces(of: count) {
                try run("pieces-\(count)", stages: Self.eeve, moments: moments, resume: $0)
            }
            #expect(stops >= 20 / count)
            #expect(try bytes("pieces-\(count)") == bytes("straight"))
        }
    }

    /// Rows and tensors that stages leave alone, to the bit.
    @Test func whatIsFrozenInEveryStageStays() throws {
        let model = try grown()
        _ = try run("healed", stages: Array(Self.eeve.prefix(3)))()
        let healed = try Checkpoint.open(folder.path("healed"))
        for (name, tensor) in model.tensors {
            let after = try #require(healed[name])
            guard ["model.embed_tokens.weight", "lm_head.weight"].contains(name) else {
                #expect(try tensor.floats().map(\.bitPattern) == after.floats().map(\.bitPattern), "\(name)")
                continue
            }
            let old = try (tensor.rows(0..<211).floats(), after.rows(0..<211).floats())
            #expect(old.0.map(\.bitPattern) == old.1.map(\.bitPattern), "\(name)")
            #expect(try tensor.rows(211..<251).floats() != after.rows(211..<251).floats(), "\(name)")
        }
    }

    /// Six stages with groups, rates, numbers and schedules of their own: the losses of PyTorch's AdamW, whose state goes
    /// on where a tensor is trained in two stages that follow each other.
    @Test func lossesArePyTorchs() throws {
        let json = try JSON.read(path: fixture("stages/stages.json"))
        let expected = json["losses"]?.array?.compactMap(\.double) ?? []
        let rates = json["rates"]?.array?.compactMap(\.double) ?? []
        let steps = try #require(json["steps"]?.object)
        var run = try run("out", stages: json["stages"]?.array?.compactMap(\.object) ?? [])
        run.job.keep = 1
        var reports: [StepReport] = []
        _ = try run { if case .step(let report) = $0 { reports.append(report) } }
        #expect(reports.count == 50 && expected.count == 50 && rates.count == 50)
        for (report, (loss, rate)) in zip(reports, zip(expected, rates)) {
            #expect(abs(report.loss - loss) <= 1e-5 * loss, "step \(report.step): \(report.loss), \(loss)")
            #expect(abs(report.lr - rate) <= 1e-12, "step \(report.step): \(report.lr), \(rate)")
        }
        // How often each operand was updated, as its first tensor is called.
        let ages = try CheckpointStore.Kept.read(folder.path("out.run/step-000050")).progress.ages
        #expect(ages.count >= 14)
        for (name, age) in ages { #expect(steps[name]?.int == age, "\(name)") }
    }

    /// Rows that a stage freezes keep what the stage before has made of them, to the bit, though they had moments.
    @Test(arguments: MomentPrecision.allCases) func rowsThatWereTrainedAreFrozen(moments: MomentPrecision)
        throws
    {
        var run = try run(
            "out", stages: [["keep-end": true], ["groups": ["old-rows: freeze"]]], moments: moments)
        run.job.keep = 1
        _ = try run()
        func rows(_ step: Int, _ name: String, _ rows: Range<Int>) throws -> [UInt32] {
            let kept = try CheckpointStore.Kept.read(folder.path("out.run/step-00000\(step)"))
            return try #require(kept.masters[name]).rows(rows).floats().map(\.bitPattern)
        }
        for name in ["model.embed_tokens.weight", "lm_head.weight"] {
            #expect(try rows(3, name, 0..<211) == rows(6, name, 0..<211), "\(name)")
            #expect(try rows(3, name, 211..<251) != rows(6, name, 211..<251), "\(name)")
        }
    }

    /// Also the last stage's end stays, where it should.
    @Test func theEndOfTheLastStageStays() throws {
        _ = try run("out", stages: [["steps": 1], ["steps": 2, "keep-end": true]])()
        #expect(try folder.names("out.run").filter { $0.hasPrefix("step-") } == ["step-000003"])
        _ = try run("none", stages: [["steps": 1, "keep-end": false], ["steps": 2]])()
        #expect(try !folder.names("none.run").contains { $0.hasPrefix("step-") })
    }

    /// Two stages that are alike are one run of as many steps: the moments, their bias correction and the weights, in
    /// float32, come across.
    @Test(arguments: MomentPrecision.allCases) func stagesThatAreAlikeAreOne(moments: MomentPrecision) throws
    {
        var one = try run("one", stages: [], moments: moments)
        one.job.steps = 6
        var losses: [[Double]] = [[], []]
        _ = try one { if case .step(let report) = $0 { losses[0].append(report.loss) } }
        _ = try run("two", stages: [["steps": 3], ["steps": 3]], moments: moments)() {
            if case .step(let report) = $0 { losses[1].append(report.loss) }
        }
        // A step takes both rows that there are, so the second stage sees what the first run's later steps see.
        #expect(losses[0].count == 6 && losses[0] == losses[1])
        #expect(try bytes("one") == bytes("two"))
    }

    /// A stage on the texts of the one before goes on in them, and one on others, or of another length, begins anew.
    @Test func theSameTextsGoOn() throws {
        try blankModel(in: folder)
        func run(_ output: String, _ stages: [JSONObject], steps: Int = 6, resume: Bool = false) -> JobRun {
            var run = JobRun(on: folder.path, to: folder.path(output))
            run.job.fromScratch = true
            run.job.data = [
                TextSource(name: "en", path: example("data/english.val.jsonl"), weight: 3),
                TextSource(name: "ko", path: example("data/korean.val.jsonl"), weight: 1),
            ]
            (run.job.steps, run.job.batch, run.job.length) = (steps, 2, 24)
            (run.job.schedule, run.job.warmup, run.job.checkpointEvery) = (.constant, 0, 0)
            (run.job.stages, run.options.resume) = (stages.map { TrainingStage($0) }, resume)
            return run
        }
        let one = try run("one", [])()
        let two = try run("two", [["steps": 2], ["tokens": 192]])()
        #expect(try bytes("one") == bytes("two"))
        #expect(one.sources == two.sources && two.tokens == 6 * 48)
        let planned = try run("planned", [["steps": 2], ["tokens": 192]]).prepared()
        #expect(planned.sources == two.sources && planned.stages.map(\.goesOn) == [false, true])
        _ = try inPieces(of: 1) { run("pieces", [["steps": 2], ["tokens": 192]], resume: $0) }
        #expect(try bytes("pieces") == bytes("one"))
        let others = run("others", [["steps": 2], ["steps": 2, "length": 32], ["steps": 1, "length": 32]])
        #expect(try others.prepared().stages.map(\.goesOn) == [false, false, true])
        #expect(try others().tokens == 2 * 48 + 3 * 64)
    }

    /// A checkpoint of one run is where another begins.
    @Test func aRunBeginsWithACheckpointOfAnother() throws {
        var first = try run("first", stages: [["name": "stable"], ["name": "anneal", "schedule": "linear"]])
        try stop(first, after: 3)
        let step = folder.path("first.run/step-000003")
        #expect(FileSystem.exists(step))
        var next = try run("next", stages: [])
        next.job.from = step
        next.job.schedule = .linear
        _ = try next()
        #expect(
            try Manifest.read(path: folder.path("next/surgery.json")).operations.last?.parameters["from"]?
                .string?.hasSuffix("step 3") == true)
        let made = try bytes("next")
        next.job.moments = .int8
        next.output = folder.path("other")
        let error = #expect(throws: UserFacingError.self) { try next() }
        #expect(error?.message.contains("give --moments f32") == true, "\(error?.message ?? "")")
        // The same as what the first run goes on with.
        first.options.resume = true
        _ = try first()
        #expect(try made == bytes("first"))
        next.job.from = folder.path("first")
        let none = #expect(throws: UserFacingError.self) { try next.prepared() }
        #expect(none?.message.contains("is no checkpoint of a run") == true, "\(none?.message ?? "")")
    }

    /// Weights that were trained with another rotary base are refused, unless the run goes over to a base of its own.
    @Test func aCheckpointWithAnotherRotaryBaseIsRefused() throws {
        var first = try run("first", stages: [])
        first.job.ropeTheta = 20_000
        try stop(first, after: 1)
        var next = try run("next", stages: [])
        next.job.from = folder.path("first.run/step-000001")
        let error = try #require(#expect(throws: UserFacingError.self) { try next.prepared() })
        #expect(error.message.contains("was trained with --rope-theta 20000.0; give the same"))
        next.job.ropeTheta = 30_000
        _ = try next.prepared()
    }

    /// Weights of one model are not mixed with those of another of the same shape.
    @Test func aCheckpointGoesWithItsModelOnly() throws {
        var first = try run("first", stages: [])
        (first.job.train, first.job.keep) = (["model.layers.1.*"], 1)
        _ = try first()
        var next = try run("next", stages: [])
        next.job.from = folder.path("first.run/step-000003")
        let head = try #require(next.checkpoint?.tensors["lm_head.weight"])
        next.checkpoint?.tensors["lm_head.weight"] = try .zeros(head.type, shape: head.shape)
        let error = try #require(#expect(throws: UserFacingError.self) { try next() })
        #expect(error.message.contains("other values of tensors that the run did not train"))
        next.checkpoint?.tensors["lm_head.weight"] = head
        _ = try next()
    }

    /// What is never trained would not be kept.
    @Test func nothingIsFrozenFromScratch() throws {
        try blankModel(in: folder)
        var run = JobRun(on: folder.path, to: folder.path("scratch"))
        run.job.fromScratch = true
        run.job.data = [TextSource(name: "en", path: example("data/english.val.jsonl"), weight: 1)]
        (run.job.steps, run.job.batch, run.job.length) = (2, 2, 24)
        let part = TrainingStage(["name": "part", "freeze": ["model.norm.weight"]])
        run.job.stages = [TrainingStage(["name": "all"]), part]
        _ = try run.prepared()
        run.job.stages = [part]
        let error = try #require(#expect(throws: UserFacingError.self) { try run.prepared() })
        #expect("\(error)".hasPrefix("the stage 'part': from-scratch begins with random weights"))
        #expect(error.message.contains("and model.norm.weight is; train all of it"))
    }

    /// A schedule of a stage's own leaves out what belongs to the job's; what the stage says itself must fit.
    @Test func aStageHasAScheduleOfItsOwn() throws {
        var job = TrainingJob()
        (job.ids, job.schedule, job.warmup, job.holdRatio) = ("rows.safetensors", .infinite, 100, 0.7)
        func stage(_ parameters: JSONObject) -> TrainingJob {
            job.stages = [TrainingStage(parameters)]
            return job.stageJobs[0]
        }
        let anneal = stage(["schedule": "sqrt"])
        #expect(anneal.warmup == nil && anneal.holdRatio == TrainingJob().holdRatio)
        try job.check()
        #expect(stage(["schedule": "linear"]).warmup == 100)
        #expect(stage(["schedule": "infinite"]).holdRatio == 0.7 && stage([:]).holdRatio == 0.7)
        (job.schedule, job.holdRatio, job.warmup) = (.joined, TrainingJob().holdRatio, nil)
        job.pieces = ["constant rest 1"]
        #expect(stage(["schedule": "cosine"]).pieces.isEmpty && stage([:]).pieces == job.pieces)
        try job.check()
        job.stages = [TrainingStage(["schedule": "sqrt", "warmup": 3])]
        let error = #expect(throws: UserFacingError.self) { try job.check() }
        #expect(error?.message.contains("the schedule sqrt has no warm-up") == true)
    }

    /// What the other run has trained stays as it left it where this one does not train it.
    @Test func whatOnlyTheOtherRunHasTrainedStays() throws {
        let head = "lm_head.weight"
        var first = try run("first", stages: [])
        first.job.keep = 1
        _ = try first()
        var next = try run("next", stages: [])
        (next.job.from, next.job.freeze, next.job.keep) = (folder.path("first.run/step-000003"), [head], 1)
        _ = try next()
        let (source, before, after) = try (
            grown(), Checkpoint.open(folder.path("first")), Checkpoint.open(folder.path("next"))
        )
        let floats = try [source, before, after].map { try #require($0[head]).floats() }
        #expect(floats[0] != floats[1] && floats[1] == floats[2])
        #expect(try before["model.norm.weight"]?.floats() != after["model.norm.weight"]?.floats())
        // So it is in the checkpoint, too.
        let model = try grown()
        try CheckpointWriter().write(model, to: folder.path("grown"))
        let export = try CheckpointExport(
            folder.path("next.run/step-000003"), of: folder.path("grown"), to: folder.path("exported"))
        try export.writer.write(export.plan)
        #expect(try bytes("exported") == bytes("next"))
        // The model before the surgery has fewer rows.
        next.checkpoint = nil
        next.model = try GoldenModel(name: "llama").folder
        let other = #expect(throws: UserFacingError.self) { try next.prepared() }
        #expect(
            other?.message.contains("is no checkpoint of") == true
                && other?.message.contains("it has 'lm_head.weight' as F32[251, ") == true,
            "\(other?.message ?? "")")
    }

    @Test func whatIsWrongIsNamedWithItsStage() throws {
        func message(_ stages: [JSONObject]) -> String {
            do {
                _ = try run("wrong", stages: stages).prepared()
                return ""
            } catch { return "\(error)" }
        }
        #expect(message([["name": "rows", "groups": ["rest: freeze"]]]).contains("the stage 'rows': "))
        #expect(message([["lr": 11]]).contains("the stage 'stage 1': lr must be from 0 to 10"))
        #expect(message([["name": "a"], ["name": "a"]]).contains("two stages are called 'a'"))
        #expect(message([["steps": 3, "tokens": 4]]).contains("give one of steps, tokens and epochs"))
        func typed(_ text: String) -> String {
            do {
                _ = try TrainingStage(parsing: text)
                return ""
            } catch { return error.message }
        }
        #expect(typed("nam: rows").contains("there is no parameter of stage 'nam'; did you mean name?"))
        #expect(typed("seed: 3").contains("there is no parameter of stage 'seed'"))
        #expect(typed("lr: high").contains("lr is \"high\", and must be a number"))
    }
}
