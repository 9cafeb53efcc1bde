import OrderedCollections
import TestSupport
import Testing

@testable import Formats

@Suite struct CheckpointTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try SmallModel.write(into: folder)
    }

    private func error(_ path: String = "base") -> UserFacingError? {
        #expect(throws: UserFacingError.self) { _ = try Checkpoint.open(folder.path(path)) }
    }

    @Test func opensShards() throws {
        let model = try Checkpoint.open(folder.path("base"))
        let expected = SmallModel.first + SmallModel.second
        #expect(Array(model.tensors.keys) == expected.map(\.name))
        for tensor in expected {
            let found = try #require(model.tensors[tensor.name])
            #expect(found.type == tensor.type && found.shape == tensor.shape)
            #expect(try bytes(of: found) == tensor.bytes)
        }
        #expect(model.metadata == ["format": "pt"])
        #expect(model.configuration?.modelType == "llama")
        #expect(model.auxiliaryFiles.map(\.name) == ["LICENSE", "tokenizer.json"])
        #expect(model.skippedFiles.map(\.name) == [".gitattributes", "onnx", "pytorch_model.bin"])
        #expect(model.parameterCount == 88 && model.byteCount == 184)
        #expect(
            model.sources.map(\.name) == [
                "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
            ])
    }

    @Test func opensOneFile() throws {
        try folder.write("lone.safetensors", safetensors(SmallModel.first))
        let model = try Checkpoint.open(folder.path("lone.safetensors"))
        #expect(model.tensors.count == 3 && model.configuration == nil && model.auxiliaryFiles.isEmpty)
    }

    @Test func aSingleFileComesBeforeAnIndex() throws {
        try folder.write("base/model.safetensors", safetensors([SmallTensor("only", .u8, [3])]))
        let model = try Checkpoint.open(folder.path("base"))
        #expect(Array(model.tensors.keys) == ["only"])
        #expect(model.skippedFiles.map(\.name).contains("model.safetensors.index.json"))
        #expect(model.skippedFiles.map(\.name).contains("model-00001-of-00002.safetensors"))
    }

    @Test func nothingThere() throws {
        #expect(
            error("none")?.description.hasSuffix("name a model's folder, or a .safetensors or HDF5 file")
                == true)
        try folder.makeFolder("empty")
        #expect(error("empty") == .noModel(folder: folder.path("empty"), found: []))
        try folder.write("empty/pytorch_model.bin", "x")
        #expect(error("empty") == .noModel(folder: folder.path("empty"), found: ["pytorch_model.bin"]))
        #expect(error("base/LICENSE") == .unknownFile(path: folder.path("base/LICENSE")))
    }

    @Test func shardsWithoutIndex() throws {
        try FileSystem.remove(folder.path("base/model.safetensors.index.json"))
        #expect(error()?.message.contains("but no index") == true)
        try FileSystem.remove(folder.path("base/model-00002-of-00002.safetensors"))
        #expect(error()?.message.contains("but no index") == true)
    }

    @Test func missingShard() throws {
        try FileSystem.remove(folder.path("base/model-00002-of-00002.safetensors"))
        let index = folder.path("base/model.safetensors.index.json")
        #expect(error() == .shardMissing(index: index, shard: "model-00002-of-00002.safetensors", tensors: 2))
    }

    @Test func indexAndFilesDisagree() throws {
        let index = folder.path("base/model.safetensors.index.json")
        let (one, two) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
        let extra = SmallTensor("extra", .u8, [1])
        try folder.write(
            "base/model.safetensors.index.json",
            SmallModel.index([SmallModel.first, SmallModel.second + [extra]]))
        #expect(error() == .tensorMissing(index: index, tensor: "extra", shard: two))
        try folder.write("base/\(one)", safetensors(SmallModel.first + [extra]))
        #expect(error() == .tensorElsewhere(index: index, tensor: "extra", promised: two, found: one))
        try folder.write("base/\(two)", safetensors(SmallModel.second + [extra]))
        try folder.write(
            "base/model.safetensors.index.json",
            SmallModel.index([SmallModel.first + [extra], SmallModel.second]))
        #expect(
            error() == .tensorTwice(index: index, tensor: "extra", first: one, second: two, promised: one))
        #expect(error()?.description.hasSuffix("names the one in \(one); remove it from \(two)") == true)
        // Whichever of the two the index names.
        try folder.write(
            "base/model.safetensors.index.json",
            SmallModel.index([SmallModel.first, SmallModel.second + [extra]]))
        #expect(error()?.description.hasSuffix("names the one in \(two); remove it from \(one)") == true)
        try folder.write("base/\(two)", safetensors(SmallModel.second))
        try folder.write(
            "base/model.safetensors.index.json", SmallModel.index([SmallModel.first, SmallModel.second]))
        #expect(error() == .tensorUnnamed(index: index, tensor: "extra", shard: one))
    }

    @Test(arguments: ["../secret.safetensors", "/etc/passwd", "", ".hidden"])
    func anIndexStaysInItsFolder(name: String) throws {
        try folder.write("base/model.safetensors.index.json", "{\"weight_map\": {\"a\": \"\(name)\"}}")
        #expect(error()?.message.contains("is no index of a model") == true)
    }

    @Test func brokenConfiguration() throws {
        try folder.write("base/config.json", "{\"a\": 1,}")
        #expect(error()?.message.contains("is not valid JSON") == true)
        try folder.write("base/config.json", "[]")
        #expect(error()?.kind == .malformed && error()?.message.contains("should be an object") == true)
    }

    // MARK: What comes along

    @Test func adaptersStayWithTheirConfiguration() throws {
        try folder.write("base/adapter_config.json", #"{"base_model_name_or_path": "org/base"}"#)
        try folder.write("base/adapter_model.safetensors", safetensors(SmallModel.first))
        let model = try Checkpoint.open(folder.path("base"))
        #expect(!model.auxiliaryFiles.contains { $0.name.hasPrefix("adapter") })
        let left = model.skippedFiles.filter { $0.name.hasPrefix("adapter") }
        #expect(left.map(\.name) == ["adapter_config.json", "adapter_model.safetensors"])
        #expect(left.allSatisfy { $0.reason == "an adapter, which is not part of the model" })
    }

    @Test(arguments: ["adapter_model.safetensors", "adapter_model.bin"])
    func aFolderOfAnAdapterAloneIsCalledThat(weights: String) throws {
        try folder.makeFolder("lora")
        try folder.write("lora/adapter_config.json", #"{"base_model_name_or_path": "org/base"}"#)
        try folder.write("lora/config.json", "{}")
        try folder.write("lora/\(weights)", safetensors(SmallModel.first))
        #expect(error("lora") == .adapterAlone(folder: folder.path("lora"), base: "org/base"))
        #expect(error("lora")?.fault == .input)
    }

    @Test func foldersOfModulesComeAlong() throws {
        try folder.write(
            "base/modules.json",
            #"[{"path": ""}, {"path": "1_Pooling"}, {"path": "2_Dense"}, {"path": "../other"}]"#)
        for name in ["1_Pooling", "2_Dense", "3_Unnamed"] { try folder.makeFolder("base/" + name) }
        try folder.write("base/1_Pooling/config.json", "{}")
        try folder.write("base/2_Dense/model.safetensors", safetensors([SmallTensor("linear", .u8, [1])]))
        try folder.write("base/3_Unnamed/x.json", "{}")
        let names = try Checkpoint.open(folder.path("base")).auxiliaryFiles.map(\.name)
        #expect(
            names == [
                "1_Pooling/config.json", "2_Dense/model.safetensors", "LICENSE", "modules.json",
                "tokenizer.json",
            ])
    }

    @Test(arguments: [
        ("config.json.bak", "a backup or a half copy"), ("tokenizer.json~", "a backup or a half copy"),
        ("model.safetensors.incomplete", "a backup or a half copy"),
        ("a.bak.json", "a backup or a half copy"),
        ("events.out.tfevents.17.host.1.0", "a trace of training"), ("optimizer.pt", "a trace of training"),
        ("rng_state_0.pth", "a trace of training"), ("training_args.bin", "a trace of training"),
        ("model.gguf", "other weights than those that were opened (GGUF), which do not follow"),
        ("flax_model.msgpack", "other weights than those that were opened (Flax), which do not follow"),
    ])
    func staysBehind(name: String, reason: String) throws {
        try folder.write("base/" + name, "x")
        let model = try Checkpoint.open(folder.path("base"))
        #expect(model.skippedFiles.first { $0.name == name }?.reason == reason)
        #expect(!model.auxiliaryFiles.contains { $0.name == name })
    }
}

/// All bytes of a tensor, read at once.
func bytes(of tensor: TensorExpression) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xAA, count: tensor.byteCount)
    var span = bytes.mutableSpan
    var room = unsafe span.mutableBytes
    try tensor.read(0..<tensor.byteCount, into: &room)
    return bytes
}
