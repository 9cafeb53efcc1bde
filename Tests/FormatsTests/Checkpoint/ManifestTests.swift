import OrderedCollections
import TestSupport
import Testing

@testable import Formats

@Suite struct ManifestTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try SmallModel.write(into: folder)
    }

    private func write() throws -> Checkpoint {
        var model = try Checkpoint.open(folder.path("base"))
        let (embed, a) = (try #require(model["embed"]), try #require(model["layers.1.a"]))
        model["all"] = try .joined([embed.rows(1..<3), a.zeroed(), embed.cast(to: .f16).cast(to: .bf16)])
        model["turned"] = try a.transposed().reshaped(to: [16])
        let parameters: JSON = ["from": 2, "to": 3, "layers": [0, 1, 1]]
        model.operations = [.init(name: "dus", parameters: try #require(parameters.object))]
        try CheckpointWriter(options: .init(tool: "surgery 1")).write(model, to: folder.path("out"))
        return try Checkpoint.open(folder.path("out"))
    }

    @Test func saysHowEachTensorWasMade() throws {
        let manifest = try #require(try write().manifest)
        #expect(manifest.tool == "surgery 1" && manifest.history.isEmpty)
        #expect(manifest.operations.map(\.name) == ["dus"])
        #expect(manifest.operations[0].parameters["layers"] == [0, 1, 1])
        #expect(
            manifest.sources.map(\.path) == [
                "../base/model-00001-of-00002.safetensors", "../base/model-00002-of-00002.safetensors",
            ])
        let offset = try SafetensorsFile(path: folder.path("base/model-00002-of-00002.safetensors"))
            .dataOffset
        #expect(manifest.tensors["norm"] == .copied(file: 1, tensor: "norm", offset: offset + 32))
        guard case .joined(let parts) = manifest.tensors["all"] else {
            Issue.record("\(String(describing: manifest.tensors["all"]))")
            return
        }
        #expect(parts.map(\.how) == ["rows", "zeroed", "cast"])
    }

    /// SHA-256 as `sha256sum` prints it.
    @Test func checksums() throws {
        #expect(
            FileDigest.sha256(Array("abc".utf8))
                == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
        let manifest = try #require(try write().manifest)
        for source in manifest.sources {
            let bytes = try folder.bytes("out/" + source.path)
            #expect(source.bytes == bytes.count && source.sha256 == FileDigest.sha256(bytes))
        }
    }

    @Test func readsWhatItWrites() throws {
        let manifest = try #require(try write().manifest)
        let bytes = manifest.serialized()
        #expect(try Manifest(JSON(parsing: bytes, file: "surgery.json"), file: "surgery.json") == manifest)
        #expect(try folder.bytes("out/surgery.json") == bytes)
    }

    @Test func provesTheResult() throws {
        let result = try write()
        let manifest = try #require(result.manifest)
        let sources = try ManifestSources(manifest, of: result.path)
        for (name, recipe) in manifest.tensors {
            let expected = try #require(try sources.expression(of: recipe, tensor: name))
            #expect(try #require(result[name]).firstDifference(from: expected) == nil)
        }
    }

    @Test func findsAFlippedByte() throws {
        let result = try write()
        let tensor = try #require(result["layers.0.b"])
        guard case .stored(let storage) = tensor.node else { return }
        let place = try #require(storage.fileRange)
        let name = place.file.name
        var bytes = try folder.bytes("out/\(name)")
        bytes[place.offset + 5] ^= 0x10
        try folder.write("out/\(name)", bytes)
        let changed = try Checkpoint.open(folder.path("out"))
        let manifest = try #require(changed.manifest)
        let sources = try ManifestSources(manifest, of: changed.path)
        var found: [String: Int] = [:]
        for (name, recipe) in manifest.tensors {
            let expected = try #require(try sources.expression(of: recipe, tensor: name))
            found[name] = try #require(changed[name]).firstDifference(from: expected)?.offset
        }
        #expect(found == ["layers.0.b": 5])
    }

    @Test func aMovedPairIsProvenWithTheNewPlace() throws {
        _ = try write()
        try folder.makeFolder("elsewhere")
        try Folder.rename(folder.path("base"), to: folder.path("elsewhere/base"))
        let manifest = try #require(try Checkpoint.open(folder.path("out")).manifest)
        #expect(throws: ManifestError.self) { _ = try ManifestSources(manifest, of: folder.path("out")) }
        let moved = try ManifestSources(
            manifest, of: folder.path("out"), source: folder.path("elsewhere/base"))
        #expect(moved.sourceFiles.count == 2)
        try Folder.rename(folder.path("out"), to: folder.path("elsewhere/out"))
        _ = try ManifestSources(manifest, of: folder.path("elsewhere/out"))
    }

    @Test func anotherSourceIsNoticed() throws {
        _ = try write()
        let manifest = try #require(try Checkpoint.open(folder.path("out")).manifest)
        try folder.write(
            "base/model-00002-of-00002.safetensors", safetensors([SmallTensor("norm", .f32, [4])]))
        guard
            case .changed? = #expect(
                throws: ManifestError.self,
                performing: {
                    _ = try ManifestSources(manifest, of: folder.path("out"))
                })
        else {
            Issue.record("not noticed")
            return
        }
    }

    @Test func historyIsKept() throws {
        var second = try write()
        second.operations = [.init(name: "convert", parameters: JSONObject())]
        try CheckpointWriter().write(second, to: folder.path("next"))
        let manifest = try #require(try Checkpoint.open(folder.path("next")).manifest)
        #expect(manifest.history.map(\.name) == ["dus"] && manifest.operations.map(\.name) == ["convert"])
    }

    @Test func nothingDoneNothingToProve() throws {
        try CheckpointWriter().write(Checkpoint.open(folder.path("base")), to: folder.path("out"))
        #expect(try Checkpoint.open(folder.path("out")).manifest == nil)
    }

    @Test(arguments: [
        ("[]", "'format' has nothing where a number is expected"),
        (#"{"format": 2}"#, "has format 2, and this program knows 1; use a newer one"),
        (#"{"format": 1, "tool": 3}"#, "'tool' has the number 3 where a string is expected"),
        (
            #"{"format":1,"tool":"","history":[],"operations":[],"sources":[],"tensors":{"a":{"how":"magic"}}}"#,
            "'how' has \"magic\" where a way this program knows is expected"
        ),
        (
            #"{"format":1,"tool":"","history":[],"operations":[],"sources":[],"tensors":{"a":{"how":"rows","rows":[3,1]}}}"#,
            "'rows' has [3, 1] where two numbers, the first no larger is expected"
        ),
    ]) func whatIsNoManifest(text: String, part: String) throws {
        try folder.write("surgery.json", text)
        let error = #expect(throws: ManifestError.self) {
            _ = try Manifest.read(path: folder.path("surgery.json"))
        }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }
}
