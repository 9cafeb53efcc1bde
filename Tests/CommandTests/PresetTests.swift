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
}
