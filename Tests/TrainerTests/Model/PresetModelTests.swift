import Formats
import Models
import Foundation
import OrderedCollections
import TestSupport
import Testing

@testable import Trainer

/// Presets of KerasHub, which lie with the tests of their format: made by `Scripts/fixtures/hdf5_files.py`.
@Suite struct PresetModelTests {
    let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    private static func preset(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../FormatsTests/Fixtures/HDF5/presets/\(name)"
        ).standardizedFileURL.path()
    }

    /// As near to KerasHub's logits as float32 is, and for bfloat16, in which it computes, a fiftieth of the largest.
    @Test(arguments: [("mistral-sharded", 2e-4), ("gpt2", 2e-4), ("llama-bf16", nil)] as [(String, Float?)])
    func computesWhatKerasHubComputes(name: String, tolerance: Float?) throws {
        let path = Self.preset(name)
        let golden = try Checkpoint.open(path + "/golden.safetensors").tensors
        let expected = try #require(golden["logits"]).floats()
        _ = try EvaluationRequest(
            model: path, rows: path + "/golden.safetensors", logits: folder.path + "/logits.safetensors",
            length: 6, threads: 2
        ).run()
        let logits = try #require(Checkpoint.open(folder.path + "/logits.safetensors")["logits"]).floats()
        let scale = expected.reduce(0) { max($0, abs($1)) }
        #expect(largestDifference(logits, expected) < tolerance ?? scale / 50)
    }

    @Test(arguments: ["mistral-sharded", "llama-bf16"]) func configurationAloneTellsTheSame(name: String)
        throws
    {
        let path = Self.preset(name)
        #expect(try PretrainedModel.described(path).architecture == PretrainedModel.open(path).architecture)
    }

    private func request(
        _ model: String, _ output: String, name: String, resume: Bool = false, fromScratch: Bool = false
    ) -> JobRun {
        var run = JobRun(on: model, to: folder.path + "/" + output)
        run.job.ids = Self.preset(name) + "/golden.safetensors"
        (run.job.steps, run.job.batch, run.job.length, run.job.seed) = (4, 2, 6, 3)
        (run.job.lr, run.job.embeddingLr, run.job.moments, run.job.gradients) = (1e-2, 5e-3, .f32, .f32)
        (run.job.schedule, run.job.fromScratch) = (.constant, fromScratch)
        run.job.freeze = fromScratch ? [] : ["model.layers.0.*"]
        (run.options.threads, run.options.resume) = (2, resume)
        return run
    }

    private func run(_ request: JobRun, stopAfter limit: Int = .max) throws {
        final class Counter { var value = 0 }
        let count = Counter()
        let run = try TrainingLoop(request.prepared()) { if case .step = $0 { count.value += 1 } }
        do {
            _ = try run { count.value >= limit }
        } catch let error as UserFacingError where error.message.contains("step \(limit) of the run is kept")
        {}
    }

    /// A preset healed and a preset converted and healed are the same numbers; what was frozen and what describes the
    /// preset stays as it is.
    @Test(arguments: ["mistral-sharded", "llama-bf16"]) func healsToAPreset(name: String) throws {
        let source = try Checkpoint.open(Self.preset(name))
        try CheckpointWriter().write(source.converted(to: .safetensors), to: folder.path + "/converted")
        try run(request(folder.path + "/converted", "other", name: name))
        try run(request(Self.preset(name), "healed", name: name), stopAfter: 2)
        try run(request(Self.preset(name), "healed", name: name, resume: true))

        let healed = try Checkpoint.open(folder.path + "/healed")
        #expect(healed.format.structure?.layout == .keras3)
        for (path, attributes) in try #require(source.format.structure).groups {
            #expect(healed.format.structure?.groups[path] == attributes, "\(path)")
        }
        #expect(healed.configuration?.json == source.configuration?.json)
        #expect(healed.auxiliaryFiles.map(\.name) == source.auxiliaryFiles.map(\.name))
        #expect(healed.manifest?.operations.map(\.name) == ["heal"])
        let (model, expected) = (
            try healed.converted(to: .safetensors), try Checkpoint.open(folder.path + "/other")
        )
        #expect(Set(model.tensors.keys) == Set(expected.tensors.keys))
        for (name, tensor) in expected.tensors {
            #expect(try #require(model.tensors[name]).firstDifference(from: tensor) == nil, "\(name)")
        }
        for (name, tensor) in source.tensors {
            let isSame = try #require(healed.tensors[name]).firstDifference(from: tensor) == nil
            #expect(isSame == name.contains("_decoder/"), "\(name)")
        }
    }

    @Test func beginsWithAConfigurationAlone() throws {
        let blank = folder.path + "/blank"
        try FileManager.default.createDirectory(atPath: blank, withIntermediateDirectories: true)
        for file in ["config.json", "metadata.json"] {
            try FileManager.default.copyItem(
                atPath: Self.preset("mistral-sharded") + "/" + file, toPath: blank + "/" + file)
        }
        try run(request(blank, "made", name: "mistral-sharded", fromScratch: true))
        let (made, source) = (
            try Checkpoint.open(folder.path + "/made"), try Checkpoint.open(Self.preset("mistral-sharded"))
        )
        #expect(Set(made.tensors.keys) == Set(source.tensors.keys))
        #expect(made.configuration?.json == source.configuration?.json)
        #expect(try PretrainedModel(made).architecture == PretrainedModel(source).architecture)
    }
}
