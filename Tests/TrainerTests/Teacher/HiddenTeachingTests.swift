import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("Hidden states of a teacher") struct HiddenTeachingTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private func expected(_ name: String) throws -> (json: JSON, run: JSON) {
        let json = try JSON.read(path: fixture("teacher-hidden/losses.json"))
        return (json, try #require(json["runs"]?[name]))
    }

    /// A run of the fixture: a golden with layers twice, and its parent as teacher.
    private func run(
        _ name: String = "llama", to output: String = "out", _ change: (inout TrainingJob) -> Void = { _ in }
    ) throws -> JobRun {
        let (json, expected) = try expected(name)
        var run = JobRun(on: try fixture("golden/\(name)"), to: folder.path(output))
        let plan = LayerArrangement(plan: try #require(expected["plan"]?.string))
        run.checkpoint = try GoldenModel(name: name).checkpoint().applying(plan).checkpoint
        run.job.ids = try fixture("teacher-hidden/rows.safetensors")
        run.job.steps = try #require(expected["steps"]?.array).count
        run.job.lr = try #require(json["rate"]?.double)
        (run.job.batch, run.job.embeddingLr) = (2, run.job.lr)
        (run.job.schedule, run.job.warmup, run.job.checkpointEvery) = (.constant, 0, 0)
        (run.job.moments, run.job.gradients, run.options.threads) = (.f32, .f32, 2)
        run.job.teacher = "parent"
        run.job.teacherWeight = try #require(expected["weight"]?.double)
        run.job.teacherTemperature = try #require(expected["temperature"]?.double)
        run.job.teacherHidden = "\(try #require(expected["hidden"]?.double)):0.5"
        change(&run.job)
        try run.job.check()
        return run
    }

    /// PyTorch's losses, of a Llama and of a Gemma 2 with scaled embeddings and norms behind its parts.
    @Test(arguments: ["llama", "gemma2"]) func lossesArePyTorchs(name: String) throws {
        let (json, expected) = try expected(name)
        let run = try run(name)
        let hidden = try #require(try run.prepared().stages[0].plan.teaching?.hidden)
        #expect(hidden.own == expected["own"]?.array?.compactMap(\.int))
        #expect(hidden.parents == expected["parents"]?.array?.compactMap(\.int))
        #expect(hidden.steps == json["hidden_steps"]?.int)
        let steps = try #require(expected["steps"]?.array)
        var reports: [StepReport] = []
        try run() { if case .step(let report) = $0 { reports.append(report) } }
        #expect(reports.count == 8 && steps.count == 8)
        for (report, step) in zip(reports, steps) {
            let figures = try #require(report.teacher)
            let found =
                [
                    ("loss", report.loss), ("cross_entropy", figures.crossEntropy),
                    ("kl", try #require(figures.divergence)),
                ] + [figures.hidden].compactMap(\.self).map { ("hidden_mse", $0) }
            #expect(found.count == (report.step <= hidden.steps ? 4 : 3))
            for (key, found) in found {
                let value = try #require(step[key]?.double)
                #expect(
                    abs(found - value) <= 1e-5 * max(0.1, value), "\(report.step) \(key): \(found), \(value)")
            }
        }
    }

    @Test(arguments: ["llama", "gemma2"]) func gradientsArePyTorchs(name: String) throws {
        let expected = try Checkpoint.open(fixture("teacher-hidden/gradients-\(name).safetensors")).tensors
        let found = try run(name).firstGradients { $0.comparesHidden = true }
        #expect(expected.count > 8)
        for (name, tensor) in expected {
            let gradient = try #require(found[name])
            #expect(try relativeDifference(gradient, tensor.floats()) <= 1e-3, "\(name)")
        }
    }

    /// A step in parts is the same step, and one that recomputes layers, too.
    @Test func inPartsAndRecomputed() throws {
        func reports(_ change: (inout TrainingJob) -> Void, _ output: String) throws -> [StepReport] {
            var reports: [StepReport] = []
            try run(to: output, change)() { if case .step(let report) = $0 { reports.append(report) } }
            return reports
        }
        let whole = try reports({ _ in }, "whole")
        let parts = try reports({ ($0.batch, $0.accumulate) = (1, 2) }, "parts")
        let again = try reports({ $0.recompute = .layer }, "again")
        for (one, others) in zip(whole, zip(parts, again)) {
            #expect(abs(one.loss - others.0.loss) <= 2e-6 * one.loss)
            #expect(abs((one.teacher?.hidden ?? 0) - (others.0.teacher?.hidden ?? 0)) <= 1e-5)
            #expect(one.loss == others.1.loss && one.teacher == others.1.teacher)
        }
    }

    /// Stopped after each step, it ends with the same bytes, on another number of threads.
    @Test func stoppedAnywhere() throws {
        try run(to: "straight")()
        var pieces = try run(to: "pieces")
        pieces.options.threads = 1
        let stops = try pieces.stopped().stops
        #expect(stops >= 7)
        #expect(try folder.bytes("straight/model.safetensors") == folder.bytes("pieces/model.safetensors"))
    }

    /// What is frozen below is not compared, and nothing at all where all of it is.
    @Test func whatIsFrozenIsNotCompared() throws {
        let bottom = ["model.embed_tokens.weight", "model.layers.[01].*"]
        let hidden = try run { $0.freeze = bottom }.prepared().stages[0].plan.teaching?.hidden
        #expect(hidden?.own == [3] && hidden?.parents == [2])
        let all = bottom + ["model.layers.*"]
        let error = #expect(throws: UserFacingError.self) { _ = try run { $0.freeze = all }.prepared() }
        #expect(error?.description.contains("nothing is trained below the layers") == true)
    }

    /// The parent teaches wherever it lies; no other model of its shape does.
    @Test(arguments: [false, true]) func theTeacherIsTheParent(isWritten: Bool) throws {
        let golden = try fixture("golden/llama")
        func teacher(_ name: String, _ change: (String) throws -> Void = { _ in }) throws -> String {
            try folder.makeFolder(name)
            for file in ["config.json", "model.safetensors"] {
                try folder.write("\(name)/\(file)", Data(contentsOf: URL(filePath: "\(golden)/\(file)")))
            }
            try change(name)
            return folder.path(name)
        }
        func prepared(_ teacher: String) throws -> PreparedJob {
            var run = try run { $0.teacher = teacher }
            if isWritten {
                if try !folder.names().contains("grown") {
                    try CheckpointWriter().write(#require(run.checkpoint), to: folder.path("grown"))
                }
                (run.model, run.checkpoint) = (folder.path("grown"), nil)
            }
            return try run.prepared()
        }
        let moved = try prepared(teacher("moved"))
        #expect(moved.stages[0].plan.teaching?.hidden != nil && moved.stages[0].warnings.isEmpty)
        // In another type it is the parent still.
        let converted = try Checkpoint.openModel(golden).applying(Conversion(dtype: .bf16)).checkpoint
        try CheckpointWriter().write(converted, to: folder.path("converted"))
        #expect(try prepared(folder.path("converted")).stages[0].warnings.isEmpty)
        let other = try teacher("other") {
            var weights = try folder.bytes("\($0)/model.safetensors")
            weights[weights.count - 1] ^= 1
            try folder.write("\($0)/model.safetensors", weights)
        }
        let error = try #require(#expect(throws: UserFacingError.self) { try prepared(other) })
        #expect(error.description.contains("the teacher \(other) is not the model that"), "\(error)")
        #expect(error.description.contains("has another SHA-256"), "\(error)")
        let blurred = try teacher("blurred") {
            var config = try JSON.read(path: folder.path("\($0)/config.json"))
            config["rms_norm_eps"] = 0.5
            try folder.write("\($0)/config.json", config.serialized())
        }
        let warnings = try prepared(blurred).stages[0].warnings
        #expect(warnings.count == 1 && warnings[0].contains("the teacher's weights are the parent's, but"))
        #expect(warnings.first?.contains("'rms_norm_eps'") == true)
    }

    @Test func refusals() throws {
        func refusal(_ change: (inout JobRun) throws -> Void) throws -> String {
            var run = try run()
            do {
                try change(&run)
                try run.job.check(prefix: "--")
                _ = try run.prepared()
            } catch { return "\(error)" }
            return ""
        }
        #expect(try refusal { _ in } == "")
        for text in ["x", "0", "-1", "1:0", "1:2", "1:0.1:3", ""] {
            #expect(
                try refusal { $0.job.teacherHidden = text }.contains(
                    "--teacher-hidden '\(text)' must be WEIGHT"))
        }
        let alone = try refusal {
            ($0.job.teacher, $0.job.teacherWeight, $0.job.teacherTemperature) = (nil, 0.5, 1)
        }
        #expect(alone.contains("--teacher-hidden is of --teacher"), "\(alone)")
        let golden = try fixture("golden/llama"), other = try fixture("golden/gemma2")
        let flat = try refusal {
            ($0.checkpoint, $0.job.teacher) = (nil, golden)
        }
        #expect(flat.contains("no copied layers"), "\(flat)")
        let narrow = try refusal { $0.job.teacher = other }
        #expect(narrow.contains("the teacher"), "\(narrow)")
        let stages = try refusal {
            $0.job.stages = [TrainingStage(["teacher-weight": 0]), TrainingStage()]
        }
        #expect(stages.contains("of the first stage, which learns from no teacher"), "\(stages)")
    }
}
