import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("Learning from a teacher") struct TeacherTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// What PyTorch has found of a run.
    private func expected(_ name: String) throws -> (json: JSON, run: JSON) {
        let json = try JSON.read(path: fixture("teacher/losses.json"))
        return (json, try #require(json["runs"]?[name]))
    }

    /// A run of the fixture, whose students are a folder, a golden with a layer twice, and a golden.
    private func run(_ name: String, _ output: String = "out") throws -> JobRun {
        let (json, expected) = try expected(name)
        let teacher = try #require(expected["teacher"]?.string)
        var run = JobRun(
            on: try fixture(name == "grown" ? "teacher/grown" : "golden/\(name)"), to: folder.path(output))
        if name == "gemma2" {
            let plan = LayerArrangement(plan: try #require(json["plan"]?.string))
            run.checkpoint = try GoldenModel(name: name).checkpoint().applying(plan).checkpoint
        }
        run.job.ids = try fixture("teacher/\(#require(expected["rows"]?.string)).safetensors")
        run.job.steps = try #require(expected["steps"]?.array).count
        run.job.lr = try #require(json["rate"]?.double)
        (run.job.batch, run.job.embeddingLr) = (2, run.job.lr)
        (run.job.schedule, run.job.warmup, run.job.checkpointEvery) = (.constant, 0, 0)
        (run.job.moments, run.job.gradients, run.options.threads) = (.f32, .f32, 2)
        run.job.teacher = name == "gemma2" ? "parent" : try fixture("golden/\(teacher)")
        run.job.teacherWeight = try #require(expected["weight"]?.double)
        run.job.teacherTemperature = try #require(expected["temperature"]?.double)
        try run.job.check()
        return run
    }

    /// PyTorch's losses, cross entropies and divergences: of a student with tokens that its parent does not have, of one
    /// whose logits are capped, and of one whose teacher is of another family.
    @Test(arguments: ["grown", "gemma2", "gpt-neox"]) func lossesArePyTorchs(name: String) throws {
        let steps = try #require(expected(name).run["steps"]?.array)
        var reports: [StepReport] = []
        let outcome = try run(name)() { if case .step(let report) = $0 { reports.append(report) } }
        #expect(reports.count == 8 && steps.count == 8)
        for (report, step) in zip(reports, steps) {
            let figures = try #require(report.teacher)
            for (key, found) in [
                ("loss", report.loss), ("cross_entropy", figures.crossEntropy),
                ("kl", try #require(figures.divergence)),
            ] {
                let value = try #require(step[key]?.double)
                #expect(
                    abs(found - value) <= 1e-5 * max(0.1, value), "\(report.step) \(key): \(found), \(value)")
            }
            #expect(figures.taught == step["taught"]?.int && figures.targets == 46)
        }
        let taught = try #require(steps.first?["taught"]?.int)
        #expect(outcome.taught == TaughtTargets(taught: 8 * taught, targets: 8 * 46))
    }

    @Test(arguments: ["grown", "gemma2"]) func gradientsArePyTorchs(name: String) throws {
        let expected = try Checkpoint.open(fixture("teacher/gradients-\(name).safetensors")).tensors
        let found = try run(name).firstGradients()
        #expect(found.count == expected.count && expected.count > 20)
        for (name, gradient) in found {
            let tensor = try #require(expected[name])
            #expect(try relativeDifference(gradient, tensor.floats()) <= 1e-3, "\(name)")
        }
    }

    /// A run that is stopped after each step ends with the same bytes, on another number of threads.
    @Test func stoppedAnywhere() throws {
        try run("grown", "straight")()
        var pieces = try run("grown", "pieces")
        pieces.options.threads = 1
        let taught = try pieces.stopped().outcome.taught
        #expect(taught == TaughtTargets(taught: 240, targets: 368))
        func bytes(_ name: String) throws -> Data {
            try Data(contentsOf: URL(filePath: folder.path("\(name)/model.safetensors")))
        }
        #expect(try bytes("straight") == bytes("pieces"))
        let done = try Manifest.read(path: folder.path("pieces/surgery.json")).operations.last
        #expect(done?.parameters["teacher"]?["name"] == "llama-linear")
        #expect(done?.parameters["teacher"]?["taught"]?.int == 240)
    }

    /// Another teacher, or other settings of it, is another run.
    @Test func resumesWithTheSameTeacherOnly() throws {
        var run = try run("grown")
        run.options.resume = true
        func stop() throws {
            final class Counter { var value = 0 }
            let taken = Counter()
            let loop = try TrainingLoop(run.prepared()) { if case .step = $0 { taken.value += 1 } }
            _ = try loop { taken.value >= 2 }
        }
        #expect(throws: UserFacingError.self) { try stop() }
        func refusal(_ change: (inout TrainingJob) throws -> Void) throws -> String {
            var other = run
            try change(&other.job)
            do { _ = try TrainingLoop(other.prepared()) { _ in } } catch { return "\(error)" }
            return ""
        }
        let gemma = try fixture("golden/gemma2")
        let another = try refusal { $0.teacher = gemma }
        #expect(another.contains("the teacher is another model"))
        let colder = try refusal { $0.teacherTemperature = 1 }
        #expect(colder.contains("teaching.temperature is 1, was 2"))
        let alone = try refusal { job in
            (job.teacher, job.teacherWeight, job.teacherTemperature) = (nil, 0.5, 1)
        }
        #expect(alone.contains("it has no teacher, and had one"))
        #expect(try refusal { _ in } == "")
    }

    /// A step that is taken in parts is the same step.
    @Test func inParts() throws {
        var whole: [StepReport] = []
        try run("grown", "whole")() { if case .step(let report) = $0 { whole.append(report) } }
        var parts = try run("grown", "parts")
        (parts.job.batch, parts.job.accumulate) = (1, 2)
        var reports: [StepReport] = []
        try parts() { if case .step(let report) = $0 { reports.append(report) } }
        #expect(reports.count == 8)
        for (part, report) in zip(reports, whole) {
            #expect(abs(part.loss - report.loss) <= 2e-6 * report.loss)
            #expect(part.teacher?.taught == report.teacher?.taught)
        }
    }

    /// A model may learn from what it was: at first there is nothing to learn.
    @Test func itself() throws {
        var run = try run("gpt-neox")
        run.job.teacher = run.model
        (run.job.teacherWeight, run.job.steps) = (0.5, 2)
        var reports: [StepReport] = []
        try run() { if case .step(let report) = $0 { reports.append(report) } }
        let figures = reports.compactMap(\.teacher?.divergence)
        #expect(figures.count == 2 && abs(figures[0]) < 1e-6 && figures[1] > 1e-5)
    }

    /// The step log and the record have what the loss is made of, and the page shows it.
    @Test func reported() throws {
        var run = try run("grown")
        run.job.log = folder.path("log.jsonl")
        try run()
        let lines = try String(contentsOfFile: folder.path("log.jsonl"), encoding: .utf8).split(
            separator: "\n")
        let first = try JSON(parsing: Array(lines[0].utf8), file: "log")
        let step = try #require(expected("grown").run["steps"]?[0])
        for key in ["kl", "cross_entropy"] {
            let value = try #require(first["teacher"]?[key]?.double)
            let expected = try #require(step[key]?.double)
            #expect(abs(value - expected) < 1e-5)
        }
        #expect(first["teacher"]?["taught"]?.int == 30 && first["teacher"]?["targets"]?.int == 46)
        let history = try RunHistory.find(folder.path("out"))
        #expect(history.steps.compactMap(\.teacher).count == 8)
        #expect(history.facts?["teacher"]?["shared_tokens"]?.int == 67)
        let page = String(decoding: RunPage([history]).html, as: UTF8.self)
        #expect(page.contains("<h2 id=\"teacher\">") && page.contains("taught 240 of 368 targets"))
    }

    // MARK: What is taught

    /// What the teacher can't read, and what comes behind it in its document, is not taught; nor is a target that it has not.
    @Test func rowsThatAreTaught() {
        var batch = TokenBatch(
            batch: 2, sequenceLength: 6, tokens: [0, 1, 5, 1, 0, 1, 0, 0, 1, 1, 0, 0],
            targets: [1, 5, 1, -1, 1, 0, 0, 1, 1, 0, 0, 5])
        batch.attentionStart = [0, 0, 0, 0, 4, 4, 0, 0, 0, 3, 3, 3]
        let tokens: [Int32] = [1, 0, 2, 3, 4, -1]
        #expect(batch.taughtRows(tokens: tokens, on: .all) == [0, 4, 5, 6, 7, 8, 9, 10])
        #expect(batch.taughtRows(tokens: tokens, on: .replay) == [])
        batch.isReplay = (0..<12).map { $0 == 5 || $0 > 8 }
        #expect(batch.taughtRows(tokens: tokens, on: .replay) == [5, 9, 10])
        let first = batch.sequence(0, tokens: tokens)
        #expect(first.tokens == [1, 0, 0, 0, 1, 0] && first.targetCount == 0)
        #expect(first.attentionStart == [0, 0, 0, 0, 4, 4])
    }
}
