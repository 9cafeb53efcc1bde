import Formats
import Foundation
import OrderedCollections
import Testing

@testable import Surgery

@Suite("Models in KerasHub's and Hugging Face's terms")
struct KerasConversionTests {
    private static func fixture(_ name: String) -> String {
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return tests.appendingPathComponent("FormatsTests/Fixtures/HDF5/presets/\(name)").path
    }

    private func expectEqual(_ found: Checkpoint, _ expected: Checkpoint) throws {
        #expect(Set(found.tensors.keys) == Set(expected.tensors.keys))
        for (name, tensor) in expected.tensors {
            let other = try #require(found.tensors[name])
            #expect(other.type == tensor.type && other.shape == tensor.shape, "\(name)")
            guard other.type == tensor.type, other.shape == tensor.shape else { continue }
            #expect(try other.firstDifference(from: tensor) == nil, "\(name)")
        }
    }

    @Test(arguments: ["llama-bf16", "mistral-sharded", "gpt2"])
    func isWhatKerasHubExports(name: String) throws {
        let preset = try Checkpoint.open(Self.fixture(name))
        let model = try preset.converted(to: nil, format: .safetensors)
        try expectEqual(model, Checkpoint.open(Self.fixture("\(name).safetensors")))
        #expect(model.structure == nil && model.configuration?.modelType != nil)
        #expect(!model.companions.map(\.name).contains("metadata.json"))
        #expect(try model.layers().count == 4)
        #expect(model.disagreements.isEmpty)
    }

    @Test(arguments: ["llama-bf16", "mistral-sharded", "gpt2"])
    func thereAndBackIsTheSame(name: String) throws {
        let preset = try Checkpoint.open(Self.fixture(name))
        let back = try preset.converted(to: nil, format: .safetensors).converted(to: nil, format: .hdf5)
        try expectEqual(back, preset)
        let (before, after) = (
            try #require(preset.configuration?["config"]), try #require(back.configuration?["config"])
        )
        for (key, value) in before.object ?? JSONObject() where !value.isNull {
            let isDefault = ["rope_position_scaling_factor", "rope_scaling_factor"].contains(key)
            #expect(
                isDefault || after[key] == value || key == "name", "\(key): \(after[key]?.kind ?? "nothing")")
        }
        let structure = try #require(back.structure)
        for (path, attributes) in structure.groups where path != "vars" {
            #expect(preset.structure?.groups[path] == attributes, "\(path)")
        }
    }

    @Test(arguments: ["llama-bf16", "mistral-sharded", "gpt2"])
    func deepenedFirstOrConvertedFirstIsTheSame(name: String) throws {
        let preset = try Checkpoint.open(Self.fixture(name))
        let request = DepthUpScaling(from: 4, to: 6)
        let one = try preset.depthUpScaled(request).checkpoint.converted(to: nil, format: .safetensors)
        let other = try preset.converted(to: nil, format: .safetensors).depthUpScaled(request).checkpoint
        try expectEqual(one, other)
        #expect(one.configuration?.json == other.configuration?.json)
    }

    @Test func modelsOfOtherKindsKeepTheirNames() throws {
        var model = try Models.layers(2, configuration: #"{"model_type": "other", "num_hidden_layers": 2}"#)
        model = try model.converted(to: nil, format: .hdf5)
        #expect(model.structure?.layout == .plain)
        let back = try model.converted(to: nil, format: .safetensors)
        #expect(back.structure == nil && back.tensors.keys == model.tensors.keys)
    }

    @Test func whatHasNoPlaceIsRefused() throws {
        let preset = try Checkpoint.open(Self.fixture("gpt2"))
        var more = preset
        more.tensors["layers/other/vars/0"] = more.tensors["layers/layer_normalization/vars/0"]
        var error = #expect(throws: ConversionError.self) {
            try more.converted(to: nil, format: .safetensors)
        }
        #expect(error == .unknown(path: more.path, tensor: "layers/other/vars/0", family: "GPT2Backbone"))
        var less = preset
        less.tensors["layers/layer_normalization/vars/0"] = nil
        error = #expect(throws: ConversionError.self) { try less.converted(to: nil, format: .safetensors) }
        #expect(
            error
                == .missing(
                    path: less.path, tensor: "layers/layer_normalization/vars/0", family: "GPT2Backbone"))
        var many = preset
        many.configuration?["config"]?["num_layers"] = JSON(1 << 40)
        #expect(throws: ConversionError.self) { try many.converted(to: nil, format: .safetensors) }
    }
}
