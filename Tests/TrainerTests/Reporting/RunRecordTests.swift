import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct RunRecordTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try blankModel(in: folder)
    }

    private func request(
        _ output: String, resume: Bool = false, force: Bool = false, checkpointEvery: Int = 0
    ) -> JobRun {
        var job = TrainingJob()
        job.data = [TextSource(name: "en", path: example("data/english.val.jsonl"), weight: 3)]
        job.replay = [TextSource(name: "ko", path: example("data/korean.val.jsonl"), weight: 1)]
        job.eval = [TextSource(name: "set", path: example("data/english.val.jsonl"), weight: 1)]
        (job.steps, job.batch, job.length, job.lr) = (6, 2, 24, 1e-2)
        (job.fromScratch, job.checkpointEvery) = (true, checkpointEvery)
        job.evalAt = [0, 100]
        var run = JobRun(on: folder.path, to: folder.path(output))
        (run.job, run.options.threads, run.options.tool) = (job, 2, "trainer test")
        (run.options.force, run.options.resume) = (force, resume)
        return run
    }

    private func run(_ request: JobRun) throws {
        _ = try request()
    }

    private func stop(_ request: JobRun, after limit: Int) throws {
        final class Counter { var value = 0 }
        let count = Counter()
        let run = try TrainingLoop(request.prepared()) { if case .step = $0 { count.value += 1 } }
        #expect(throws: UserFacingError.self) { _ = try run { count.value >= limit } }
    }

    private func lines(_ output: String) throws -> [JSON] {
        try String(decoding: folder.bytes("\(output).run/record.jsonl"), as: UTF8.self)
            .split(separator: "\n").map { try JSON(parsing: Array($0.utf8), file: "record") }
    }

    private func happened(_ output: String) throws -> [String] {
        try lines(output).map { "\($0["event"]?.string ?? "step") \($0["step"]?.int ?? -1)" }
    }

    private static let steps = (1...6).map { "step \($0)" }

    @Test func tellsTheWholeRun() throws {
        try run(request("out"))
        #expect(
            try happened("out") == ["began 0", "evaluated 0"] + Self.steps + ["evaluated 6", "finished 6"])
        #expect(try folder.names("out.run") == ["record.jsonl", "tensorboard"])
        let history = try RunHistory.find(folder.path("out"))
        #expect(history.steps.map(\.step) == Array(1...6) && history.evaluations.map(\.step) == [0, 6])
        let facts = try #require(history.facts)
        #expect(facts["steps"] == 6 && facts["stages"]?[0]?["optimizer"]?["rate"] == 0.01)
        #expect(facts["asked"]?["lr"] == 0.01 && facts["tool"] == "trainer test")
        #expect(facts["sources"]?[1]?["replay"] == true && facts["sources"]?[0]?["weight"] == 3.0)
        let (weights, parameters) = (facts["memory"]?["weights"]?.int, facts["parameters"]?.int)
        #expect(try #require(weights) >= 4 * #require(parameters))
        let peak = try lines("out").last?["memory_bytes"]?.int
        #expect(try #require(peak) > 1_000_000)
        for path in ["out.run", "out.run/record.jsonl"] {
            #expect(try RunHistory.find(folder.path(path)).run == history.run)
        }
    }

    /// However a run was stopped, its record has every step and every evaluation once.
    @Test func goesOnWithoutAGapOrADoubleLine() throws {
        try run(request("straight"))
        try stop(request("stopped"), after: 2)
        #expect(try happened("stopped").suffix(2) == ["kept 2", "ended 2"])
        try stop(request("stopped", resume: true), after: 4)
        // The last evaluation is done when it is stopped; it is not told twice.
        try run(request("stopped", resume: true))
        let (one, other) = (
            try RunHistory.find(folder.path("straight")), try RunHistory.find(folder.path("stopped"))
        )
        #expect(one.run == other.run && one.steps.map(\.loss) == other.steps.map(\.loss))
        #expect(other.steps.map(\.step) == Array(1...6))
        #expect(other.evaluations.map(\.step) == [0, 6])
        #expect(other.evaluations.map(\.result) == one.evaluations.map(\.result))
        #expect(other.occurrences.map(\.name).filter { $0 == "resumed" }.count == 2)
        #expect(other.occurrences.last?.name == "finished")
    }

    /// What SIGKILL leaves: lines beyond the checkpoint, and half of one.
    @Test func linesBeyondTheCheckpointAreTakenAgain() throws {
        try stop(request("died", checkpointEvery: 4), after: 4)
        let path = folder.path("died.run/record.jsonl")
        let text = try String(contentsOfFile: path, encoding: .utf8)
        let name = try RunHistory.find(folder.path("died")).run
        let more = #"{"event": "not_kept", "run": "\#(name)", "step": 5, "reason": "none"}"#
        try (text + more + "\n{\"run\": \"\(name)\", \"st").write(
            toFile: path, atomically: true, encoding: .utf8)
        // A report of it can be made as it stands.
        #expect(try RunHistory.find(folder.path("died")).steps.count == 4)
        try run(request("died", resume: true))
        #expect(
            try happened("died") == ["began 0", "evaluated 0"] + Self.steps.prefix(4)
                + ["kept 4", "ended 4", "resumed 4", "step 5", "step 6", "evaluated 6", "finished 6"])
    }

    /// Of a run that takes no step nothing is written, and what another left stays as it was.
    @Test func aRunWithoutAStepLeavesTheRecordOfAnother() throws {
        try run(request("out"))
        let record = try folder.bytes("out.run/record.jsonl")
        try stop(request("out", force: true), after: 0)
        #expect(try folder.bytes("out.run/record.jsonl") == record)
        #expect(try folder.names("out.run") == ["record.jsonl", "tensorboard"])
        #expect(try folder.names("out.run/tensorboard").count == 1)
        try run(request("out", force: true))
        #expect(try happened("out").count == record.split(separator: UInt8(ascii: "\n")).count)
    }

    @Test func hostileFilesAreNamed() throws {
        for (name, text, kind, words) in [
            ("text", "no record\n{}\n", UserFacingError.Kind.malformed, "line 1"),
            ("empty", "", .malformed, "no line of a run"),
            ("other", #"{"run": "a", "step": 1}"# + "\n\n{}\n", .malformed, "line 1 is not of a run"),
            (
                "two",
                #"{"run": "a", "step": 0, "event": "x"}"# + "\n" + #"{"run": "b", "step": 0, "event": "x"}"#
                    + "\n",
                .inconsistent, "line 2 is of the run b"
            ),
            (
                "newer", #"{"run": "a", "step": 0, "event": "began", "format": 9}"# + "\n", .unsupported,
                "format 9"
            ),
        ] {
            let path = try folder.write(name, text)
            let error = #expect(throws: UserFacingError.self) { try RunHistory.read(path) }
            #expect(
                error?.kind == kind && error?.message.contains(words) == true, "\(error?.message ?? name)")
        }
        let error = #expect(throws: UserFacingError.self) { try RunHistory.find(folder.path("nowhere")) }
        #expect(error?.kind == .missing && error?.message.contains("nowhere.run/record.jsonl") == true)
    }
}

