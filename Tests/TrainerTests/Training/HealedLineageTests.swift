import Formats
import Foundation
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@testable import Trainer

/// Training does not hide where a model's layers came from.
@Suite struct HealedLineageTests {
    let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try blankModel(in: folder)
    }

    private func heal(
        _ model: String, to output: String, on text: String, fromScratch: Bool = false,
        freezing: [String] = []
    ) throws {
        var run = JobRun(on: model, to: folder.path(output))
        run.job.fromScratch = fromScratch
        run.job.data = [TextSource(path: example("data/\(text).val.jsonl"), weight: 1)]
        (run.job.steps, run.job.batch, run.job.length, run.job.seed) = (3, 2, 24, 3)
        (run.job.lr, run.job.embeddingLr, run.job.moments, run.job.gradients) = (1e-2, 5e-3, .f32, .f32)
        run.job.freeze = freezing
        _ = try run()
    }

    /// Base trained twice, once as "instruct"; base grown and healed; the difference added through what the healed model's
    /// manifest alone says, compared with plain loops.
    @Test func theDifferenceFindsItsLayersInAHealedModel() throws {
        try heal(folder.path, to: "base", on: "english", fromScratch: true)
        try heal(folder.path("base"), to: "instruct", on: "korean")
        let base = try Checkpoint.openModel(folder.path("base"))
        try CheckpointWriter().write(
            base.applying(LayerArrangement(plan: "0,0-1,1")).checkpoint, to: folder.path("grown"))
        let frozen = "model.layers.1.mlp.down_proj.weight"
        try heal(
            folder.path("grown"), to: "healed", on: "english", freezing: [frozen])
        try FileManager.default.removeItem(atPath: folder.path("grown"))

        let healed = try Checkpoint.openModel(folder.path("healed"))
        let manifest = try #require(healed.manifest)
        #expect(manifest.history.map(\.name) == ["heal", "layers"])
        for (name, lineage) in manifest.lineage {
            #expect(lineage.kind == (name == frozen ? .copied : .computed), "\(name)")
            #expect(lineage.runs.map(\.source?.tensor) == [name], "\(name)")
        }
        let line = try manifest.ancestors()
        #expect(
            line.map { $0.operations.map(\.name) } == [
                ["heal"], ["layers", "heal"], ["heal", "layers", "heal"],
            ])
        let sum = try digest("base")
        #expect(line[1].files.map(\.sha256) == [sum])

        let outcome = try healed.applying(
            Restoration(instruct: folder.path("instruct"), base: folder.path("base")))
        let instruct = try Checkpoint.openModel(folder.path("instruct"))
        let origins = [0, 0, 1, 1]
        for (name, tensor) in outcome.checkpoint.tensors {
            var source = name
            for layer in 0..<4 where name.hasPrefix("model.layers.\(layer).") {
                source = "model.layers.\(origins[layer])." + name.dropFirst("model.layers.0.".count)
            }
            let (b, i) = (try #require(base[source]).floats(), try #require(instruct[source]).floats())
            let wanted = try zip(#require(healed[name]).floats(), zip(i, b)).map { w, pair in
                // To the nearest of bfloat16, ties to even.
                let bits = (w + (pair.0 - pair.1)).bitPattern
                return Float(bitPattern: (bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF_0000)
            }
            #expect(try tensor.floats() == wanted, "\(name)")
        }
        #expect(
            outcome.facts["not_mapped"] == [] && outcome.facts["mapped_tensors"] == JSON(healed.tensors.count)
        )
    }

    private func digest(_ name: String) throws -> String {
        try FileDigest.sha256(InputFile(path: folder.path("\(name)/model.safetensors")))
    }
}
