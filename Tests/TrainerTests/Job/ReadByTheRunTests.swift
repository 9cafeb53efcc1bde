import Formats
import Foundation
import Models
import Surgery
import TestSupport
import Testing

@testable import Trainer

/// An output that `--force` would put in the place of what the run itself reads.
@Suite struct ReadByTheRunTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try barelyTrainedModel(in: folder)
    }

    private func source(_ name: String, _ path: String) -> TextSource {
        TextSource(name: name, path: path, weight: 1)
    }

    /// A run on the model that would replace `output`.
    private func run(_ output: String) -> JobRun {
        var run = JobRun(on: folder.path("source"), to: folder.path(output))
        run.job.data = [source("en", folder.path("english.jsonl"))]
        (run.job.steps, run.job.batch, run.job.length, run.options.force) = (2, 1, 24, true)
        return run
    }

    private func refusal(_ run: JobRun) throws -> String {
        let prepared = try run.prepared()
        do { try prepared.check() } catch { return (error as? UserFacingError)?.message ?? "\(error)" }
        return ""
    }

    /// Everything that a parameter names.
    @Test(arguments: ["teacher", "parent", "data", "replay", "eval", "ids", "stage", "pattern"])
    func isNamed(by parameter: String) throws {
        let teach = try folder.copy(of: folder.path("source"), as: "teach")
        let text = try folder.copy(of: folder.path("korean.jsonl"), as: "teach/ko.jsonl")
        var run = run("teach")
        #expect(try refusal(run) == "")
        switch parameter {
        case "teacher": run.job.teacher = teach
        case "parent": (run.job.parent, run.job.eval) = (teach, [source("en", folder.path("english.jsonl"))])
        case "data": run.job.data = [source("ko", text)]
        case "replay": run.job.replay = [source("ko", text)]
        case "eval": (run.job.eval, run.job.noParent) = ([source("ko", text)], true)
        case "ids":
            let rows = try folder.copy(of: fixture("teacher/rows.safetensors"), as: "teach/rows.safetensors")
            (run.job.ids, run.job.data, run.job.length) = (rows, [], nil)
        case "stage":
            run.job.stages = [
                TrainingStage(["steps": 1]),
                TrainingStage(["steps": 1, "data": [["name": "ko", "file": .string(text), "weight": 1]]]),
            ]
        default: run.job.data = [source("ko", folder.path("teach/*.jsonl"))]
        }
        let message = try refusal(run)
        #expect(message.contains("\(teach) can't be the output: it is or holds \(teach)"), "\(message)")
    }

    /// The model that only the manifest names: as the parent beside the sets, and as the teacher.
    @Test func isWhatTheModelWasMadeOf() throws {
        let base = folder.path("source")
        let grown = try Checkpoint.openModel(base).applying(LayerArrangement(plan: "0,0-1,1")).checkpoint
        try CheckpointWriter().write(grown, to: folder.path("grown"))
        var run = run("source")
        run.model = folder.path("grown")
        #expect(try refusal(run) == "")
        run.job.eval = [source("en", folder.path("english.jsonl"))]
        #expect(try refusal(run).contains("it is or holds \(base)"))
        run.job.noParent = true
        #expect(try refusal(run) == "")
        (run.job.noParent, run.job.eval, run.job.teacher) = (false, [], "parent")
        #expect(try refusal(run).contains("it is or holds \(base)"))
    }

    /// The checkpoint that a run begins with lies where an output of the old name would keep its own.
    @Test func isTheCheckpointThatItBeginsWith() throws {
        var first = run("first")
        (first.job.keep, first.options.force) = (1, false)
        try first()
        var second = run("first")
        second.job.from = folder.path("first.run/step-000002")
        #expect(try refusal(second).contains("first.run, where its run is kept, holds"))
        #expect(throws: UserFacingError.self) { try second() }
        #expect(try folder.names("first.run").contains("step-000002"))
        second.output = folder.path("second")
        try second()
    }

    /// In a folder of text the run's own files would be read as well, when it goes on.
    @Test func liesAround() throws {
        try folder.makeFolder("texts")
        _ = try folder.copy(of: folder.path("korean.jsonl"), as: "texts/ko.jsonl")
        var run = run("texts/healed")
        run.job.data = [source("ko", folder.path("texts"))]
        #expect(try refusal(run).contains("lies in \(folder.path("texts")), which is read whole"))
    }
}
