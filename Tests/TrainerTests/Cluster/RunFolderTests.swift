import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

/// The run folder of `--on torchrun`, and what is made of its result; no Python is started.
@Suite("Run folders for another engine") struct RunFolderTests {
    private let folder: TemporaryFolder
    private let settings = ClusterSettings(processes: 2, device: .cpu)
    private static let groups = [
        "old-output-rows: freeze", "new-rows: rate=2, decay=0", "old-input-rows: rate=0.1",
        "copied-layers: rate=0.5",
    ]

    /// The golden Llama with layers 0, 1, 1, 2 and 40 more rows is written as `grown`.
    init() throws {
        folder = try TemporaryFolder()
        var resize = VocabularyChange()
        resize.size = 251
        let model = try GoldenModel(name: "llama").checkpoint().applying(DepthUpScaling(to: 4)).checkpoint
            .applying(resize).checkpoint
        try CheckpointWriter().write(model, to: folder.path("grown"))
    }

    private func run(_ change: (inout TrainingJob) -> Void = { _ in }) throws -> JobRun {
        var run = JobRun(on: folder.path("grown"), to: folder.path("healed"))
        run.job.ids = try fixture("groups/rows.safetensors")
        (run.job.steps, run.job.batch, run.job.lr, run.job.embeddingLr) = (3, 2, 3e-3, 3e-3)
        (run.job.moments, run.job.gradients, run.job.groups) = (.f32, .f32, Self.groups)
        change(&run.job)
        return run
    }

    private func planned(_ change: (inout TrainingJob) -> Void = { _ in }) throws -> RunFolder {
        try RunFolder.write(run(change).prepared(), settings, to: folder.path("healed.cluster"))
    }

    private func numbers(_ name: String) throws -> [Int32] {
        let bytes = try Data(contentsOf: URL(filePath: folder.path("healed.cluster/\(name)")))
        return stride(from: 0, to: bytes.count, by: 4).map { place in
            (0..<4).reduce(Int32(0)) { $0 | Int32(bitPattern: UInt32(bytes[place + $1]) << UInt32(8 * $1)) }
        }
    }

    private func lines(_ name: String) throws -> [JSON] {
        try String(contentsOf: URL(filePath: folder.path("healed.cluster/\(name)")), encoding: .utf8)
            .split(separator: "\n").map { try JSON(parsing: Array($0.utf8), file: name) }
    }

    // MARK: Writing

    @Test func rowsHaveTheirRates() throws {
        let stage = try planned().job.stages[0]
        func rows(_ start: Int, _ end: Int, _ rate: Double, _ decay: Double, frozen: Bool = false)
            -> ClusterJob.Rows
        {
            ClusterJob.Rows(rows: [start, end], rate: rate, decay: decay, frozen: frozen)
        }
        #expect(stage.tensors.count == 39)
        #expect(stage.tensors["model.embed_tokens.weight"] == [rows(0, 211, 0.1, 0.1), rows(211, 251, 2, 0)])
        #expect(stage.tensors["lm_head.weight"] == [rows(0, 211, 1, 0, frozen: true), rows(211, 251, 2, 0)])
        #expect(stage.tensors["model.norm.weight"]?.map(\.decay) == [0])
        // Queries, keys and values are one operand, and yet each tensor has rows of its own.
        for name in ["q_proj", "k_proj", "v_proj"] {
            let own = try #require(stage.tensors["model.layers.2.self_attn.\(name).weight"])
            let height = try Checkpoint.open(folder.path("grown"))
                .tensors["model.layers.2.self_attn.\(name).weight"]?.shape[0]
            #expect(own.map(\.rows) == [[0, height ?? 0]] && own.map(\.rate) == [0.5], "\(name)")
        }
    }

