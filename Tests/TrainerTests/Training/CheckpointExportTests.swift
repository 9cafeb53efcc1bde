import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

@Suite("A model of a run's checkpoint") struct CheckpointExportTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// A run of a few steps on a golden model and its rows, which keeps its checkpoints.
    private func run(
        _ output: String, on model: String, rows: String, stages: [JSONObject] = []
    ) throws -> JobRun {
        var run = JobRun(on: model, to: folder.path(output))
        run.job.ids = rows
        (run.job.steps, run.job.batch, run.job.lr, run.job.schedule) = (4, 1, 3e-3, .constant)
        (run.job.keep, run.job.checkpointEvery) = (2, 2)
        run.job.stages = stages.map { TrainingStage($0) }
        (run.options.threads, run.options.tool) = (2, "test 1")
        return run
    }

    /// A run on a golden model.
    private func golden(
        _ name: String, _ output: String, stages: [JSONObject] = []
    ) throws -> JobRun {
        let model = try GoldenModel(name: name).folder
        return try run(output, on: model, rows: model + "/golden.safetensors", stages: stages)
    }

    /// A golden model's own files, in a folder that a test may change.
    private func copy(of name: String, as copy: String) throws -> String {
        try CheckpointWriter().write(GoldenModel(name: name).checkpoint(), to: folder.path(copy))
        return folder.path(copy)
    }

    @discardableResult
    private func export(
        _ checkpoint: String, to output: String, of model: String? = nil, average: Bool = false
    ) throws -> CheckpointExport {
        var options = RunOptions()
        options.tool = "test 1"
        let export = try CheckpointExport(
            folder.path(checkpoint), of: model, average: average, to: folder.path(output), options: options)
        try export.writer.write(export.plan)
        return export
    }

    private func bytes(_ path: String) throws -> Data {
        try Data(contentsOf: URL(filePath: folder.path(path)))
    }

    private func message(_ body: () throws -> some Any) -> String {
        do {
            _ = try body()
            return ""
        } catch { return "\(error)" }
    }

    /// The last checkpoint is the run's result, all of it: models whose tensors are joined, transposed, tied, experts'.
    @Test(arguments: ["llama", "gpt2", "qwen2", "mixtral", "gemma3"])
    func theLastCheckpointIsTheResult(name: String) throws {
        let run = try golden(name, "healed")
        _ = try run()
        let export = try export("healed.run/step-000004", to: "exported")
        #expect(export.step == 4 && export.stage == nil && export.warnings == export.model.notes)
        let names = try folder.names("healed")
        #expect(try folder.names("exported") == names && names.contains("model.safetensors"))
        for name in names {
            #expect(try bytes("exported/\(name)") == bytes("healed/\(name)"), "\(name)")
        }
        // The one before is another, of the same run.
        try self.export("healed.run/step-000002", to: "earlier")
        #expect(try bytes("earlier/model.safetensors") != bytes("healed/model.safetensors"))
        let (first, last) = try (
            Manifest.read(path: folder.path("earlier/surgery.json")),
            Manifest.read(path: folder.path("healed/surgery.json"))
        )
        let (early, late) = (first.operations.last?.parameters, last.operations.last?.parameters)
        #expect(early?["steps"] == 2 && late?["steps"] == 4 && early?["run"] == late?["run"])
        for (name, lineage) in first.lineage where last.lineage[name]?.kind == .computed {
            #expect(lineage.runs.map(\.source?.tensor) == [name], "\(name)")
        }
    }

    /// Stages with parts of the model and bases of their own, the first kept at its end.
    @Test func aStagesCheckpointHasItsSettings() throws {
        var run = try golden(
            "llama", "healed",
            stages: [
                [
                    "name": "rows", "steps": 2, "train": ["model.embed_tokens.weight"], "keep-end": true,
                    "rope-theta": 5e4,
                ],
                ["name": "layers", "steps": 2, "freeze": ["model.embed_tokens.weight"], "rope-theta": 1e6],
            ])
        run.job.keep = 1
        _ = try run()
        #expect(
            try folder.names("healed.run").filter { $0.hasPrefix("step") } == ["step-000002", "step-000004"])
        try export("healed.run/step-000004", to: "exported")
        for name in try folder.names("healed") {
            #expect(try bytes("exported/\(name)") == bytes("healed/\(name)"), "\(name)")
        }
        let early = try export("healed.run/step-000002", to: "earlier")
        #expect(
            early.stage == "rows" && early.warnings.last?.contains("trained only in later stages") == true)
        let (first, last) = try (
            PretrainedModel.open(folder.path("earlier")), PretrainedModel.open(folder.path("healed"))
        )
        #expect(first.architecture.layers[0].attention.rotary?.theta == 5e4)
        #expect(last.architecture.layers[0].attention.rotary?.theta == 1e6)
        let source = try GoldenModel(name: "llama").checkpoint()
        for (name, tensor) in source.tensors {
            let now = try #require(first.checkpoint.tensors[name]).floats()
            // What the second stage leaves alone is what the first has made of it.
            if name == "model.embed_tokens.weight" {
                #expect(try now != tensor.floats() && now == last.checkpoint.tensors[name]?.floats())
            } else {
                #expect(try now == tensor.floats(), "\(name)")
            }
        }
    }

    /// The mean of two exported checkpoints, by plain loops.
    @Test(arguments: ["llama", "mistral"]) func checkpointsHaveAMean(name: String) throws {
        _ = try golden(name, "healed")()
        for step in [2, 4] { try export("healed.run/step-00000\(step)", to: "step-\(step)") }
        let first = try Checkpoint.openModel(folder.path("step-2"))
        let last = try Checkpoint.openModel(folder.path("step-4"))
        let mean = try first.applying(Averaging(with: [folder.path("step-4")])).checkpoint
        #expect(mean.tensors.count == first.tensors.count)
        var moved = 0
        for (name, tensor) in mean.tensors {
            let (a, b) = try (#require(first[name]).floats(), #require(last[name]).floats())
            let exact = try TensorExpression.stored(
                MemoryTensor(name: name, shape: tensor.shape, floats: zip(a, b).map { 0.5 * $0 + 0.5 * $1 })
            ).cast(to: tensor.type)
            #expect(try tensor.floats() == exact.floats(), "\(name)")
            if a != b { moved += 1 }
        }
        #expect(moved > 10)
    }

    /// The running average is what a run makes that is asked for it; GPT-2's matrices lie the other way round.
    @Test(arguments: ["llama", "gpt2"]) func theAverageIsThatOfTheRun(name: String) throws {
        var run = try golden(name, "average")
        (run.job.result, run.job.averageDecay) = (.average, 0.5)
        _ = try run()
        try export("average.run/step-000004", to: "exported", average: true)
        for name in try folder.names("average") {
            #expect(try bytes("exported/\(name)") == bytes("average/\(name)"), "\(name)")
        }
        try export("average.run/step-000004", to: "weights")
        _ = try golden(name, "healed")()
        #expect(try bytes("weights/model.safetensors") == bytes("healed/model.safetensors"))
        let none = message { try export("healed.run/step-000004", to: "none", average: true) }
        #expect(none.contains("only a run with --result average keeps one"), "\(none)")
        #expect(!FileSystem.exists(folder.path("none")))
    }

    @Test func aRunFromScratchHasCheckpointsToo() throws {
        try blankModel(in: folder)
        var run = JobRun(on: folder.path, to: folder.path("healed"))
        run.job.fromScratch = true
        run.job.data = [TextSource(path: example("data/english.val.jsonl"))]
        (run.job.steps, run.job.batch, run.job.length, run.job.keep) = (2, 1, 24, 1)
        run.options.tool = "test 1"
        _ = try run()
        try export("healed.run/step-000002", to: "exported")
        #expect(try bytes("exported/model.safetensors") == bytes("healed/model.safetensors"))
    }

    /// The model may lie elsewhere, and no other is taken for it.
    @Test func onlyTheRunsModelIsTaken() throws {
        let model = try copy(of: "llama", as: "base")
        let rows = try GoldenModel(name: "llama").folder + "/golden.safetensors"
        var run = try run("healed", on: model, rows: rows)
        run.job.freeze = ["model.layers.0.mlp.*"]
        _ = try run()
        let step = "healed.run/step-000004"
        let moved = folder.path("moved")
        try FileManager.default.moveItem(atPath: model, toPath: moved)
        let gone = message { try export(step, to: "exported") }
        #expect(gone.contains("\(model), which is not there any more; name it with --model"), "\(gone)")
        try export(step, to: "exported", of: moved)
        #expect(try bytes("exported/model.safetensors") == bytes("healed/model.safetensors"))

        // A tensor that no stage trains, a setting, and a model of another shape.
        func changed(_ change: (inout Checkpoint) throws -> Void) throws -> String {
            var other = try Checkpoint.open(moved)
            try change(&other)
            try? FileSystem.remove(folder.path("other"))
            try CheckpointWriter().write(other, to: folder.path("other"))
            return message { try export(step, to: "none", of: folder.path("other")) }
        }
        let frozen = "model.layers.0.mlp.down_proj.weight"
        let values = try changed {
            $0.tensors[frozen] = try #require($0.tensors[frozen]).scaled(by: 2)
        }
        #expect(values.contains("values of tensors that the run does not train"), "\(values)")
        let setting = try changed { $0.configuration?["bos_token_id"] = 7 }
        #expect(setting.contains("is not the model that the run of"), "\(setting)")
        #expect(setting.contains("began with: other config.json. Name that one"), "\(setting)")
        let trained = "model.layers.1.mlp.down_proj.weight"
        let types = try changed {
            let old = try #require($0.tensors[trained])
            $0.tensors[trained] = try old.cast(to: old.type == .f32 ? .bf16 : .f32)
        }
        #expect(types.contains("names, types or shapes of its tensors"), "\(types)")
        #expect(!FileSystem.exists(folder.path("none")))
    }

    /// What a surgery has made and nobody wrote has no place; written, it is the run's model.
    @Test func aModelThatWasNotWrittenIsNamed() throws {
        let grown = try GoldenModel(name: "llama").checkpoint().applying(DepthUpScaling(to: 4)).checkpoint
        var run = try golden("llama", "healed")
        run.checkpoint = grown
        _ = try run()
        let step = "healed.run/step-000004"
        let open = message { try export(step, to: "none") }
        #expect(open.contains("write it and name it with --model"), "\(open)")
        try CheckpointWriter().write(grown, to: folder.path("grown"))
        try export(step, to: "exported", of: folder.path("grown"))
        #expect(try bytes("exported/model.safetensors") == bytes("healed/model.safetensors"))
    }

    /// A byte of a tensor or of the record that is another, or not there, is found by whoever reads a checkpoint.
    @Test func whatIsDamagedIsNotUsed() throws {
        var run = try golden("llama", "healed")
        run.options.resume = true
        func stop() throws {
            final class Counter { var value = 0 }
            let taken = Counter()
            let loop = try TrainingLoop(run.prepared()) { if case .step = $0 { taken.value += 1 } }
            #expect(throws: UserFacingError.self) { _ = try loop { taken.value >= 3 } }
        }
        try stop()
        let step = "healed.run/step-000003"
        #expect(try folder.names(step) == ["checksums.json", "model.safetensors", "run.json"])
        var next = try golden("llama", "next")
        next.job.from = folder.path(step)
        func messages() throws -> [String] {
            [
                message { try TrainingLoop(run.prepared()) { _ in } },
                message { try next.prepared() }, message { try export(step, to: "none") },
            ]
        }
        #expect(try messages() == ["", "", ""])
        try FileSystem.remove(folder.path("none"))
        let damages: [(file: String, words: String, (inout Data) -> Void)] = [
            ("model.safetensors", "its tensors are not what was written", { $0[$0.count - 5] ^= 1 }),
            ("model.safetensors", "its tensors are not what was written", { $0.removeLast(8) }),
            (
                "run.json", "its record is not what was written",
                {
                    $0 = Data(
                        String(decoding: $0, as: UTF8.self).replacing(
                            "\"rollbacks\" : 0", with: "\"rollbacks\" : 1"
                        ).utf8)
                }
            ),
            ("checksums.json", "its checksums.json is gone or is none", { $0 = Data() }),
        ]
        for (file, words, damage) in damages {
            let whole = try bytes("\(step)/\(file)")
            var bytes = whole
            damage(&bytes)
            try #require(bytes != whole)
            try folder.write("\(step)/\(file)", bytes)
            for text in try messages() {
                #expect(text.contains("step-000003 is damaged: \(words)"), "\(text)")
                #expect(text.contains("of which step-000002 are kept"), "\(text)")
            }
            try folder.write("\(step)/\(file)", whole)
        }
        // Of another build, which is no damage.
        let record = try String(decoding: bytes("\(step)/run.json"), as: UTF8.self)
        try folder.write("\(step)/run.json", record.replacing("\"version\" : 4", with: "\"version\" : 3"))
        for text in try messages() {
            #expect(text.contains("run.json is of version 3, which another build of the trainer"), "\(text)")
        }
        // From the one before it the run goes on.
        run.options.atStep = 2
        try run()
        #expect(try !kept("none") && kept("healed"))
    }

    private func kept(_ output: String) throws -> Bool { FileSystem.exists(folder.path(output)) }

    @Test func whatIsNoCheckpointIsNamed() throws {
        _ = try golden("llama", "healed")()
        let none = message { try export("healed", to: "none") }
        #expect(none.contains("is no checkpoint of a run, as OUT.run/step-000200 is"), "\(none)")
        let step = "healed.run/step-000004"
        let record = try String(decoding: bytes("\(step)/run.json"), as: UTF8.self)
        func broken(_ text: String) throws -> String {
            try folder.write("\(step)/run.json", text)
            return message { try export(step, to: "none") }
        }
        #expect(try broken("{").contains("run.json is not what was written"))
        let stage = record.replacing(#""stage" : 0"#, with: #""stage" : 3"#)
        #expect(try stage != record && broken(stage).contains("run.json is not what was written"))
        try folder.write("\(step)/run.json", record)
        // A tensor that is not there, and one of another shape, as whoever wrote them meant it.
        let path = folder.path("\(step)/model.safetensors")
        let kept = try Checkpoint.open(folder.path(step))
        for (change, words) in [
            (nil, "is damaged: it lacks the trained"), (1, "it has 'model.norm.weight' as F32[1]"),
        ] as [(Int?, String)] {
            var other = kept
            let name = "weights/model.norm.weight"
            let values = try #require(kept.tensors[name])
            other.tensors[name] = try change.map { try values.rows(0..<$0) }
            try? FileSystem.remove(folder.path("broken"))
            try CheckpointWriter(options: WriteOptions(shardSize: .max, checksums: false))
                .write(other, to: folder.path("broken"))
            try FileManager.default.removeItem(atPath: path)
            try FileManager.default.copyItem(atPath: folder.path("broken/model.safetensors"), toPath: path)
            let sums = try CheckpointSums(
                record: Array(record.utf8), Checkpoint.open(folder.path(step)).tensors)
            try folder.write("\(step)/checksums.json", JSON(encoding: sums).serialized())
            let text = message { try export(step, to: "none") }
            #expect(text.contains(words), "\(text)")
        }
        #expect(!FileSystem.exists(folder.path("none")))
    }

    @Test(arguments: [
        ("/a/healed.run/step-000200", false, "/a/healed-step-200"),
        ("/a/healed.run/step-000200", true, "/a/healed-step-200-average"),
        ("/a/kept/step-1234567", false, "/a/kept-step-1234567"), ("/a/kept/best", false, "/a/kept-best"),
    ]) func goesBesideTheRun(path: String, average: Bool, output: String) {
        #expect(CheckpointExport.output(of: path, average: average) == output)
    }
}
