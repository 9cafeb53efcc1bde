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
        #expect(error() == .tensorTwice(index: index, tensor: "extra", first: one, second: two))
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
}

/// All bytes of a tensor, read at once.
func bytes(of tensor: TensorExpression) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xAA, count: tensor.byteCount)
    var span = bytes.mutableSpan
    var room = unsafe span.mutableBytes
    try tensor.read(0..<tensor.byteCount, into: &room)
    return bytes
}