    /// The file of a stage has what the run would train on, step by step, the stages' data one after the other.
    @Test func sequencesAreTheRuns() throws {
        let prepared = try run {
            $0.stages = [
                TrainingStage(["groups": ["new-rows: rate=1", "rest: freeze"], "steps": 2]),
                TrainingStage(["lr": 1e-3, "steps": 3]),
            ]
        }.prepared()
        let written = try RunFolder.write(prepared, settings, to: folder.path("healed.cluster"))
        var batches: [TokenBatch] = []
        for (index, steps) in [2, 3].enumerated() {
            var expected: [Int32] = []
            var data = prepared.stages[index].data
            for _ in 0..<steps {
                let batch = try data.next(2)
                batches.append(batch)
                for row in 0..<2 {
                    let range = row * 24..<(row + 1) * 24
                    expected += batch.tokens[range] + batch.targets[range] + batch.attentionStart[range]
                }
            }
            #expect(try numbers("stage-\(index + 1).tokens") == expected)
        }
        var shown: [TokenBatch] = []
        try written.forEachStep([1: 0, 3: 0, 4: 1, 5: 2]) { shown.append($0) }
        #expect(shown.map(\.tokens) == (batches[..<1] + batches[2...]).map(\.tokens))
        #expect(shown.map(\.targets) == (batches[..<1] + batches[2...]).map(\.targets))
        #expect(!batches[1].documents.isEmpty)
        let lines = try lines("steps.jsonl")
        #expect(lines.map { $0["step"]?.int } == [1, 2, 3, 4, 5])
        #expect(lines.map { $0["stage"]?.int } == [0, 0, 1, 1, 1])
        #expect(lines.map { $0["documents"]?.string } == batches.map { DocumentReference.list($0.documents) })
        #expect(lines.map { $0["targets"]?.int } == [46, 46, 46, 46, 46])
        #expect(lines.map { $0["tokens"]?.int } == [48, 96, 144, 192, 240])
        let schedule = prepared.stages[1].plan.schedule
        #expect(lines[2...].map { $0["factor"]?.double } == (0..<3).map { schedule.factor(at: $0) })
    }

    /// A stage with a teacher tells of each target whether it is taught, and a file what the teacher calls the tokens.
    @Test func whatIsTaughtIsTold() throws {
        let teacher = try fixture("golden/llama")
        let prepared = try run {
            $0.teacher = teacher
            $0.stages = [
                TrainingStage(["teacher-weight": 0, "steps": 2]),
                TrainingStage(["teacher-temperature": 2, "steps": 3]),
            ]
        }.prepared()
        let written = try RunFolder.write(prepared, settings, to: folder.path("healed.cluster"))
        #expect(written.job.stages.map(\.parts) == [3, 4])
        #expect(written.job.stages[1].teaching == Teaching(weight: 0.5, temperature: 2, text: .all))
        let named = try #require(written.job.teacher)
        #expect(named.model.path == teacher && named.model.files.map(\.name) == ["model.safetensors"])
        let tokens = try numbers(named.tokens)
        #expect(tokens == (0..<251).map { $0 < 211 ? $0 : -1 })
        let rows = try numbers("stage-2.tokens")
        var (data, taught): (any TrainingData, [Int32]) = (prepared.stages[1].data, [])
        for step in 0..<3 {
            let batch = try data.next(2)
            let own = batch.taughtRows(tokens: tokens, on: .all)
            for row in 0..<2 {
                let start = (step * 2 + row) * 4 * 24
                #expect(Array(rows[start..<start + 24]) == Array(batch.tokens[row * 24..<(row + 1) * 24]))
                taught += rows[start + 72..<start + 96]
                let places = (0..<24).filter { rows[start + 72 + $0] == 1 }
                #expect(places == own.filter { $0 / 24 == row }.map { $0 % 24 })
            }
        }
        #expect(taught.contains(0) && taught.contains(1))
        var shown: [TokenBatch] = []
        try written.forEachStep([3: 0]) { shown.append($0) }
        #expect(shown.map(\.tokens) == [Array(rows[0..<24] + rows[96..<120])])
    }

    /// Behind which layers hidden states are compared, and in how many steps.
    @Test func hiddenStatesAreTold() throws {
        let teacher = try fixture("golden/llama")
        let written = try planned {
            ($0.teacher, $0.teacherHidden, $0.steps) = (teacher, "0.25:0.5", 6)
        }
        let hidden = HiddenTeaching(weight: 0.25, steps: 3, own: [1, 3], parents: [1, 2])
        #expect(written.job.stages[0].teaching?.hidden == hidden)
        let told = try JSON.read(path: written.path + "/job.json")["stages"]?[0]?["teaching"]?["hidden"]
        #expect(told == ["own": [1, 3], "parents": [1, 2], "steps": 3, "weight": 0.25])
        #expect(try RunFolder.open(written.path).job.stages[0].teaching?.hidden == hidden)
    }

    /// A folder of an earlier version may mean something else.
    @Test func earlierVersionsAreRefused() throws {
        let path = try planned().path
        var job = try JSON.read(path: path + "/job.json")
        #expect(job["version"] == 4)
        job["version"] = 3
        try folder.write("healed.cluster/job.json", String(decoding: job.serialized(), as: UTF8.self))
        let error = try #require(throws: UserFacingError.self) { try RunFolder.open(path) }
        #expect(error.message.contains("job.json is not of version 4 of 'model-surgery job'"))
    }

