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
        let result = try write()
        let manifest = try #require(result.manifest)
        #expect(manifest.tool == "surgery 1" && manifest.history.isEmpty)
        #expect(manifest.operations.map(\.name) == ["dus"])
        #expect(manifest.operations[0].parameters["layers"] == [0, 1, 1])
        #expect(
            manifest.sources.map(\.path) == [
                "../base/model-00001-of-00002.safetensors", "../base/model-00002-of-00002.safetensors",
            ])
        let offset = try SafetensorsFile(path: folder.path("base/model-00002-of-00002.safetensors"))
            .dataOffset
        let norm = try #require(result["norm"])
        #expect(
            try manifest.provenance["norm"]
                == .copied(file: 1, tensor: "norm", offset: offset + 32, type: norm.type, shape: norm.shape))
        let all = try #require(manifest.provenance["all"])
        #expect(all.type == .bf16 && all.shape == result["all"]?.shape)
        guard case .made(.joined, let parts) = all.node else {
            Issue.record("\(all)")
            return
        }
        let operations = parts.map { part in
            if case .made(let operation, _) = part.node { operation } else { TensorOperation.joined }
        }
        let a = try #require(result["layers.1.a"])
        #expect(operations == [.rows(1..<3), .zeros(.bf16, shape: a.shape), .cast(.bf16)])
    }

    /// SHA-256 of FIPS 180's example, of nothing, and of three million bytes, as `sha256sum` prints them.
    @Test(arguments: [
        ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("a", 3_000_000, "2a152c894398719c0570f83fac34ac03a0f6e8e474b995c2403aa5434f7b9dd4"),
    ])
    func knownChecksums(text: String, count: Int, digest: String) throws {
        let bytes = Array(String(repeating: text, count: count).utf8)
        #expect(FileDigest.sha256(bytes) == digest)
        // The same of a file, which is read a mebibyte at a time.
        try folder.write("bytes", bytes)
        let file = try InputFile(path: folder.path("bytes"))
        #expect(try FileDigest.sha256(file) == digest)
        if !bytes.isEmpty {
            #expect(throws: UserFacingError.interrupted) {
                try FileDigest.sha256(file, isCancelled: { true })
            }
        }
    }

    @Test func checksumsOfSources() throws {
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
        let sources = try ProvenanceResolver(manifest, of: result.path)
        for (name, provenance) in manifest.provenance {
            let expected = try #require(try sources.expression(of: provenance, tensor: name))
            #expect(try #require(result[name]).firstDifference(from: expected) == nil)
        }
    }

    @Test func findsAFlippedByte() throws {
        let result = try write()
        let tensor = try #require(result["layers.0.b"])
        guard case .leaf(let storage) = tensor.node else { return }
        let place = try #require(storage.fileRange)
        let name = place.file.name
        var bytes = try folder.bytes("out/\(name)")
        bytes[place.offset + 5] ^= 0x10
        try folder.write("out/\(name)", bytes)
        let changed = try Checkpoint.open(folder.path("out"))
        let manifest = try #require(changed.manifest)
        let sources = try ProvenanceResolver(manifest, of: changed.path)
        var found: [String: Int] = [:]
        for (name, provenance) in manifest.provenance {
            let expected = try #require(try sources.expression(of: provenance, tensor: name))
            found[name] = try #require(changed[name]).firstDifference(from: expected)?.offset
        }
        #expect(found == ["layers.0.b": 5])
    }

    @Test func aMovedPairIsProvenWithTheNewPlace() throws {
        _ = try write()
        try folder.makeFolder("elsewhere")
        try FileSystem.rename(folder.path("base"), to: folder.path("elsewhere/base"))
        let manifest = try #require(try Checkpoint.open(folder.path("out")).manifest)
        #expect(throws: UserFacingError.self) { _ = try ProvenanceResolver(manifest, of: folder.path("out")) }
        let moved = try ProvenanceResolver(
            manifest, of: folder.path("out"), source: folder.path("elsewhere/base"))
        #expect(moved.sourceFiles.count == 2)
        try FileSystem.rename(folder.path("out"), to: folder.path("elsewhere/out"))
        _ = try ProvenanceResolver(manifest, of: folder.path("elsewhere/out"))
    }

    @Test func anotherSourceIsNoticed() throws {
        _ = try write()
        let manifest = try #require(try Checkpoint.open(folder.path("out")).manifest)
        try folder.write(
            "base/model-00002-of-00002.safetensors", safetensors([SmallTensor("norm", .f32, [4])]))
        let error = #expect(throws: UserFacingError.self) {
            _ = try ProvenanceResolver(manifest, of: folder.path("out"))
        }
        #expect(error?.kind == .inconsistent && error?.message.contains("it is another file") == true)
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
        (#"{"format": 3}"#, "has format 3, and this program knows 2; use a newer one"),
        (#"{"format": 2, "tool": 3}"#, "'tool' has the number 3 where a string is expected"),
    ]) func whatIsNoManifest(text: String, part: String) throws {
        try folder.write("surgery.json", text)
        let error = #expect(throws: UserFacingError.self) {
            _ = try Manifest.read(path: folder.path("surgery.json"))
        }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
    }

    @Test(arguments: [
        (#"{"op":"magic"}"#, "has \"magic\" where an operation this program knows is expected"),
        (#"{"how":"copied"}"#, "'op' in the provenance of tensor 'a' has nothing"),
        (
            #"{"op":"rows","rows":[3,1],"of":{"op":"zeroed","type":"U8","shape":[4]}}"#,
            "has [3, 1] where two numbers, the first no larger is expected"
        ),
        (
            #"{"op":"copied","file":0,"tensor":"b","offset":0,"shape":[4]}"#,
            "'type' in the provenance of tensor 'a' has nothing where a type such as \"BF16\" is expected"
        ),
        (
            #"{"op":"rows","rows":[1,9],"of":{"op":"zeroed","type":"U8","shape":[4]}}"#,
            "the provenance of tensor 'a' makes no tensor: rows 1..<9 can't be cut from tensor U8[4]"
        ),
        (#"{"op":"cast","type":"F16"}"#, "makes no tensor: it is made of 0 tensors, and should be of one"),
        (
            #"{"op":"joined","of":[]}"#,
            "makes no tensor: it is made of 0 tensors, and should be of at least one"
        ),
        (
            #"{"op":"zeroed","type":"U8","shape":[1],"of":{"op":"computed","name":"b","type":"U8","shape":[1]}}"#,
            "makes no tensor: it is made of 1 tensors, and should be of none"
        ),
        (
            #"{"op":"combined","rows":[7],"of":{"op":"zeroed","type":"F32","shape":[9,2]}}"#,
            "has the number 7 where a list of rows for each new row is expected"
        ),
    ]) func whatIsNoProvenance(json: String, part: String) throws {
        try folder.write(
            "surgery.json",
            #"{"format":2,"tool":"","history":[],"operations":[],"sources":[],"provenance":{"a":\#(json)}}"#)
        let error = #expect(throws: UserFacingError.self) {
            _ = try Manifest.read(path: folder.path("surgery.json"))
        }
        #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
        #expect(error?.description.contains(folder.path("surgery.json")) == true)
    }

    /// What comes from a source that is not listed, also where it is what a computation began with, or an original file.
    @Test(arguments: [
        (#""sources": ["#, 1, "comes from source 0, which it does not list"),
        (#""file":1"#, 0, "comes from source 2, which it does not list"),
        (#""file":1"#, 9, "comes from source -1, which it does not list"),
        (#""source":1"#, 0, "the original file 'model-00002-of-00002.safetensors' comes from source 2"),
    ]) func whatIsNotListed(part: String, how: Int, message: String) throws {
        _ = try write()
        let path = folder.path("out/surgery.json")
        var text = String(decoding: try folder.bytes("out/surgery.json"), as: UTF8.self)
        #expect(text.contains(part))
        if how == 1 {
            // No sources at all.
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            text = lines.filter { !$0.contains(#""path":"#) }.joined(separator: "\n")
        } else {
            text.replace(part, with: part.dropLast() + (how == 0 ? "2" : "-1"))
        }
        try folder.write("out/surgery.json", text)
        func expectRefusal(_ open: () throws -> Void) {
            let error = #expect(throws: UserFacingError.self) { try open() }
            #expect(error?.kind == .malformed && error?.description.hasPrefix(path) == true)
            #expect(error?.description.contains(message) == true, "\(error?.description ?? "")")
        }
        expectRefusal { _ = try Manifest.read(path: path) }
        expectRefusal { _ = try Checkpoint.open(folder.path("out")) }
    }

    /// What operations tell of layers must be of the source's, of as many, and of one piece; that of older builds and of merges,
    /// which tell less, is read as ever.
    @Test(arguments: [
        (
            #""before":3,"after":4,"origins":[0,1,1,2],"kinds":["original","original","duplicate","original"]"#,
            ""
        ),
        (#""origins":[0,1],"kinds":["identity","original"]"#, ""), (#""before":3,"origins":[9,-1]"#, ""),
        (#""kinds":["banana"]"#, ""),
        (
            #""origins":[0,1],"kinds":["original","banana"]"#,
            "'kinds' has the string \"banana\" where original, "
        ),
        (
            #""origins":[0,-1],"kinds":["original","original"]"#,
            "'origins' has the number -1 where a layer from 0 on"
        ),
        (
            #""before":2,"origins":[2],"kinds":["original"]"#,
            "'origins' has the number 2 where a layer from 0 to 1"
        ),
        (#""origins":[0,"1"],"kinds":["original","original"]"#, "'origins' has the string \"1\" where"),
        (#""origins":[0,1],"kinds":["original"]"#, "'kinds' has 1 layers where 2, as many as 'origins' has,"),
        (#""after":3,"origins":[0],"kinds":["original"]"#, "'after' has 3 layers where 1, "),
        (
            #""origins":[3,2,1,0,2,3],"kinds":["original","original","original","duplicate","duplicate","original"]"#,
            "'kinds' has duplicate for layer 3 where original, for 'origins' has the source's layer 0 there,"
        ),
    ]) func layersThatContradictThemselves(layers: String, part: String) throws {
        let operation = #"{"name":"dus","parameters":{},"facts":{"layers":{\#(layers)}}}"#
        for (history, operations) in [("", operation), (operation, "")] {
            let text =
                #"{"format":2,"tool":"","history":[\#(history)],"operations":[\#(operations)],"#
                + #""sources":[],"provenance":{}}"#
            try folder.write("surgery.json", text)
            let path = folder.path("surgery.json")
            if part.isEmpty {
                #expect(throws: Never.self) { _ = try Manifest.read(path: path) }
                continue
            }
            let error = #expect(throws: UserFacingError.self) { _ = try Manifest.read(path: path) }
            #expect(error?.kind == .malformed && error?.description.hasPrefix(path) == true)
            #expect(error?.description.contains(part) == true, "\(error?.description ?? "")")
        }
    }

    /// Each operation, alone and above another, as it comes back from its JSON.
    @Test func everyOperationIsRead() throws {
        let leaf = try Provenance.copied(file: 2, tensor: "b", offset: 64, type: .f32, shape: [4, 6])
        let trees: [Provenance] = [
            leaf, try .computed("heal", type: .bf16, shape: []), leaf.zeroed(),
            try .computed("heal", type: .bf16, shape: [4, 6], from: leaf.zeroed()),
            try .joined([leaf.rows(1..<3), leaf]), try leaf.cast(to: .f16).transposed(),
            try leaf.reshaped(to: [2, 12]), try leaf.derived(.mean(of: 0..<2, count: 3)).reshaped(to: [18]),
        ]
        for tree in trees {
            let json = try JSON(parsing: tree.json.serialized(indent: nil), file: "surgery.json")
            #expect(try Provenance.read(json, ManifestReader(file: "surgery.json", tensor: "a")) == tree)
        }
        #expect(Set(trees.map(\.json)).count == trees.count)
    }

    /// A line for each thing, and the keys that Documentation/formats.md promises.
    @Test func hasALineForEachTensor() throws {
        let copied = #"{"op":"copied","file":0,"tensor":"b","offset":64,"type":"BF16","shape":[4,6]}"#
        let leaf = try Provenance.copied(file: 0, tensor: "b", offset: 64, type: .bf16, shape: [4, 6])
        var parameters = JSONObject()
        parameters["from"] = 2
        let manifest = Manifest(
            tool: "surgery 1", operations: [.init(name: "dus", parameters: parameters)],
            sources: [.init(path: "../b", bytes: 112, sha256: "00")],
            provenance: ["a": try .joined([leaf.rows(0..<1), leaf.zeroed()]), "b": leaf])
        #expect(
            String(decoding: manifest.serialized(), as: UTF8.self) == """
                {
                  "format": 2,
                  "tool": "surgery 1",
                  "history": [],
                  "operations": [
                    {"name":"dus","parameters":{"from":2}}
                  ],
                  "sources": [
                    {"path":"../b","bytes":112,"sha256":"00"}
                  ],
                  "provenance": {
                    "a": {"op":"joined","of":[{"op":"rows","rows":[0,1],"of":\(copied)},\
                {"op":"zeroed","type":"BF16","shape":[4,6]}]},
                    "b": \(copied)
                  }
                }

                """)
    }

    /// A source of the same size whose tensor has another type.
    @Test func anotherTensorIsNoticed() throws {
        let result = try write()
        var manifest = try #require(result.manifest)
        guard case .leaf(.copied(let file, let name, let offset))? = manifest.provenance["norm"]?.node else {
            Issue.record("not copied")
            return
        }
        let sources = try ProvenanceResolver(manifest, of: result.path)
        for (type, shape, place) in [(ElementType.i32, [4], offset), (.f32, [2, 2], offset), (.f32, [4], 8)] {
            manifest.provenance["norm"] = try .copied(
                file: file, tensor: name, offset: place, type: type, shape: shape)
            let provenance = try #require(manifest.provenance["norm"])
            let error = #expect(throws: UserFacingError.self) {
                _ = try sources.expression(of: provenance, tensor: "norm")
            }
            let path = sources.sourceFiles[file].path
            let found = TensorDescription(name: "norm", type: .f32, shape: [4])
            #expect(
                error
                    == (place == 8
                        ? .missingSourceTensor(file: path, tensor: "norm", offset: 8)
                        : .changedSourceTensor(file: path, found: found, expected: provenance.summary)))
        }
    }

    /// Format 1 is left out with a word, and its file does not come along.
    @Test func aManifestOfFormat1IsLeftOut() throws {
        try folder.write("base/surgery.json", #"{"format": 1, "tool": "surgery 0.1.0", "tensors": {}}"#)
        var model = try Checkpoint.open(folder.path("base"))
        let path = folder.path("base/surgery.json")
        #expect(model.manifest == nil && model.unusableManifest == .unreleasedManifest(file: path))
        let left = SkippedFile(
            name: "surgery.json", reason: "format 1, which only versions before the first release wrote")
        #expect(model.skippedFiles.contains(left))
        let advice = try #require(model.unusableManifest).description
        #expect(advice.hasPrefix("\(path) has format 1,") && advice.contains("make the result again"))
        #expect(try CheckpointWriter().write(model, to: folder.path("copy")).skippedFiles.contains(left))
        #expect(try folder.names("copy").contains("surgery.json") == false)
        model.operations = [.init(name: "convert", parameters: JSONObject())]
        try CheckpointWriter().write(model, to: folder.path("next"))
        let next = try Checkpoint.open(folder.path("next"))
        #expect(next.manifest?.history == [] && next.unusableManifest == nil)
    }
}
