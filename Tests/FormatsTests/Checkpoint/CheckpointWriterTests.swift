import Glibc
import OrderedCollections
import TestSupport
import Testing

@testable import Formats

@Suite struct CheckpointWriterTests {
    private let folder: TemporaryFolder
    private let base: Checkpoint

    init() throws {
        folder = try TemporaryFolder()
        try SmallModel.write(into: folder)
        base = try Checkpoint.open(folder.path("base"))
    }

    /// A model that needs every kind of part: copies, zeros, casts, joins, rows and a transposed tensor.
    private func changed() throws -> Checkpoint {
        var model = base
        let embed = try #require(base.tensors["embed"])
        let a = try #require(base.tensors["layers.0.a"])
        model.tensors["zeros"] = a.zeroed()
        model.tensors["cast"] = try a.cast(to: .f32)
        model.tensors["joined"] = try .joined([embed.rows(2..<5), a.zeroed(), embed])
        model.tensors["transposed"] = try embed.transposed()
        model.tensors["reshaped"] = try embed.reshaped(to: [2, 20])
        let parameters: JSON = ["layers": [0, 1, 1]]
        model.operations = [.init(name: "test", parameters: try #require(parameters.object))]
        return model
    }

    private func expectEqual(_ model: Checkpoint, _ written: Checkpoint) throws {
        #expect(Set(written.tensors.keys) == Set(model.tensors.keys))
        for (name, tensor) in model.tensors {
            let found = try #require(written.tensors[name])
            #expect(found.type == tensor.type && found.shape == tensor.shape)
            #expect(try bytes(of: found) == bytes(of: tensor), "\(name)")
        }
    }

    @Test(arguments: [5_000_000_000, 100, 1]) func roundTrip(shardSize: Int) throws {
        let model = try changed()
        let writer = CheckpointWriter(options: .init(shardSize: shardSize))
        let plan = try writer.plan(model, to: folder.path("out"))
        let report = try writer.write(model, to: folder.path("out"))
        let written = try Checkpoint.open(folder.path("out"))
        try expectEqual(model, written)
        #expect(report.files == plan.files.map(\.name))
        for file in plan.files { #expect(try folder.bytes("out/\(file.name)").count == file.byteCount) }
        #expect(try folder.names("out") == plan.files.map(\.name).sorted())
        #expect(try folder.bytes("out/config.json") == Array(SmallModel.configuration.utf8))
        #expect(try folder.bytes("out/LICENSE") == Array("free".utf8))
        #expect(try folder.names() == ["base", "out"])
        for source in written.sources {
            #expect(try SafetensorsFile(path: source.path).dataOffset % 4096 == 0)
        }
        #expect(written.metadata == ["format": "pt"])
    }

    @Test func chatTemplatesComeAlong() throws {
        try folder.makeFolder("base/additional_chat_templates")
        try folder.write("base/additional_chat_templates/tools.jinja", "{{ tools }}")
        try CheckpointWriter().write(Checkpoint.open(folder.path("base")), to: folder.path("out"))
        #expect(try folder.bytes("out/additional_chat_templates/tools.jinja") == Array("{{ tools }}".utf8))
    }

    @Test func indexListsSizeAndParameters() throws {
        try CheckpointWriter(options: .init(shardSize: 100)).write(base, to: folder.path("out"))
        let index = try JSON.read(path: folder.path("out/model.safetensors.index.json"))
        #expect(index["metadata"]?["total_size"]?.int == 184)
        #expect(index["metadata"]?["total_parameters"]?.int == 88)
        #expect(index["weight_map"]?["norm"]?.string == "model-00003-of-00003.safetensors")
    }

    /// Sizes 4, 3, 9, 2, 2, 1 into shards of 6: what is too large has a shard of its own, in between.
    @Test func shardsFillUpInOrder() {
        let sizes = ["a": 4, "b": 3, "c": 9, "d": 2, "e": 2, "f": 1]
        let shards = split(["a", "b", "c", "d", "e", "f"], sizes: { sizes[$0] ?? 0 }, into: 6)
        #expect(shards == [["a"], ["c"], ["b", "d"], ["e", "f"]])
    }

    @Test(arguments: [WritableFile.CopyMethod.copyFileRange, .sendfile, .buffered])
    func everyWayToCopy(method: WritableFile.CopyMethod) throws {
        let model = try changed()
        var options = WriteOptions()
        options.copyMethod = method
        try CheckpointWriter(options: options).write(model, to: folder.path("out"))
        try expectEqual(model, Checkpoint.open(folder.path("out")))
    }

    @Test func neighboursAreCopiedAtOnce() throws {
        let plan = try CheckpointWriter().plan(base, to: folder.path("out"))
        let copies = plan.files[0].segments.filter { if case .copy = $0.content { true } else { false } }
        // norm is float32 and so comes first; the three of shard 1 follow as one; then layers.1.a.
        #expect(copies.map(\.count) == [16, 136, 32])
        #expect(plan.copiedByteCount == 184 + 6)
    }

    @Test func anExistingOutputIsKept() throws {
        try folder.makeFolder("out")
        try folder.write("out/precious", "x")
        let writer = CheckpointWriter()
        #expect(throws: UserFacingError.exists(path: folder.path("out"))) {
            try writer.write(base, to: folder.path("out"))
        }
        let force = CheckpointWriter(options: .init(force: true))
        #expect(throws: UserFacingError.notAModel(path: folder.path("out"))) {
            try force.write(base, to: folder.path("out"))
        }
        #expect(try folder.names() == ["base", "out"])
        #expect(try folder.names("out") == ["precious"])
    }

    @Test func forceReplacesAModel() throws {
        try CheckpointWriter().write(base, to: folder.path("out"))
        try folder.write("out/extra", "x")
        try CheckpointWriter(options: .init(force: true)).write(changed(), to: folder.path("out"))
        try expectEqual(changed(), Checkpoint.open(folder.path("out")))
        #expect(try !folder.names("out").contains("extra"))
        #expect(try folder.names() == ["base", "out"])
    }

    /// Whatever a result is made of, what it was opened from is not replaced, nor is anything put inside.
    @Test func theSourceIsNoOutput() throws {
        var healed = base
        for (name, tensor) in base.tensors {
            let zeros = [UInt8](repeating: 0, count: tensor.byteCount)
            healed[name] = try .stored(
                MemoryTensor(name: name, type: tensor.type, shape: tensor.shape, bytes: zeros))
        }
        healed.auxiliaryFiles = []
        var blank = try Checkpoint.openWithoutWeights(folder.path("base"))
        blank.auxiliaryFiles = []
        blank["embed"] = try .zeros(.f32, shape: [2])
        let linked = unsafe symlink(folder.path("base"), folder.path("link"))
        try #require(linked == 0)
        let force = CheckpointWriter(options: .init(force: true))
        for model in [base, healed, blank] {
            for output in ["base", "base/../base", ".", "link", "/"] {
                let path = output == "/" ? output : folder.path(output)
                let plan = try force.plan(model, to: path)
                let error = #expect(throws: UserFacingError.self, "\(output)") { try force.check(plan) }
                #expect(error?.message.contains("it is or holds") == true, "\(output)")
            }
            if model.sources.isEmpty { continue }
            for output in ["base/out", "base/onnx/out", "link/out"] {
                let inside = UserFacingError.insideSource(
                    path: folder.path(output), source: folder.path("base"))
                #expect(throws: inside) { try force.write(model, to: folder.path(output)) }
            }
        }
        #expect(try folder.names() == ["base", "link"])
    }

    /// What else is read for a result is not replaced either, however it is named.
    @Test func whatElseIsReadIsNoOutput() throws {
        try CheckpointWriter().write(base, to: folder.path("old"))
        try folder.write("old/ko.jsonl", #"{"text": "하나"}"#)
        try folder.makeFolder("texts")
        try folder.write("texts/en.jsonl", #"{"text": "one"}"#)
        try #require(unsafe symlink(folder.path("old/ko.jsonl"), folder.path("texts/ko.jsonl")) == 0)
        let force = CheckpointWriter(options: .init(force: true))
        var model = base
        for source in ["old", "old/ko.jsonl", "old/*.jsonl", "texts", "texts/ko.jsonl"] {
            model.otherSources = ["-", folder.path(source)]
            let plan = try force.plan(model, to: folder.path("old"))
            let error = #expect(throws: UserFacingError.self, "\(source)") { try force.check(plan) }
            #expect(error?.message.contains("it is or holds") == true, "\(source)")
            try force.check(force.plan(model, to: folder.path("new")))
        }
        // Inside a model that is read nothing is put, whichever it is.
        model.otherSources = [folder.path("old")]
        let inside = UserFacingError.insideSource(path: folder.path("old/out"), source: folder.path("old"))
        #expect(throws: inside) { try force.write(model, to: folder.path("old/out")) }
        // Nor is what lies where the run is kept.
        try folder.makeFolder("new.run")
        model.otherSources = [try folder.write("new.run/en.jsonl", #"{"text": "one"}"#)]
        var plan = try force.plan(model, to: folder.path("new"))
        try force.check(plan)
        plan.workFolders = [folder.path("new.run")]
        let kept = UserFacingError.runHoldsSource(
            path: folder.path("new"), folder: folder.path("new.run"), source: model.otherSources[0])
        #expect(throws: kept) { try force.check(plan) }
        #expect(try folder.names() == ["base", "new.run", "old", "texts"])
    }

    /// A model of one file has no folder of its own: its result may lie beside it.
    @Test func aBareFileIsNoOutput() throws {
        try folder.write("lone.safetensors", safetensors(SmallModel.first))
        let lone = try Checkpoint.open(folder.path("lone.safetensors"))
        let force = CheckpointWriter(options: .init(force: true))
        let path = folder.path("lone.safetensors")
        #expect(throws: UserFacingError.isSource(path: path, source: path)) {
            try force.write(lone, to: path)
        }
        try force.write(lone, to: folder.path("out"))
    }

    @Test func aFullDiskIsSeenBefore() throws {
        var options = WriteOptions()
        options.freeSpace = { _ in 1000 }
        let error = #expect(throws: UserFacingError.self) {
            try CheckpointWriter(options: options).write(base, to: folder.path("out"))
        }
        #expect(error?.kind == .resources && error?.message.contains("has 1000 bytes left") == true)
        #expect(try folder.names() == ["base"])
    }

    @Test func aFolderThatIsNotThere() throws {
        try folder.write("file", "x")
        for (parent, obstacle) in [("no/such", "does not exist"), ("file", "is not a folder")] {
            let output = folder.path("\(parent)/out")
            let plan = try CheckpointWriter().plan(base, to: output)
            let error = #expect(throws: UserFacingError.self) { try CheckpointWriter().check(plan) }
            #expect(
                error?.description
                    == "\(output) can't be written: \(folder.path(parent)) \(obstacle); name an output in a folder "
                    + "that you can write to")
        }
        #expect(try folder.names() == ["base", "file"])
    }

    @Test func overflowIsReported() throws {
        try folder.write(
            "lone.safetensors", safetensors([SmallTensor("a b", floats: [1e5, -1e6, 2, 3], shape: [4])]))
        var model = try Checkpoint.open(folder.path("lone.safetensors"))
        model.tensors["a b"] = try #require(model.tensors["a b"]).cast(to: .f16)
        let report = try CheckpointWriter().write(model, to: folder.path("out"))
        #expect(report.overflows == [.init(tensor: "a b", count: 2)])
    }

    @Test func whatCannotBeWritten() throws {
        #expect(throws: UserFacingError.nothingToWrite) {
            try CheckpointWriter().write(Checkpoint(tensors: [:]), to: folder.path("out"))
        }
        let metadata = Checkpoint(tensors: ["__metadata__": try .zeros(.f32, shape: [1])])
        #expect(throws: UserFacingError.reservedName("__metadata__")) {
            try CheckpointWriter().write(metadata, to: folder.path("out"))
        }
    }

    @Test func aTensorThatFailsLeavesNoOutput() throws {
        var model = base
        let failing = MemoryTensor(name: "bad", type: .f32, shape: [4]) { (_, _) throws(UserFacingError) in
            throw UserFacingError(.resources, "not today")
        }
        model.tensors["bad"] = try .stored(failing)
        let error = #expect(throws: UserFacingError.self) {
            try CheckpointWriter().write(model, to: folder.path("out"))
        }
        #expect(
            error?.description
                == "tensor 'bad' can't be written: not today")
        #expect(try !folder.names().contains("out"))
    }
}
