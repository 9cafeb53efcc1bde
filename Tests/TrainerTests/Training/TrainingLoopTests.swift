import Formats
import Models
import OrderedCollections
import Foundation
import Synchronization
import TestSupport
import Testing

@testable import Trainer

@Suite struct TrainingLoopTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try blankModel(in: folder)
    }

    private func request(
        _ output: String, steps: Int = 6, threads: Int = 2, resume: Bool = false, force: Bool = false,
        lr: Double = 1e-2,
        log: String? = nil, checkpointEvery: Int = 0
    ) -> JobRun {
        var run = JobRun(on: folder.path, to: folder.path + "/" + output)
        run.job.fromScratch = true
        run.job.data = [
            TextSource(path: example("data/english.val.jsonl"), weight: 3),
            TextSource(path: example("data/korean.val.jsonl"), weight: 1),
        ]
        run.job.eval = [TextSource(name: "english", path: example("data/english.val.jsonl"), weight: 1)]
        (run.job.steps, run.job.batch, run.job.accumulate, run.job.length) = (steps, 2, 2, 24)
        (run.job.lr, run.job.embeddingLr, run.job.seed) = (lr, lr / 2, 3)
        (run.job.moments, run.job.gradients) = (.f32, .f32)
        (run.job.checkpointEvery, run.job.log) = (checkpointEvery, log)
        (run.options.threads, run.options.force, run.options.resume) = (threads, force, resume)
        return run
    }

    /// The same run on another model, and the rows of its golden file.
    private func ofRows(_ model: String, _ run: JobRun) -> JobRun {
        var run = run
        run.model = model
        (run.job.fromScratch, run.job.data, run.job.eval) = (false, [], [])
        run.job.ids = model + "/golden.safetensors"
        return run
    }

    private func weights(_ output: String) throws -> Data {
        try Data(contentsOf: URL(filePath: "\(folder.path)/\(output)/model.safetensors"))
    }

    private func run(_ request: JobRun) throws -> TrainingOutcome { try request() }

    /// Takes steps until `limit`, then asks to stop; the step that is kept.
    @discardableResult
    private func stop(_ request: JobRun, after limit: Int) throws -> Int? {
        let count = Counter()
        let run = try TrainingLoop(request.prepared()) { event in
            if case .step = event { count.value += 1 }
        }
        let error = #expect(throws: UserFacingError.self) { _ = try run { count.value >= limit } }
        #expect(error?.kind == .interrupted && error?.fault == .run)
        return error?.message.firstMatch(of: /step ([0-9]+) of the run is kept/).flatMap { Int($0.1) }
    }

    private final class Counter { var value = 0 }

    @Test func learnsAndWritesAModelThatOpens() throws {
        let outcome = try run(request("healed"))
        #expect(outcome.step == 6)
        #expect(outcome.tokens == 6 * 4 * 24)
        let (before, after) = (try #require(outcome.before.first), try #require(outcome.after.first))
        #expect(after.result.loss < before.result.loss)
        #expect(abs(before.result.loss - log(1_024)) < 0.1)  // random weights know nothing
        let model = try PretrainedModel.open(folder.path + "/healed")
        #expect(model.checkpoint.tensors.values.allSatisfy { $0.type == .bf16 })
        #expect(model.checkpoint.manifest?.operations.map(\.name) == ["heal"])
        #expect(try folder.names("healed.run") == ["record.jsonl", "tensorboard"])
    }

    @Test func aStoppedRunEndsWithTheSameBytes() throws {
        _ = try run(request("straight", log: folder.path + "/straight.jsonl"))
        let log = folder.path + "/stopped.jsonl"
        #expect(try stop(request("stopped", threads: 1, log: log), after: 2) == 2)
        #expect(!FileManager.default.fileExists(atPath: folder.path + "/stopped"))
        #expect(throws: UserFacingError.unfinishedRun(folder: folder.path + "/stopped.run", step: 2)) {
            try run(request("stopped"))
        }
        #expect(try stop(request("stopped", threads: 3, resume: true, log: log), after: 3) == 5)
        let outcome = try run(request("stopped", resume: true, log: log))
        #expect(outcome.step == 6)
        #expect(try weights("stopped") == weights("straight"))
        let steps = try [log, folder.path + "/straight.jsonl"].map { path in
            try String(contentsOfFile: path, encoding: .utf8).split(separator: "\n").map {
                try JSONDecoder().decode(StepReport.self, from: Data($0.utf8))
            }
        }
        #expect(steps[0].map(\.step) == Array(1...6))
        #expect(steps[0].map(\.loss) == steps[1].map(\.loss))
    }

    /// Stopped in the evaluation before the first step.
    @Test func aRunStoppedBeforeItsFirstStepKeepsNothing() throws {
        let before = try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
        #expect(try stop(request("none"), after: 0) == nil)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted() == before)
    }

    @Test func aRunThatDiedGoesOnFromItsLastCheckpoint() throws {
        _ = try run(request("straight"))
        // The state that SIGKILL leaves after step 5: a checkpoint of step 4, and log lines beyond it.
        let log = folder.path + "/log.jsonl"
        try stop(request("died", log: log, checkpointEvery: 4), after: 4)
        try (String(contentsOfFile: log, encoding: .utf8) + "{\"step\": 5, \"lo").write(
            toFile: log, atomically: true, encoding: .utf8)
        _ = try run(request("died", resume: true, log: log))
        #expect(try weights("died") == weights("straight"))
        #expect(try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").count == 6)
    }

    @Test(arguments: [MomentPrecision.bf16, .int8], GradientPrecision.allCases)
    func packedNumbersGoOnToTheSameBytes(_ moments: MomentPrecision, gradients: GradientPrecision) throws {
        func packed(_ output: String, resume: Bool = false) -> JobRun {
            var request = request(output, resume: resume)
            request.job.moments = moments
            request.job.gradients = gradients
            return request
        }
        let straight = try run(packed("straight"))
        try stop(packed("stopped"), after: 3)
        _ = try run(packed("stopped", resume: true))
        #expect(try weights("stopped") == weights("straight"))
        let exact = try run(request("exact"))
        let (a, b) = (
            try #require(straight.after.first?.result.loss), try #require(exact.after.first?.result.loss)
        )
        #expect(abs(a - b) < 0.01 * b)
    }

    @Test func refusesToResumeAnotherRun() throws {
        try stop(request("run"), after: 1)
        let error = #expect(throws: UserFacingError.self) { try run(request("run", resume: true, lr: 2e-2)) }
        #expect(
            error
                == .otherRun(
                    folder: folder.path + "/run.run",
                    differences: ["stages[0].optimizer.rate is 0.02, was 0.01"]))
        _ = try run(request("run", force: true, lr: 2e-2))
        #expect(try PretrainedModel.open(folder.path + "/run").layout.parameterCount > 0)
    }

    /// A run that trains one layer leaves every other tensor as it is, to the byte, and can be stopped.
    @Test func frozenTensorsStayAsTheyAre() throws {
        let source = GoldenModel(name: "llama")
        func request(_ output: String, resume: Bool = false) throws -> JobRun {
            var run = try ofRows(source.folder, self.request(output, resume: resume))
            (run.job.train, run.job.freeze) = (["model.layers.1.*"], ["*norm*"])
            return run
        }
        _ = try run(request("straight"))
        try stop(request("stopped"), after: 2)
        _ = try run(request("stopped", resume: true))
        #expect(try weights("stopped") == weights("straight"))
        let (before, after) = (
            try Checkpoint.open(source.folder), try Checkpoint.open(folder.path + "/straight")
        )
        for (name, tensor) in before.tensors {
            let same = try tensor.floats() == #require(after.tensors[name]).floats()
            #expect(same == !(name.hasPrefix("model.layers.1.") && !name.contains("norm")), "\(name)")
        }
    }

    /// A rate of zero gives the source back, and with it a head that the configuration says is the embedding.
    @Test func aHeadOfItsOwnComesBack() throws {
        let source = try folder.copy(of: GoldenModel(name: "llama").folder, as: "own-head")
        let config = try String(decoding: folder.bytes("own-head/config.json"), as: UTF8.self)
        try folder.write(
            "own-head/config.json",
            config.replacing(
                #""tie_word_embeddings": false"#, with: #""tie_word_embeddings": true"#))
        var still = ofRows(source, request("healed-head", lr: 0))
        (still.job.steps, still.job.tokens) = (nil, 92)
        let outcome = try run(still)
        #expect(outcome.step == 1)
        let (before, after) = (try Checkpoint.open(source), try Checkpoint.open(folder.path("healed-head")))
        #expect(before.tensors.keys == after.tensors.keys)
        for (name, tensor) in before.tensors {
            #expect(try tensor.floats() == after.tensors[name]?.floats(), "\(name)")
        }
    }

    /// A run without a number of steps shows every source once at its share, and its last step takes what remains.
    @Test func aRunOfOnePassShowsEverythingAndGoesOnInTheMiddle() throws {
        func request(_ output: String, resume: Bool = false) -> JobRun {
            var request = self.request(output, resume: resume)
            request.job.log = folder.path + "/\(output).jsonl"
            request.job.data = [
                TextSource(name: "en", path: example("data/english.val.jsonl"), weight: 1),
                TextSource(name: "ko", path: example("data/korean.val.jsonl"), weight: 3),
            ]
            (request.job.steps, request.job.length, request.job.batch) = (nil, 64, 8)
            return request
        }
        let setup = try request("straight").prepared()
        let outcome = try run(request("straight"))
        #expect(outcome.step == setup.steps && outcome.step > 3)
        #expect(outcome.sources == setup.sources && outcome.tokens == setup.stages[0].plan.tokens)
        #expect(outcome.sources.allSatisfy { $0.coverage == 1 })
        #expect(outcome.sources.contains { $0.passes == 1 } && outcome.sources.map(\.name) == ["en", "ko"])
        #expect(outcome.last?.sources == outcome.sources.figures)
        try stop(request("stopped"), after: outcome.step / 2)
        let resumed = try run(request("stopped", resume: true))
        #expect(resumed.sources == outcome.sources)
        #expect(try weights("stopped") == weights("straight"))
    }

    /// A step of nothing but a text's last token moves nothing.
    @Test func aLastStepWithoutATargetMovesNothing() throws {
        var request = self.request("short")
        let path = try folder.write("short.jsonl", #"{"text": "abcdef"}"#)
        request.job.data = [TextSource(path: path, weight: 1)]
        (request.job.batch, request.job.accumulate, request.job.steps) = (1, 1, nil)
        let tokens = try request.prepared().sources[0].size
        request.job.length = tokens - 1
        let outcome = try run(request)
        #expect(outcome.step == 2 && outcome.tokens == tokens && outcome.last?.loss == 0)
    }

    /// A tokenizer that puts a start only: healed on some short texts, the model ends others of the same kind.
    @Test func aHealedModelEndsItsTexts() throws {
        let names = ["Anna", "Boris", "Clara", "David", "Emma", "Felix", "Greta", "Hugo"]
        func file(_ name: String, _ names: ArraySlice<String>) throws -> String {
            try folder.write(
                name,
                names.map { #"{"text": "\#($0) opens the document. \#($0) saves it. The end."}"# }
                    .joined(separator: "\n"))
        }
        let (half, others) = (try file("half.jsonl", names[..<4]), try file("others.jsonl", names[4...]))
        var request = self.request("ending", steps: 60, lr: 2e-3)
        request.model = example("base")
        request.job.fromScratch = false
        request.job.data = [TextSource(path: half, weight: 1)]
        request.job.eval = [TextSource(name: "others", path: others, weight: 1)]
        (request.job.length, request.job.batch, request.job.accumulate) = (64, 4, 1)
        let outcome = try run(request)
        let (before, after) = (
            try #require(outcome.before[0].result.endOfText), try #require(outcome.after[0].result.endOfText)
        )
        #expect(before.probability < 0.1 && after.documents == 4)
        #expect(after.probability > 0.5)
    }

    @Test func warnsOfASourceThatIsReadManyTimes() throws {
        var request = self.request("warned", steps: 4_000)
        let warnings = try request.prepared().warnings
        #expect(
            warnings.contains {
                $0.contains("korean.val.jsonl will be read ") && $0.contains("more than four passes")
            })
        request.job.steps = 2
        #expect(try !request.prepared().warnings.contains { $0.contains("will be read") })
    }

    @Test func refusesToTrainNothing() throws {
        var nothing = request("nothing")
        nothing.job.freeze = ["model.*", "*"]
        #expect(throws: UserFacingError.nothingTrained(path: folder.path)) { try nothing.prepared() }
    }

    @Test func refusesWhatDoesNotFitAndNamesWhatWould() throws {
        let setup = try request("large").prepared()
        let need = setup.memory
        #expect(need.data > 0 && need.total > need.data + need.weights + need.moments)
        #expect(need.weights >= 4 * setup.model.layout.parameterCount)
        #expect(need.gradients >= need.weights && need.moments == 2 * need.weights)
        try setup.check(available: need.total)
        let error = #expect(throws: UserFacingError.self) { try setup.check(available: need.total - 1) }
        #expect(error?.kind == .resources && error?.message.contains("\(need.total / 1_000_000) MB") == true)
        #expect(error?.message.contains("it would fit with --moments 8bit --gradients bf16 (") == true)
        let hopeless = #expect(throws: UserFacingError.self) { try setup.check(available: 1_000) }
        #expect(hopeless?.description.contains("no option would make it fit") == true)
    }

    @Test func refusesAnOutputThatExists() throws {
        try FileManager.default.createDirectory(
            atPath: folder.path + "/there", withIntermediateDirectories: true)
        #expect(throws: UserFacingError.self) { try run(request("there")) }
    }

    @Test func aLossThatIsNoNumberEndsTheRun() throws {
        var request = request("diverged", steps: 40, lr: 1e30)
        request.job.guarding = .stop
        let error = #expect(throws: UserFacingError.self) { try run(request) }
        #expect(error?.kind == .diverged && error?.fault == .run)
        // The step, and the texts that it was of.
        let words =
            /step [0-9]+: the (loss|gradient norm) is not a finite number \(documents: .*\.val\.jsonl [0-9, ]+/
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        #expect(!FileManager.default.fileExists(atPath: folder.path("diverged")))
        // Weights that are broken are not what steps can be left out for.
        request.job.guarding = .skip
        let broken = #expect(throws: UserFacingError.self) { try run(request) }
        #expect(broken?.message.contains("11 steps in a row were left out") == true)
    }

    @Test func keepsTheSourcesTypeAndEverythingBesideTheWeights() throws {
        let source = try GoldenModel(name: "mistral").folder
        var request = ofRows(source, request("healed-rows"))
        (request.job.steps, request.job.tokens) = (nil, 92)
        let outcome = try run(request)
        // Two rows of 24 tokens, twice: 92 tokens take four rows.
        #expect(outcome.step == 1)
        #expect(outcome.tokens == 96)
        let healed = try Checkpoint.open(request.output)
        #expect(healed.tensors.values.allSatisfy { $0.type == .f32 })
        let configs = try [source, request.output].map {
            try Data(contentsOf: URL(filePath: $0 + "/config.json"))
        }
        #expect(configs[0] == configs[1])
    }

    // MARK: Numbers that are none

    /// A model that holds NaN or infinity is refused before the first step, by the tensor's name.
    @Test(arguments: [Float.nan, .infinity, -.infinity], [ElementType.f32, .bf16, .f16])
    func aTensorThatHoldsNoNumberIsNamed(_ value: Float, type: ElementType) throws {
        var checkpoint = try GoldenModel(name: "gpt2").checkpoint()
        // One that lies the other way round in memory.
        let name = "transformer.h.1.mlp.c_fc.weight"
        let old = try #require(checkpoint.tensors[name])
        var values = try old.floats()
        values[3 * old.shape[1] + 5] = value
        let bytes = values.flatMap { number in
            (0..<4).map { UInt8(truncatingIfNeeded: number.bitPattern >> (8 * $0)) }
        }
        checkpoint.tensors[name] = try .stored(
            MemoryTensor(name: name, type: .f32, shape: old.shape, bytes: bytes)
        ).cast(to: type)
        let model = try PretrainedModel(checkpoint)
        for recomputation in [nil, Recomputation.norms] {
            let error = #expect(throws: UserFacingError.self) {
                try model.transformer(
                    for: GoldenModel(name: "gpt2").rows(), recomputation, on: CPUEngine(threads: 1))
            }
            #expect(error?.kind == .notFinite && error?.fault == .input)
            let words = value.isNaN ? "NaN" : value < 0 ? "-infinity" : "infinity"
            #expect(
                error?.message.contains("tensor '\(name)' holds \(words) at [3, 5]") == true,
                "\(error?.message ?? "")")
        }
    }

    // MARK: What makes it the same run

    @Test func whatDecidesNothingMayDiffer() throws {
        _ = try run(request("straight"))
        try stop(request("moved"), after: 2)
        var other = request("moved", threads: 1, resume: true)
        other.job.recompute = .layer
        other.job.data = [
            TextSource(
                path: try folder.write(
                    "a.jsonl", Data(contentsOf: URL(filePath: example("data/english.val.jsonl")))), weight: 3),
            TextSource(
                path: try folder.write(
                    "b.jsonl", Data(contentsOf: URL(filePath: example("data/korean.val.jsonl")))), weight: 1),
        ]
        _ = try run(other)
        #expect(try weights("moved") == weights("straight"))
    }

    @Test func otherDataOfTheSameNameIsRefused() throws {
        let path = try folder.write(
            "text.jsonl", Data(contentsOf: URL(filePath: example("data/english.val.jsonl"))))
        func own(resume: Bool) -> JobRun {
            var request = request("run", resume: resume)
            request.job.data = [TextSource(path: path, weight: 1)]
            return request
        }
        try stop(own(resume: false), after: 1)
        var bytes = try folder.bytes("text.jsonl")
        let letter = try #require(bytes.lastIndex(of: UInt8(ascii: "e")))
        bytes[letter] = UInt8(ascii: "a")
        try folder.write("text.jsonl", bytes)
        let error = #expect(throws: UserFacingError.self) { try run(own(resume: true)) }
        #expect(error?.message.contains("the data is \(path)") == true, "\(error?.message ?? "")")
    }

    /// What is not trained comes from the source at the end, so it must be what it was.
    @Test func aFrozenTensorThatChangedIsRefused() throws {
        let source = try folder.copy(of: GoldenModel(name: "llama").folder, as: "source")
        func part(resume: Bool) -> JobRun {
            var run = ofRows(source, request("part", resume: resume))
            run.job.train = ["model.layers.1.*"]
            return run
        }
        try stop(part(resume: false), after: 1)
        var bytes = try folder.bytes("source/model.safetensors")
        // The tensors lie in the order of their names; the head comes first.
        let header = 8 + Int(bytes[0]) + Int(bytes[1]) << 8 + Int(bytes[2]) << 16
        bytes[header] ^= 1
        try folder.write("source/model.safetensors", bytes)
        let error = #expect(throws: UserFacingError.self) { try run(part(resume: true)) }
        #expect(
            error?.message.contains("tensors of the model that are not trained") == true,
            "\(error?.message ?? "")")
    }

    /// A run may become longer while its rate is what it would have been anyway.
    @Test func moreStepsWhereTheRateHasNotFallen() throws {
        func steps(
            _ count: Int, _ output: String, _ shape: Schedule.Shape, warmup: Int?, resume: Bool = false
        ) -> JobRun {
            var request = request(output, steps: count, resume: resume)
            request.job.schedule = shape
            request.job.warmup = warmup
            return request
        }
        _ = try run(steps(8, "long", .constant, warmup: 1))
        try stop(steps(4, "constant", .constant, warmup: nil), after: 2)
        _ = try run(steps(8, "constant", .constant, warmup: nil, resume: true))
        #expect(try weights("constant") == weights("long"))
        _ = try run(steps(8, "slow", .cosine, warmup: 3))
        try stop(steps(6, "warming", .cosine, warmup: 3), after: 2)
        _ = try run(steps(8, "warming", .cosine, warmup: 3, resume: true))
        #expect(try weights("warming") == weights("slow"))
        try stop(steps(6, "falling", .cosine, warmup: 1), after: 3)
        let error = #expect(throws: UserFacingError.self) {
            try run(steps(8, "falling", .cosine, warmup: 1, resume: true))
        }
        #expect(error?.message.contains("stages[0].steps is 8, was 6") == true)
    }

    // MARK: Being stopped, and room

    /// Between the parts of a step, which is then taken again by the run that goes on.
    @Test func aStepOfManyPartsIsGivenUp() throws {
        func parts(_ output: String, resume: Bool = false) -> JobRun {
            var request = request(output, resume: resume)
            request.job.eval = []
            (request.job.batch, request.job.accumulate) = (1, 4)
            return request
        }
        _ = try run(parts("straight"))
        // Each step asks once before and three times between its parts.
        let count = Counter()
        let error = #expect(throws: UserFacingError.self) {
            _ = try TrainingLoop(parts("stopped").prepared()) { _ in }.callAsFunction {
                count.value += 1
                return count.value > 6
            }
        }
        #expect(error?.message.contains("step 1 of the run is kept") == true, "\(error?.message ?? "")")
        _ = try self.run(parts("stopped", resume: true))
        #expect(try weights("stopped") == weights("straight"))
    }

    @Test func aRunWithoutRoomForCheckpointsDoesNotBegin() throws {
        var request = request("small", checkpointEvery: 2)
        let setup = try request.prepared()
        #expect(setup.checkpointBytes > 12 * setup.model.layout.parameterCount)
        #expect(
            setup.roomNeeded == max(2 * setup.checkpointBytes, setup.checkpointBytes + setup.output.byteCount)
        )
        let needed = setup.roomNeeded
        request.options.freeSpace = { _ in needed - 1 }
        let error = #expect(throws: UserFacingError.self) { try request.prepared().check() }
        #expect(error?.kind == .resources && error?.message.contains("--checkpoint-every 0") == true)
        request.job.checkpointEvery = 0
        try request.prepared().check()
    }

    /// What the run asks for is what lies there at once: while a checkpoint is written, and while the result is.
    @Test(arguments: ["one", "two", "average", "best", "best alone", "stages"])
    func theRoomIsThatOfWhatLiesThereAtOnce(what: String) throws {
        var request = request("small", checkpointEvery: what == "best alone" ? 0 : 2)
        switch what {
        case "two": request.job.keep = 2
        case "average": request.job.result = .average
        case "best": (request.job.keepBest, request.job.evalEvery) = (true, 1)
        case "best alone": (request.job.result, request.job.evalEvery) = (.best, 1)
        case "stages":
            request.job.steps = nil
            request.job.stages = (0..<3).map { _ in TrainingStage(["steps": 2, "keep-end": true]) }
        default: break
        }
        let setup = try request.prepared()
        let run = folder.path("small.run")
        let found = Mutex((writing: 0, withResult: 0))
        let steps: @Sendable () -> Int = {
            ((try? FileManager.default.contentsOfDirectory(atPath: run)) ?? []).count {
                $0.hasPrefix("step-")
            }
        }
        request.options.freeSpace = { path in
            found.withLock {
                if path.hasSuffix(".run") {
                    $0.writing = max($0.writing, steps() + 1)
                } else {
                    $0.withResult = steps()
                }
            }
            return .max
        }
        try request()
        let (writing, withResult) = found.withLock { $0 }
        let needed = max(
            writing * setup.checkpointBytes, withResult * setup.checkpointBytes + setup.output.byteCount)
        #expect(writing > 1 && withResult > 0)
        // Which is the best, whether it is one of the last, and whether the run is stopped, nobody knows before.
        let spare = ["best", "stages"].contains(what) ? setup.checkpointBytes : 0
        #expect(needed...needed + spare ~= setup.roomNeeded, "\(writing) \(withResult)")
    }

    /// A disk that is full at the end costs the last checkpoint, not the result.
    @Test func aFullDiskDoesNotCostTheResult() throws {
        var request = request("full")
        (request.job.keep, request.job.keepBest, request.job.evalAt) = (2, true, [0, 100])
        request.options.freeSpace = { $0.hasSuffix(".run") ? 0 : .max }
        var skipped: [Int] = []
        _ = try TrainingLoop(request.prepared()) {
            if case .notKept(let step, _) = $0 { skipped.append(step) }
        }.callAsFunction { false }
        #expect(skipped.last == 6)
        _ = try self.run(self.request("straight"))
        #expect(try weights("full") == weights("straight"))
    }

    /// A disk that fills up costs checkpoints, not the run.
    @Test func aCheckpointWithoutRoomIsSkipped() throws {
        var request = request("full", checkpointEvery: 2)
        let isFull = Flag()
        request.options.freeSpace = { path in path.hasSuffix(".run") && isFull.isUp ? 0 : .max }
        var skipped: [Int] = []
        let run = try TrainingLoop(request.prepared()) { event in
            if case .kept = event { isFull.raise() }
            if case .notKept(let step, let reason) = event, reason.contains("0 bytes left") {
                skipped.append(step)
            }
        }
        #expect(try run { false }.step == 6)
        #expect(skipped == [4])
        _ = try self.run(self.request("straight"))
        #expect(try weights("full") == weights("straight"))
    }

    private final class Flag: Sendable {
        private let value = Mutex(false)
        var isUp: Bool { value.withLock { $0 } }
        func raise() { value.withLock { $0 = true } }
    }

    @Test func aFinishedRunSaysSo() throws {
        #expect(try request("done", resume: true).prepared().finished() == nil)
        let outcome = try run(request("done", resume: true))
        let finished = try #require(try request("done", resume: true).prepared().finished())
        #expect(finished.steps == 6 && finished.tokens == outcome.tokens)
        #expect(try request("done", resume: true, lr: 1).prepared().finished() == nil)
        #expect(try request("done").prepared().finished() == nil)
    }

    @Test func aWarmupLongerThanTheRunIsToldOf() throws {
        var request = request("warm")
        request.job.warmup = 7
        #expect(
            try request.prepared().warnings.contains { $0.contains("--warmup 7 is longer than the run") })
        request.job.warmup = 6
        #expect(try request.prepared().warnings.allSatisfy { !$0.contains("--warmup") })
    }

    // MARK: The log

    @Test func noRunTouchesTheLogOfAnother() throws {
        let log = folder.path("log.jsonl")
        _ = try run(request("first", steps: 2, log: log))
        let lines = try folder.bytes("log.jsonl")
        #expect(throws: UserFacingError.otherLog(path: log)) {
            try run(request("second", steps: 2, lr: 1e-3, log: log))
        }
        #expect(throws: UserFacingError.otherLog(path: log)) {
            try run(request("third", steps: 2, resume: true, lr: 1e-3, log: log))
        }
        #expect(try folder.bytes("log.jsonl") == lines)
        try stop(request("second", lr: 1e-3), after: 1)
        #expect(throws: UserFacingError.otherLog(path: log)) {
            try run(request("second", resume: true, lr: 1e-3, log: log))
        }
        #expect(try folder.bytes("log.jsonl") == lines)
        _ = try run(request("second", steps: 1, force: true, lr: 1e-3, log: log))
        #expect(try String(contentsOfFile: log, encoding: .utf8).split(separator: "\n").count == 1)
        let text = try folder.write("text.txt", "no log\n")
        #expect(throws: UserFacingError.notALog(path: text)) {
            try run(request("fourth", force: true, log: text))
        }
    }
}
