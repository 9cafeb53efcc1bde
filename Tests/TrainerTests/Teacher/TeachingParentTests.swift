import Formats
import Foundation
import Models
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("The parent as teacher") struct TeachingParentTests {
    let folder: TemporaryFolder

    /// `source`, a model in bfloat16 with a tokenizer, and `grown`, which has a layer and some tokens more.
    init() throws {
        folder = try TemporaryFolder()
        try barelyTrainedModel(in: folder)
        var vocabulary = VocabularyChange()
        (vocabulary.learn, vocabulary.corpus) = (40, [folder.path("korean.jsonl")])
        let grown = try Checkpoint.open(folder.path("source")).applying(DepthUpScaling(to: 3)).checkpoint
            .applying(vocabulary).checkpoint
        try CheckpointWriter().write(grown, to: folder.path("grown"))
    }

    private func run(
        to output: String = "healed", _ change: (inout TrainingJob) -> Void = { _ in }
    ) throws -> JobRun {
        var run = JobRun(on: folder.path("grown"), to: folder.path(output))
        run.job.data = [TextSource(name: "ko", path: folder.path("korean.jsonl"), weight: 0.5)]
        run.job.replay = [TextSource(name: "en", path: folder.path("english.jsonl"), weight: 0.5)]
        (run.job.steps, run.job.batch, run.job.length, run.job.lr) = (4, 2, 24, 1e-3)
        run.job.teacher = "parent"
        change(&run.job)
        try run.job.check()
        return run
    }

    private func figures(_ run: JobRun) throws -> [TeacherFigures] {
        var figures: [TeacherFigures] = []
        try run { if case .step(let report) = $0 { figures += [report.teacher].compactMap(\.self) } }
        return figures
    }

    /// New tokens are known by their spelling; with the replay alone no Korean text is taught.
    @Test func itIsWhatTheManifestNames() throws {
        let prepared = try run().prepared()
        let teacher = try #require(prepared.teacher)
        #expect(teacher.path == folder.path("source"))
        let rows = prepared.model.architecture.vocabularySize
        #expect(rows > 1_024 && teacher.sharedTokens == 1_024)
        #expect(teacher.shared.tokens.prefix(1_024).elementsEqual(0..<1_024))
        #expect(prepared.missingFiles.isEmpty)
        let row = try #require(JobExplanation(of: prepared).rows.first { $0.name == "teacher" })
        #expect(row.value == .string(teacher.path) && row.origin == .model)
        let all = try figures(run())
        let replay = try figures(
            run(to: "kept") {
                $0.teacherOn = .replay
                $0.teacherWeight = 1
            })
        #expect(all.count == 4 && replay.count == 4)
        let (most, some) = (all.map(\.taught).reduce(0, +), replay.map(\.taught).reduce(0, +))
        let targets = all.map(\.targets).reduce(0, +)
        // Half of the text is English.
        #expect(0 < some && some < most && most < targets && 2 * some <= targets + 48)
        #expect(all.allSatisfy { ($0.divergence ?? -1) > 0 })
    }

    /// Its weights are kept in two bytes each, and what they take is told.
    @Test func weightsAsTheyAreStored() throws {
        let prepared = try run().prepared()
        let teacher = try #require(prepared.stages.first?.teacher)
        let parameters = try PretrainedModel.open(folder.path("source")).layout.parameterCount
        let engine = try DefaultEngine(threads: 1)
        let stage = prepared.stages[0]
        let layout = try teacher.model.layout(training: .none)
        #expect(layout.trainedCount == 0)
        // Norms alone are float32, and each operand begins with a block.
        #expect(4 * layout.frozenWords < 3 * parameters)
        #expect(try stage.teacher(on: engine) { false } != nil)
        #expect(prepared.memory.teacher >= 4 * layout.frozenWords)
        let alone = try run { $0.teacher = nil }.prepared().memory
        #expect(alone.teacher == 0 && prepared.memory.total == alone.total + prepared.memory.teacher)
    }

    /// A stage may leave the teacher out, or have settings of its own.
    @Test func ofAStage() throws {
        let run = try run {
            $0.stages = [
                TrainingStage(["steps": 2, "teacher-weight": 0]),
                TrainingStage(["steps": 2, "teacher-on": "replay", "teacher-temperature": 2]),
            ]
        }
        let stages = try run.prepared().stages
        #expect(stages[0].teacher == nil && stages[0].memory.teacher == 0 && stages[1].teacher != nil)
        #expect(stages[1].plan.teaching == Teaching(weight: 0.5, temperature: 2, text: .replay))
        var reports: [StepReport] = []
        try run { if case .step(let report) = $0 { reports.append(report) } }
        #expect(reports.map { $0.teacher != nil } == [false, false, true, true])
    }

    @Test func contradictions() throws {
        let changes: [(String, (inout TrainingJob) -> Void)] = [
            ("--teacher-weight must be from 0 to 1, not 1.5", { $0.teacherWeight = 1.5 }),
            ("--teacher-temperature must be from 0.1 to 100, not 0", { $0.teacherTemperature = 0 }),
            ("--teacher-weight 0 leaves the teacher out", { $0.teacherWeight = 0 }),
            ("are of --teacher; name one", { ($0.teacher, $0.teacherOn) = (nil, .replay) }),
            ("--teacher parent needs the parent that --no-parent leaves out", { $0.noParent = true }),
            ("random weights have no parent", { $0.fromScratch = true }),
            ("and there are none", { ($0.teacherOn, $0.replay) = (.replay, []) }),
        ]
        for (message, change) in changes {
            var job = try run().job
            change(&job)
            let error = #expect(throws: UserFacingError.self) { try job.check(prefix: "--") }
            #expect(error?.message.contains(message) == true, "\(message): \(error?.message ?? "")")
        }
    }

    /// What can't teach the model is refused before anything is computed.
    @Test func refused() throws {
        let other = try TemporaryFolder()
        try blankModel(in: other, changes: ["max_position_embeddings": "16"])
        var short = JobRun(on: other.path, to: other.path("short"))
        short.job.data = [TextSource(name: "en", path: folder.path("english.jsonl"), weight: 1)]
        (short.job.steps, short.job.batch, short.job.fromScratch) = (1, 1, true)
        try short()
        #expect {
            try run { $0.teacher = other.path("short") }.prepared()
        } throws: {
            "\($0)".contains("sees 16 tokens, and the run's sequences have 24; give --length 16 or less")
        }
        // A golden has no tokenizer, and the run's model has.
        #expect {
            try run { $0.teacher = try? fixture("golden/gemma2") }.prepared()
        } throws: {
            "\($0)".contains("which of their tokens mean the same is not known")
        }
        let words = (0..<900).map { "\"w\($0)\": \($0)" }.joined(separator: ", ")
        try FileManager.default.copyItem(
            atPath: folder.path("source"), toPath: folder.path("stranger"))
        try folder.write(
            "stranger/tokenizer.json",
            """
            {"version": "1.0", "added_tokens": [], "normalizer": null, "pre_tokenizer": {"type": "Whitespace"},
             "post_processor": null, "decoder": null,
             "model": {"type": "WordLevel", "vocab": {\(words)}, "unk_token": "w0"}}
            """)
        #expect {
            try run { $0.teacher = folder.path("stranger") }.prepared()
        } throws: {
            "\($0)".contains("it reads texts as other tokens. A teacher needs the same tokenizer")
        }
        // Without its source the grown model has no parent.
        try FileManager.default.removeItem(atPath: folder.path("source"))
        #expect {
            try run().prepared()
        } throws: {
            "\($0)".contains("the parent can't be the teacher: ") && "\($0)".contains("name it with --parent")
        }
        var dry = try run()
        dry.options.isDryRun = true
        #expect(try dry.prepared().missingFiles.first?.contains("the parent, as teacher") == true)
    }
}
