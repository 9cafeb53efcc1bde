import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

/// Batches that no step should be taken on, in runs of a small model: what becomes of each by every policy.
@Suite("Steps that a run leaves out") struct GuardTests {
    let folder: TemporaryFolder
    /// The golden GPT-NeoX, whose head is its own, with the two tokens, written, and five more rows.
    private let model: Checkpoint

    init() throws {
        folder = try TemporaryFolder()
        var base = try GoldenModel(name: "gpt-neox").checkpoint()
        let old = try #require(base[Self.embedding])
        var values = try old.floats()
        for column in 0..<old.shape[1] {
            values[Self.huge * old.shape[1] + column] = 3e38
            values[Self.tiny * old.shape[1] + column] = 0
        }
        base.tensors[Self.embedding] = try .stored(
            MemoryTensor(name: Self.embedding, shape: old.shape, floats: values))
        try CheckpointWriter().write(base, to: folder.path("base"))
        var resize = VocabularyChange()
        (resize.size, resize.initialization) = (72, "zero")
        model = try Checkpoint.open(folder.path("base")).applying(resize).checkpoint
    }

    /// A token whose embedding is so large that its mean over a row is infinite, and one whose embedding is zero, so that
    /// the first norm multiplies its gradient by √10⁵.
    private static let huge = 60, tiny = 61
    private static let embedding = "gpt_neox.embed_in.weight"

