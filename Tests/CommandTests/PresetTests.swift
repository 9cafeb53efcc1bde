import Formats
import Foundation
import OrderedCollections
import Testing

@Suite("surgery with KerasHub presets")
struct PresetTests {
    private static let preset = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .deletingLastPathComponent().appendingPathComponent("FormatsTests/Fixtures/HDF5/presets/llama-bf16")
        .path

    @Test func inspectTellsLayers() throws {
        let folder = try ModelFolder()
        let run = try CommandRun(["inspect", Self.preset], in: folder.url)
        #expect(run.code == 0, "\(run.messages)")
        #expect(run.messages.contains("Llama (KerasHub)\n"))
        #expect(
            run.messages.contains(
                "4 (layers/llama_transformer_decoder to layers/llama_transformer_decoder_3)"))
    }

    @Test func deepenedConvertedAndProven() throws {
        let folder = try ModelFolder()
        let deep = try CommandRun(["dus", Self.preset, "--to", "6", "-o", "deep"], in: folder.url)
        #expect(deep.code == 0, "\(deep.messages)")
        #expect(deep.messages.contains("config.num_layers: 4 → 6"))
        #expect(try Checkpoint.open(folder.url.path + "/deep").tensors.count == 57)
        let convert = try CommandRun(
            ["convert", "deep", "--to", "safetensors", "-o", "hf", "--json"], in: folder.url)
        #expect(convert.code == 0, "\(convert.messages)")
        #expect(try convert.json()["to"]?.string == "safetensors")
        #expect(try convert.json()["dtype"]?.isNull == true)
        for name in ["deep", "hf"] {
            #expect(try CommandRun(["verify", name], in: folder.url).code == 0)
        }
        let model = try Checkpoint.open(folder.url.path + "/hf")
        #expect(model.configuration?["num_hidden_layers"]?.int == 6)
        #expect(model.configuration?.elementType == .bf16)
    }

    /// In Hugging Face's terms the manifest of a deepened preset makes the deepened model's tensors.
    @Test func theManifestFollowsIntoOtherTerms() throws {
        let folder = try ModelFolder()
        let steps = [
            "run", Self.preset, "--step", "dus --to 6", "--step", "resize-vocab --size 40", "-o", "deep",
        ]
        let deep = try CommandRun(steps, in: folder.url)
        #expect(deep.code == 0, "\(deep.messages)")
        let path = folder.url.path + "/deep"
        let model = try #require(try ConvertedPreset(Checkpoint.open(path))).model
        let manifest = try #require(model.manifest)
        #expect(Array(manifest.tensors.keys) == Array(model.tensors.keys))
        #expect(manifest.operations.map(\.name) == ["dus", "resize-vocab"])
        guard case .joined = manifest.tensors["lm_head.weight"] else {
            Issue.record("the head's rows are \(String(describing: manifest.tensors["lm_head.weight"]))")
            return
        }
        let sources = try ManifestSources(manifest, of: path)
        for (name, tensor) in model.tensors {
            let recipe = try #require(manifest.tensors[name])
            let made = try #require(try sources.expression(of: recipe, tensor: name))
            #expect(try made.firstDifference(from: tensor) == nil, "\(name)")
        }
    }

    @Test func trainerTakesAPreset() throws {
        let folder = try ModelFolder()
        let golden = Self.preset + "/golden.safetensors"
        let eval = try CommandRun(
            ["eval", Self.preset, "--ids", golden, "--json"], of: "trainer", in: folder.url)
        #expect(eval.code == 0, "\(eval.messages)")
        let heal = [
            "heal", Self.preset, "--ids", golden, "--steps", "3", "--lr", "1e-2", "-o", "healed",
        ]
        let plan = try CommandRun(heal + ["--dry-run", "--json"], of: "trainer", in: folder.url)
        #expect(plan.code == 0, "\(plan.messages)")
        #expect(!FileManager.default.fileExists(atPath: folder.url.path + "/healed"))
        let healed = try CommandRun(heal, of: "trainer", in: folder.url)
        #expect(healed.code == 0, "\(healed.messages)")
        let after = try CommandRun(
            ["eval", "healed", "--ids", golden, "--json"], of: "trainer", in: folder.url)
        let losses = try [eval, after].map { try #require(try $0.json()["loss"]?.double) }
        #expect(losses[1] < losses[0])
        let bench = try CommandRun(
            ["bench", "healed", "--batch", "1", "--length", "8", "--steps", "1", "--json"], of: "trainer",
            in: folder.url)
        #expect(bench.code == 0, "\(bench.messages)")
    }
}