    /// A byte of any file that was planned is another, or the file is gone.
    @Test(arguments: [
        "job.json", "steps.jsonl", "spare.jsonl", "stage-1.tokens", "teacher.tokens", "config.json",
        "config-teacher.json", "worker.py", "job.py", "hosts.py", "opening.py", "parameters.py", "losses.py",
        "teacher.py", "rows.py", "rules.py", "requirements.txt",
    ]) func changedFoldersAreRefused(name: String) throws {
        let teacher = try fixture("golden/llama")
        let path = try planned { ($0.guarding, $0.teacher) = (.rollback, teacher) }.path
        #expect(try RunFolder.open(path).job.run.count == 16)
        let file = URL(filePath: "\(path)/\(name)")
        var bytes = try Data(contentsOf: file)
        // Another digit, so that a text is still one.
        let place = try #require(
            bytes.firstIndex { UInt8(ascii: "0")...UInt8(ascii: "8") ~= $0 } ?? bytes.indices.first)
        bytes[place] ^= 1
        try bytes.write(to: file)
        let changed = try #require(throws: UserFacingError.self) { try RunFolder.open(path) }
        #expect(changed.message.contains("\(name) is not what was"), "\(changed.message)")
        try FileManager.default.removeItem(at: file)
        let missing = try #require(throws: UserFacingError.self) { try RunFolder.open(path) }
        #expect(missing.kind == .missing && missing.message.contains(name))
    }

    @Test(arguments: [
        (
            "sizes",
            "--on does not know --guard rollback where a stage goes on with the data of the one before"
        ),
        ("8bit", "--on does not know --moments 8bit, whose blocks of 256 numbers share a scale"),
    ]) func whatTheWorkerCannotDoIsRefused(name: String, message: String) throws {
        let error = try #require(throws: UserFacingError.self) {
            try planned { job in
                switch name {
                case "8bit": job.moments = .int8
                default:
                    (job.guarding, job.groups) = (.rollback, [])
                    job.stages = [TrainingStage(["steps": 2]), TrainingStage(["steps": 2, "batch": 4])]
                }
            }
        }
        #expect(error.message.hasPrefix(message))
        #expect(!FileManager.default.fileExists(atPath: folder.path("healed.cluster")))
    }

    /// What is rounded goes by places of the trainer's own engine.
    @Test func storageIsTold() throws {
        let stage = try planned { ($0.moments, $0.gradients) = (.bf16, .bf16) }.job.stages[0]
        let storage = try #require(stage.storage)
        #expect(stage.moments == .bf16 && storage.keys.sorted() == stage.tensors.keys.sorted())
        #expect(Set(storage.values.map(\.place)).count == storage.count)
        #expect(storage["lm_head.weight"]?.gradient == .f32)
        #expect(storage["model.layers.2.mlp.down_proj.weight"]?.gradient == .bf16)
    }

    // MARK: Adopting

    /// Writes what a worker would: every trained number but those of frozen rows is one more.
    private func finish(
        _ run: RunFolder, leavingOut: String? = nil, value: Float? = nil, movingFrozen: Bool = false
    ) throws {
        let model = try Checkpoint.open(folder.path("grown"))
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for name in run.job.stages[0].tensors.keys.sorted() where name != leavingOut {
            let old = try #require(model.tensors[name])
            let width = old.elementCount / old.shape[0]
            let frozen = run.job.frozenRows(of: name)
            let floats = try old.floats().enumerated().map { place, number in
                !movingFrozen && frozen.contains { $0.contains(place / width) } ? number : value ?? number + 1
            }
            tensors[name] = try .stored(MemoryTensor(name: name, shape: old.shape, floats: floats))
        }
        let result = Checkpoint(path: "result", tensors: tensors, auxiliaryFiles: [], metadata: [:])
        try CheckpointWriter(options: WriteOptions(checksums: false)).write(result, to: run.path + "/result")
        let steps = try lines("steps.jsonl").map { line in
            """
            {"event":"step","step":\(line["step"]?.int ?? 0),"draw":\((line["step"]?.int ?? 1) - 1),"loss":2.5,"grad_norm":1,"lr":0.003,"seconds":0.1,"tokens":48,"sources":{}}
            """
        }
        let events =
            [
                #"{"event":"started","step":0,"processes":2}"#, steps[0], steps[1],
                // It was stopped there, and went on from the step before.
                #"{"event":"stopped","step":2}"#, #"{"event":"started","step":1,"processes":3}"#,
            ] + steps[1...] + [#"{"event":"finished","step":3,"result_step":3}"#]
        try folder.write("healed.cluster/events.jsonl", events.joined(separator: "\n") + "\n")
    }

    @Test func resultsComeHome() throws {
        let run = try planned()
        try finish(run)
        var (steps, drift): ([Int], [Drift]) = ([], [])
        let outcome = try Adoption(run.path, options: RunOptions())(notify: {
            if case .step(let step) = $0 { steps.append(step.step) }
            if case .drifted(3, let parts) = $0 { drift = parts }
        })
        #expect(!drift.isEmpty && drift == outcome.drift)
        #expect(steps == [1, 2, 3] && outcome.step == 3)
        let (before, after) = (
            try Checkpoint.open(folder.path("grown")), try Checkpoint.open(folder.path("healed"))
        )
        let (old, new) = (
            try #require(before.tensors["lm_head.weight"]), try #require(after.tensors["lm_head.weight"])
        )
        #expect(try old.rows(0..<211).floats() == new.rows(0..<211).floats())
        #expect(try old.rows(211..<251).floats().map { $0 + 1 } == new.rows(211..<251).floats())
        #expect(after.tensors.mapValues(\.shape) == before.tensors.mapValues(\.shape))
        #expect(after.manifest?.operations.last?.parameters["on"]?.string == "torchrun")
        #expect(try RunHistory.find(folder.path("healed")).steps.map(\.step) == [1, 2, 3])
    }

    @Test func badResultsAreRefused() throws {
        let run = try planned()
        func message() throws -> String {
            let error = try #require(throws: UserFacingError.self) {
                try Adoption(run.path, options: RunOptions())()
            }
            try FileManager.default.removeItem(atPath: run.path + "/result")
            return error.message
        }
        try finish(run, leavingOut: "model.norm.weight")
        #expect(try message().contains("the tensor 'model.norm.weight' is not there"))
        try finish(run, movingFrozen: true)
        #expect(try message().contains("row 0 of 'lm_head.weight' is frozen and has other bytes"))
        try finish(run, value: .infinity)
        #expect(try message().contains("infinit"))
        #expect(!FileManager.default.fileExists(atPath: folder.path("healed")))
    }

    // MARK: Python

    @Test(arguments: [
        ("3.9.2 2.6.0 5.0.0", "has Python 3.9.2, and the worker needs 3.10 or newer"),
        ("3.11.7 2.5.1+cu124 5.0.0", "has torch 2.5.1+cu124, and the worker needs 2.6 or newer"),
        ("3.11.7 none 5.0.0", "has no torch; install torch 2.6 or newer"),
        ("3.11.7 2.15.0 4.57.1", "has transformers 4.57.1, and the worker needs 5.0 or newer"),
    ]) func wrongVersionsAreRefused(printed: String, expected: String) throws {
        let error = try #require(throws: UserFacingError.self) {
            try PythonEnvironment.read(printed, of: "python3")
        }
        #expect(error.message.contains(expected))
    }

    /// The Python is the one that stands in the first line of the first torchrun on the path.
    @Test func pythonIsTorchruns() throws {
        let python = try script("python3", "echo 3.11.7 2.15.0 5.24.0")
        try folder.makeFolder("bin")
        try folder.write("bin/torchrun", "#!\(python)\nfrom torch.distributed.run import main\n")
        let found = try PythonEnvironment.find(nil, searchPath: "/nowhere:\(folder.path("bin"))")
        #expect(found.path == python && found.torch == "2.15.0")
        #expect(throws: UserFacingError.self) { try PythonEnvironment.find(nil, searchPath: "/nowhere") }
    }

    /// What a process says it fails by is what the run fails by; the folder stays.
    @Test func failuresAreTold() throws {
        let python = try script(
            "python3",
            """
            if [ "$1" = -c ]; then echo 3.11.7 2.15.0 5.24.0; exit; fi
            for job; do :; done
            echo '{"event": "failed", "rank": 1, "refused": true, "message": "PyTorch finds no GPU here"}' >> "$(dirname "$job")/events.jsonl"
            exit 1
            """)
        var settings = settings
        settings.python = python
        let run = try ClusterRun(run().prepared(), settings)
        let error = try #require(throws: UserFacingError.self) {
            try run(isCancelled: { false }) { _ in }
        }
        #expect(error.message == "process 1: PyTorch finds no GPU here")
        #expect(FileManager.default.fileExists(atPath: folder.path("healed.cluster/job.json")))
    }

    private func script(_ name: String, _ text: String) throws -> String {
        let path = try folder.write(name, "#!/bin/sh\n\(text)\n")
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return path
    }
}