    /// A file of rows of twelve tokens, those that are named all of one token.
    private func rows(_ count: Int, _ bad: [Int: Int] = [:], leavingOut: Set<Int> = []) throws -> String {
        var bytes: [UInt8] = []
        for row in 1...count where !leavingOut.contains(row) {
            for place in 0..<12 {
                let token = bad[row] ?? (row * 7919 + place * place * 31 + place * 17) % 59
                bytes += [UInt8(truncatingIfNeeded: token), 0, 0, 0]
            }
        }
        let shape = "[\(count - leavingOut.count), 12]"
        let header = Array(
            #"{"input_ids": {"dtype": "I32", "shape": \#(shape), "data_offsets": [0, \#(bytes.count)]}}"#
                .utf8)
        let name = "rows-\(count)-\(bad.keys.sorted())-\(leavingOut.sorted()).safetensors"
        return try folder.write(
            name, (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + bytes)
    }

    private func run(
        _ output: String, on rows: String, steps: Int, _ policy: StepGuard.Policy = .off,
        checkpointEvery: Int = 2, resume: Bool = false
    ) throws -> JobRun {
        var run = JobRun(on: model.path, to: folder.path(output))
        run.checkpoint = model
        (run.job.ids, run.job.steps, run.job.batch) = (rows, steps, 1)
        (run.job.lr, run.job.schedule, run.job.warmup) = (1e-4, .constant, 0)
        (run.job.guarding, run.job.checkpointEvery) = (policy, checkpointEvery)
        (run.job.noTensorboard, run.options.threads, run.options.resume) = (true, 1, resume)
        return run
    }

    /// What was told of a run.
    private final class Told {
        var steps: [Int] = [], events: [String] = [], findings: [StepGuard.Finding] = []
        var count: Int { steps.count + events.count }

        func note(_ event: TrainingEvent) {
            switch event {
            case .step(let report): steps.append(report.step)
            case .skipped(let step, let finding, let documents):
                events.append("skipped \(step): \(documents)")
                findings.append(finding)
            case .rolledBack(let from, let to, let finding, let documents):
                events.append("back from \(from) to \(to): \(documents)")
                findings.append(finding)
            default: break
            }
        }
    }

    private func weights(_ output: String) throws -> Data {
        try Data(contentsOf: URL(filePath: folder.path("\(output)/model.safetensors")))
    }

    // MARK: A loss that is no number

    /// A step that is left out leaves no trace: the rest is what a run makes of the other rows.
    @Test func noNumberIsSkipped() throws {
        let path = try rows(12, [5: Self.huge])
        let told = Told()
        let outcome = try run("skipped", on: path, steps: 8, .skip)(notify: told.note)
        #expect(outcome.step == 8 && told.steps == [1, 2, 3, 4, 6, 7, 8])
        #expect(told.events == ["skipped 5: \(path) 5"])
        #expect(told.findings.map(\.description) == ["the loss is not a finite number"])
        _ = try run("without", on: rows(12, leavingOut: [5]), steps: 7)()
        #expect(try weights("skipped") == weights("without"))
    }

    /// A run that goes back leaves out all rows since its checkpoint: the rest is what a run makes of the others.
    @Test(arguments: [2, 3]) func noNumberIsGoneBackFor(checkpointEvery: Int) throws {
        let path = try rows(12, [5: Self.huge])
        let told = Told()
        let outcome = try run("back", on: path, steps: 8, .rollback, checkpointEvery: checkpointEvery)(
            notify: told.note)
        let kept = checkpointEvery == 2 ? 4 : 3
        #expect(outcome.step == 8 && told.steps == Array(1...4) + Array(kept + 1...8))
        #expect(told.events == ["back from 5 to \(kept): \(path) 5"])
        _ = try run("without", on: rows(12, leavingOut: Set(kept + 1...5)), steps: 8)()
        #expect(try weights("back") == weights("without"))
    }

    /// Before its first checkpoint a run has nothing to go back to.
    @Test func withoutACheckpointTheStepIsLeftOut() throws {
        let path = try rows(12, [3: Self.huge])
        let told = Told()
        let outcome = try run("back", on: path, steps: 6, .rollback, checkpointEvery: 4)(notify: told.note)
        #expect(outcome.step == 6 && told.events == ["skipped 3: \(path) 3"])
        _ = try run("skipped", on: path, steps: 6, .skip)()
        #expect(try weights("back") == weights("skipped"))
    }

    @Test(arguments: [StepGuard.Policy.stop, .off]) func noNumberStops(policy: StepGuard.Policy) throws {
        let path = try rows(12, [5: Self.huge])
        let error = #expect(throws: UserFacingError.self) {
            _ = try run("stopped", on: path, steps: 8, policy)()
        }
        #expect(error?.kind == .diverged)
        #expect(
            error?.message.hasPrefix("step 5: the loss is not a finite number (documents: \(path) 5)")
                == true,
            "\(error?.message ?? "")")
        #expect(!FileManager.default.fileExists(atPath: folder.path("stopped")))
        // What was kept before is still there.
        #expect(try folder.names("stopped.run").filter { $0.hasPrefix("step") } == ["step-000004"])
    }

    // MARK: A gradient a hundred times as large

    @Test(arguments: StepGuard.Policy.allCases) func aSpike(policy: StepGuard.Policy) throws {
        let path = try rows(90, [70: Self.tiny])
        let told = Told()
        func run(_ output: String) throws -> JobRun {
            try self.run(output, on: path, steps: 80, policy, checkpointEvery: 33)
        }
        guard policy != .stop else {
            let error = #expect(throws: UserFacingError.self) { _ = try run("out")() }
            #expect(error?.kind == .diverged)
            let words =
                /step 70: the gradient norm is [0-9.e+]+, [0-9.e+]+ standard deviations above the mean/
            #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("(documents: \(path) 70)") == true)
            return
        }
        let outcome = try run("out")(notify: told.note)
        #expect(outcome.step == 80)
        switch policy {
        case .skip: #expect(told.events == ["skipped 70: \(path) 70"])
        case .rollback: #expect(told.events == ["back from 70 to 66: \(path) 70"])
        case .off, .stop: #expect(told.events.isEmpty && told.steps == Array(1...80))
        }
        for finding in told.findings {
            #expect(finding.what == "gradient norm")
            #expect(finding.value >= 100 * (finding.before?.mean ?? .infinity), "\(finding)")
        }
    }

    // MARK: What is stopped, frozen, ends

    /// Stopped after every so many steps, a run goes back to where it would have gone back: what was kept since it was
    /// stopped does not count.
    @Test(arguments: [StepGuard.Policy.skip, .rollback], [1, 2, 3])
    func aStoppedRunEndsWithTheSameBytes(policy: StepGuard.Policy, count: Int) throws {
        let path = try rows(20, [3: Self.huge, 7: Self.huge, 11: Self.huge])
        func run(_ output: String, resume: Bool = false) throws -> JobRun {
            try self.run(output, on: path, steps: 12, policy, checkpointEvery: 4, resume: resume)
        }
        let straight = Told()
        _ = try run("straight")(notify: straight.note)
        var stops = 0
        while true {
            let told = Told()
            let loop = try TrainingLoop(run("pieces", resume: true).prepared(), notify: told.note)
            do {
                _ = try loop { told.count >= count }
                break
            } catch let error as UserFacingError where error.isInterruption { stops += 1 }
            try #require(stops < 40)
        }
        #expect(stops >= 12 / count - 1)
        #expect(try weights("pieces") == weights("straight"))
        let histories = try ["straight", "pieces"].map { try RunHistory.find(folder.path($0)) }
        for history in histories {
            #expect(history.steps.map(\.step) == Array(Set(history.steps.map(\.step))).sorted())
            #expect(history.steps.map(\.loss) == histories[0].steps.map(\.loss))
            let found = history.occurrences.filter { ["skipped", "rolled_back"].contains($0.name) }
            let words = found.map { "\($0.name) \($0.step) \($0.line["documents"]?.string ?? "")" }
            #expect(
                words
                    == (policy == .skip
                        ? ["skipped 3 \(path) 3", "skipped 7 \(path) 7", "skipped 11 \(path) 11"]
                        : ["skipped 3 \(path) 3", "rolled_back 4 \(path) 7", "rolled_back 4 \(path) 11"]))
        }
    }

    /// A row that is frozen has the source's bits after a step that was left out, and after the run went back.
    @Test(arguments: [StepGuard.Policy.skip, .rollback]) func frozenRowsStay(policy: StepGuard.Policy) throws
    {
        var run = try run("out", on: rows(12, [5: Self.huge]), steps: 8, policy)
        run.job.groups = ["old-rows: freeze"]
        let told = Told()
        _ = try run(notify: told.note)
        #expect(told.events.count == 1)
        let (before, after) = (model, try Checkpoint.open(folder.path("out")))
        for name in [Self.embedding, "embed_out.weight"] {
            let rows = try [before, after].map {
                try #require($0[name]).rows(0..<67).floats().map(\.bitPattern)
            }
            #expect(rows[0] == rows[1], "\(name)")
        }
        let head = try [before, after].map { try #require($0["embed_out.weight"]).rows(67..<72).floats() }
        #expect(head[0] != head[1])
    }

    /// Going back in the second stage before it has a checkpoint of its own, to the end of the first.
    @Test func aStageGoesBackToItsBeginning() throws {
        func run(_ output: String, bad: [Int: Int], leavingOut: Set<Int> = []) throws -> (JobRun, String) {
            let path = try rows(12, bad, leavingOut: leavingOut)
            var run = try self.run(output, on: path, steps: 3, .rollback, checkpointEvery: 0)
            run.job.stages = [
                TrainingStage(["name": "new", "groups": ["new-rows: rate=1", "rest: freeze"]]),
                TrainingStage(["name": "all", "steps": 4]),
            ]
            return (run, path)
        }
        let told = Told()
        let (back, path) = try run("back", bad: [5: Self.huge])
        #expect(try back(notify: told.note).step == 7)
        #expect(told.events == ["back from 5 to 3: \(path) 5"])
        #expect(told.steps == [1, 2, 3, 4, 4, 5, 6, 7])
        _ = try run("without", bad: [:], leavingOut: [4, 5]).0()
        #expect(try weights("back") == weights("without"))
    }

    /// Data that has an end is not shown again: the last steps of a run that went back find nothing.
    @Test func dataThatHasAnEndEnds() throws {
        let path = try rows(8, [5: Self.huge])
        var run = try run("out", on: path, steps: 1, .rollback, checkpointEvery: 3)
        (run.job.steps, run.job.tokens) = (nil, 8 * 12)
        let told = Told()
        let outcome = try run(notify: told.note)
        #expect(outcome.step == 8 && outcome.tokens == 8 * 12)
        #expect(told.events == ["back from 5 to 3: \(path) 5"] && told.steps == [1, 2, 3, 4, 4, 5, 6])
        #expect(try RunHistory.find(folder.path("out")).steps.map(\.step) == Array(1...6))
    }

    /// Texts are named by their file and where in it they stand.
    @Test func documentsAreNamed() throws {
        let scales = [
            "embedding_multiplier", "logits_scaling", "residual_multiplier", "attention_multiplier",
        ]
        try blankModel(
            in: folder,
            changes: ["model_type": "\"granite\"", "sliding_window": "null"].merging(
                scales.map { ($0, "4.0") }
            ) {
                $1
            })
        let texts = (1...12).map { number in
            let word = number == 7 ? "가" : "the"
            return #"{"text": "\#((1...9).map { _ in word }.joined(separator: " "))"}"#
        }
        let path = try folder.write("texts.jsonl", texts.joined(separator: "\n") + "\n")
        func run(_ output: String, on model: String) -> JobRun {
            var run = JobRun(on: model, to: folder.path(output))
            run.job.data = [TextSource(name: "texts", path: path)]
            (run.job.steps, run.job.batch, run.job.length, run.job.lr) = (1, 1, 8, 0)
            (run.job.noTensorboard, run.options.threads) = (true, 1)
            return run
        }
        var first = run("first", on: folder.path)
        first.job.fromScratch = true
        _ = try first()
        var model = try Checkpoint.open(folder.path("first"))
        let name = "model.embed_tokens.weight"
        let old = try #require(model[name])
        var values = try old.floats()
        let tokens = try PretrainedModel(model).tokenizer()
        let usual = try Set(tokens.encode("the the", addSpecialTokens: false))
        for token in try tokens.encode("가 가", addSpecialTokens: false) where !usual.contains(token) {
            for column in 0..<old.shape[1] { values[Int(token) * old.shape[1] + column] = 3e38 }
        }
        model.tensors[name] = try .stored(MemoryTensor(name: name, shape: old.shape, floats: values))
        var all = run("all", on: folder.path("first"))
        (all.checkpoint, all.job.steps, all.job.epochs) = (model, nil, 1)
        let told = Told()
        _ = try all(notify: told.note)
        #expect(!told.events.isEmpty)
        for event in told.events {
            #expect(event.contains(/skipped [0-9]+: .*texts\.jsonl ([0-9]+, )?7(, [0-9]+)?$/), "\(event)")
        }
    }
}