@Suite struct ObserverCostTests {
    /// What a run writes down of a step takes a small part of the shortest step; here in a build without optimisation.
    @Test func aStepIsWrittenDownInNoTime() throws {
        let folder = try TemporaryFolder()
        try blankModel(in: folder)
        var job = TrainingJob()
        job.data = (0..<4).map {
            TextSource(name: "source \($0)", path: example("data/english.val.jsonl"), weight: 1)
        }
        (job.steps, job.length, job.fromScratch) = (6, 24, true)
        let setup = try PreparedJob(job, on: folder.path, to: folder.path("out"))
        let reporters = RunReporters(
            [
                try StepLog(
                    path: folder.path("log"), run: "run", keepingUpTo: 0, resumes: false, replaces: false),
                RunRecord(of: setup, run: "run", in: folder.path, begun: 0, rollbacks: 0),
                EventFile(in: folder.path("events"), begun: 0, replacesOthers: false),
            ]
        ) { if case .notLogged(_, let reason) = $0 { Issue.record("\(reason)") } }
        reporters.tell(.started(step: 0, steps: 400, parameters: 1, tokensPerStep: 64))
        let figures = setup.sources.figures
        let clock = ContinuousClock()
        let time = clock.measure {
            for step in 1...400 {
                reporters.tell(
                    .step(
                        StepReport(
                            step: step, loss: 3.14159 / Double(step), tokens: 64 * step,
                            lr: 1e-3 / Double(step),
                            gradNorm: 1.2345678, seconds: 0.123456, sources: figures)))
            }
        }
        let mean = time / 400
        #expect(mean < .milliseconds(5), "\(mean)")
        if ProcessInfo.processInfo.environment["SHOW_TIMES"] != nil {
            print("written down in \(mean) a step")
        }
    }
}
