import Formats
import Models
import Foundation
import OrderedCollections
import TestSupport
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
        #expect(model.format.structure == nil && model.configuration?.modelType != nil)
        #expect(!model.auxiliaryFiles.map(\.name).contains("metadata.json"))
        #expect(try model.layers().count == 4)
        #expect(model.inconsistencies.isEmpty)
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
        let structure = try #require(back.format.structure)
        for (path, attributes) in structure.groups where path != "vars" {
            #expect(preset.format.structure?.groups[path] == attributes, "\(path)")
        }
    }

    @Test(arguments: ["llama-bf16", "mistral-sharded", "gpt2"])
    func deepenedFirstOrConvertedFirstIsTheSame(name: String) throws {
        let preset = try Checkpoint.openModel(Self.fixture(name))
        let request = DepthUpScaling(from: 4, to: 6)
        let one = try preset.depthUpScaled(request).checkpoint.stored()
            .converted(to: nil, format: .safetensors)
        let other = try preset.converted(to: nil, format: .safetensors).depthUpScaled(request).checkpoint
        try expectEqual(one, other)
        #expect(one.configuration?.json == other.configuration?.json)
    }

    @Test func configurationTaskAndMetadataFollow() throws {
        var preset = try Checkpoint.open(Self.fixture("llama-bf16"))
        let task = #"{"config": {"backbone": {"config": {"num_layers": 4, "trainable": true}}}, "x": 1}"#
        preset.auxiliaryFiles.append(AuxiliaryFile(name: "task.json", content: .bytes(Array(task.utf8))))
        let result = try preset.asHuggingFace().depthUpScaled(DepthUpScaling(from: 4, to: 6))
        #expect(result.changes.map(\.description) == ["config.num_layers: 4 → 6"])
        let deep = try result.checkpoint.stored()
        #expect(deep.configuration?["config"]?["num_layers"]?.int == 6)
        #expect(deep.auxiliaryFiles.map(\.name) == preset.auxiliaryFiles.map(\.name))
        func json(_ name: String) throws -> JSON {
            let auxiliaryFile = try #require(deep.auxiliaryFiles.first { $0.name == name })
            return try JSON(parsing: auxiliaryFile.bytes(), file: name)
        }
        #expect(try json("metadata.json")["parameter_count"]?.int == deep.parameterCount)
        var expected = try JSON(parsing: Array(task.utf8), file: "")
        expected["config"]?["backbone"]?["config"]?["num_layers"] = 6
        #expect(try json("task.json") == expected)
    }

    /// What KerasHub wrote, with settings or of a class that have no counterpart, is not grown by guessing.
    @Test(arguments: ["soft cap", "class"]) func otherPresetsAreRefused(kind: String) throws {
        var preset = try Checkpoint.open(Self.fixture("llama-bf16"))
        let settings = try #require(preset.configuration).json
        let name = kind == "class" ? "OtherBackbone" : "LlamaBackbone"
        preset.configuration = Configuration(try #require(settings.object))
        preset.configuration?["class_name"] = .string(name)
        if kind == "soft cap" { preset.configuration?["config"]?["final_logit_soft_cap"] = 30 }
        let model = try preset.asHuggingFace()
        #expect(Array(model.tensors.keys) == Array(preset.tensors.keys) && model.format.structure != nil)
        #expect(throws: UserFacingError.unknownKerasClass(path: preset.path, name: name)) {
            try model.depthUpScaled(DepthUpScaling(to: 6))
        }
        #expect(throws: UserFacingError.self) {
            try model.vocabularyResized(VocabularyResize(.rows(40), input: .zero))
        }
        // What depends on no layers goes on.
        #expect(try model.converted(to: .f32).tensors.values.allSatisfy { $0.type == .f32 })
    }

    /// KerasHub takes the kind of attention from a layer's number: depths that keep it are followed, others refused with them.
    @Test(arguments: [
        ("GemmaBackbone", 2, [6, 8]), ("GptOssBackbone", 2, [6, 8]), ("Gemma3Backbone", 6, []),
    ])
    func kindsOfAttentionByNumberAreKept(name: String, period: Int, depths: [Int]) throws {
        var preset = try Checkpoint.open(Self.fixture("llama-bf16"))
        preset.configuration = Configuration(try #require(preset.configuration?.json.object))
        preset.configuration?["class_name"] = .string(name)
        preset.configuration?["config"]?["use_sliding_window_attention"] = true
        preset.configuration?["config"]?["use_post_ffw_norm"] = true
        let model = try preset.asHuggingFace()
        let count = try model.layers().count
        #expect(count == 4)
        let error = #expect(throws: UserFacingError.self) { try model.depthUpScaled(DepthUpScaling(to: 7)) }
        let words = depths.map { "\($0)" }.joined(separator: ", ")
        let advice =
            "choose layers that move by a multiple of \(period)"
            + (depths.isEmpty ? "" : ", as a depth of \(words) does")
        #expect(error?.description.hasSuffix(advice) == true, "\(error?.description ?? "")")
        for depth in depths {
            let result = try model.depthUpScaled(DepthUpScaling(to: depth))
            #expect(result.checkpoint.configuration?["config"]?["num_layers"]?.int == depth)
            #expect(result.changes.map(\.description) == ["config.num_layers: 4 → \(depth)"])
            #expect(try result.checkpoint.layers().count == depth)
        }
    }

    /// A model of Hugging Face with settings that KerasHub has no place for, its layers in a list among them.
    private func huggingFace() throws -> Checkpoint {
        var model = try Checkpoint.open(Self.fixture("mistral-sharded")).converted(
            to: nil, format: .safetensors)
        var text = String(
            decoding: try #require(model.configuration).serialized(), as: UTF8.self)
        text = text.replacing(
            "{\n",
            with: "{\n  \"eos_token_id\": 2,\n  \"layer_types\": [\"a\", \"a\", \"a\", \"a\"],\n",
            maxReplacements: 1)
        text = text.replacing("131072", with: "7.7e1")
        model.configuration = try Configuration(parsing: Array(text.utf8), file: "config.json")
        model.operations = []
        return model
    }

    @Test func throughFilesOfHDF5AndBackEverythingIsTheSame() throws {
        let folder = try TemporaryFolder()
        let model = try huggingFace()
        let writer = CheckpointWriter(options: .init(shardSize: 6_000))
        try writer.write(model, to: folder.path("model"))
        let source = try Checkpoint.open(folder.path("model"))
        try writer.write(source.converted(to: nil, format: .hdf5), to: folder.path("preset"))
        #expect(try folder.names("preset").contains("model_00001.weights.h5"))
        let preset = try Checkpoint.open(folder.path("preset"))
        try writer.write(preset.converted(to: nil, format: .safetensors), to: folder.path("back"))
        let names = try folder.names("model").filter { $0 != "surgery.json" }
        #expect(names.count > 3)
        #expect(try folder.names("back").filter { $0 != "surgery.json" } == names)
        for name in names {
            #expect(try folder.bytes("back/\(name)") == folder.bytes("model/\(name)"), "\(name)")
        }
        // And once more from the preset's side.
        let back = try Checkpoint.open(folder.path("back"))
        try writer.write(back.converted(to: nil, format: .hdf5), to: folder.path("again"))
        let files =
            try folder.names("preset").filter { !["surgery.json", "assets"].contains($0) } + [
                "assets/huggingface/config.json"
            ]
        for name in files {
            #expect(try folder.bytes("again/\(name)") == folder.bytes("preset/\(name)"), "\(name)")
        }
    }

    @Test func keptSettingsFollowThePreset() throws {
        let preset = try huggingFace().converted(to: nil, format: .hdf5)
        let grown = try preset.asHuggingFace().depthUpScaled(DepthUpScaling(from: 4, to: 6)).checkpoint
            .stored()
        let deep = try grown.converted(to: .f16, format: .safetensors)
        let settings = try #require(deep.configuration)
        #expect(settings["num_hidden_layers"]?.int == 6)
        // KerasHub's own configuration has no place for the list, so the kept one follows.
        #expect(settings["layer_types"]?.array?.count == 6)
        #expect(settings["eos_token_id"]?.int == 2 && settings["max_position_embeddings"]?.double == 77)
        #expect(settings.elementType == .f16)
        #expect(!deep.auxiliaryFiles.contains { $0.name.hasPrefix("assets/") })
        // Another dialect of what has changed is not mixed in: the preset alone decides.
        var other = try huggingFace()
        other.configuration?["rope_parameters"] = ["rope_type": "default", "rope_theta": 10000]
        other.configuration?["rope_theta"] = nil
        other.configuration?["rope_scaling"] = nil
        var changed = try other.converted(to: nil, format: .hdf5)
        let same = try changed.converted(to: nil, format: .safetensors).configuration
        #expect(same?.json == other.configuration?.json)
        changed.configuration?["config"]?["rope_max_wavelength"] = 5000
        let made = try changed.converted(to: nil, format: .safetensors).configuration
        #expect(made?["rope_theta"]?.int == 5000 && made?["rope_parameters"] == nil)
    }

    @Test func modelsOfOtherKindsKeepTheirNames() throws {
        var model = try MemoryModels.layers(
            2, configuration: #"{"model_type": "other", "num_hidden_layers": 2}"#)
        model = try model.converted(to: nil, format: .hdf5)
        #expect(model.format.structure?.layout == .plain)
        let back = try model.converted(to: nil, format: .safetensors)
        #expect(back.format.structure == nil && back.tensors.keys == model.tensors.keys)
    }

    @Test func whatHasNoPlaceIsRefused() throws {
        let preset = try Checkpoint.open(Self.fixture("gpt2"))
        var more = preset
        more.tensors["layers/other/vars/0"] = more.tensors["layers/layer_normalization/vars/0"]
        var error = #expect(throws: UserFacingError.self) {
            try more.converted(to: nil, format: .safetensors)
        }
        #expect(
            error == .unexpectedTensor(path: more.path, tensor: "layers/other/vars/0", family: "GPT2Backbone")
        )
        var less = preset
        less.tensors["layers/layer_normalization/vars/0"] = nil
        error = #expect(throws: UserFacingError.self) { try less.converted(to: nil, format: .safetensors) }
        #expect(
            error
                == .missingTensor(
                    path: less.path, tensor: "layers/layer_normalization/vars/0", family: "GPT2Backbone"))
        var many = preset
        many.configuration?["config"]?["num_layers"] = JSON(1 << 40)
        #expect(throws: UserFacingError.self) { try many.converted(to: nil, format: .safetensors) }
    }
}
