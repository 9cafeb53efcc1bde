import OrderedCollections
import TestSupport
import Testing

@testable import Formats

@Suite("Writing HDF5")
struct HDF5WritingTests {
    @Test(arguments: [
        "types.h5", "packed.h5", "keras2.h5", "keras2-variable.h5", "keras2-split.h5", "tf_model.h5",
        "twelve.weights.h5", "presets/llama-bf16", "presets/gpt2", "presets/mistral-sharded",
    ])
    func whatIsWrittenIsWhatWasRead(name: String) throws {
        let folder = try TemporaryFolder()
        let source = try Checkpoint.open(HDF5Fixtures.path(name))
        let plan = try CheckpointWriter().plan(source, to: folder.path("out"))
        try CheckpointWriter().write(source, to: folder.path("out"))
        let written = try Checkpoint.open(folder.path("out"))
        try HDF5Fixtures.expectEqual(written, source)
        for file in plan.files { #expect(try folder.bytes("out/\(file.name)").count == file.byteCount) }
        let (before, after) = (try #require(source.format.structure), try #require(written.format.structure))
        #expect(after.layout == before.layout && after.prefix == before.prefix)
        for (path, attributes) in before.groups {
            #expect(
                after.groups[path]?.sorted { $0.name < $1.name } == attributes.sorted { $0.name < $1.name },
                "\(path)")
        }
        #expect(after.attributes == before.attributes)
        // Again the same bytes.
        try CheckpointWriter().write(written, to: folder.path("again"))
        for file in plan.files {
            #expect(try folder.bytes("again/\(file.name)") == folder.bytes("out/\(file.name)"))
        }
    }

    @Test func largeModelsAreSplitAsKerasSplitsThem() throws {
        let folder = try TemporaryFolder()
        let source = try Checkpoint.open(HDF5Fixtures.path("presets/gpt2"))
        let report = try CheckpointWriter(options: .init(shardSize: 3_000)).write(
            source, to: folder.path("out"))
        #expect(
            report.files.contains("model_00001.weights.h5") && report.files.contains("model.weights.json"))
        let written = try Checkpoint.open(folder.path("out"))
        #expect(written.sources.count > 2)
        try HDF5Fixtures.expectEqual(written, source)
        #expect(written.format.structure?.groups.count == source.format.structure?.groups.count)
    }

    @Test func computedTensorsAndManyNamesAreWritten() throws {
        let folder = try TemporaryFolder()
        var model = try Checkpoint.open(HDF5Fixtures.path("packed.h5"))
        let cube = try #require(model.tensors["cube"])
        model.tensors["cast"] = try cube.cast(to: .bf16)
        model.tensors["turned"] = try cube.transposed()
        for index in 0..<300 { model.tensors["many/\(index)"] = try .zeros(.i8, shape: [index % 3]) }
        model.format.structure?.groups["many"] = [
            HDF5Attribute(name: "texts", shape: [3], value: .text(["", "ü", "c"]))
        ]
        try CheckpointWriter().write(model, to: folder.path("out"))
        let written = try Checkpoint.open(folder.path("out"))
        try HDF5Fixtures.expectEqual(written, model)
        #expect(written.format.structure?.groups["many"] == model.format.structure?.groups["many"])
    }

    /// What does not fit into an object's header lies elsewhere in the file.
    @Test func largeAndManyAttributesAreWritten() throws {
        let folder = try TemporaryFolder()
        var model = try Checkpoint.open(HDF5Fixtures.path("packed.h5"))
        let text = String(repeating: "가나다", count: 30_000)
        var attributes = [HDF5Attribute(name: "text", text: text)]
        let byte: [UInt8] = [0x10, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]
        attributes.append(
            HDF5Attribute(
                name: "large", shape: [100_000],
                value: .raw(type: byte, bytes: [UInt8](repeating: 7, count: 100_000))))
        for index in 0..<20 { attributes.append(HDF5Attribute(name: "한\(index)", text: "\(index)")) }
        attributes.append(HDF5Attribute(name: "none", shape: nil, value: .raw(type: byte, bytes: [])))
        model.format.structure?.groups["deep/er"] = attributes
        try CheckpointWriter().write(model, to: folder.path("out"))
        let written = try Checkpoint.open(folder.path("out")).format.structure?.groups["deep/er"]
        #expect(written?.count == 23)
        for attribute in attributes { #expect(written?.first { $0.name == attribute.name } == attribute) }
    }

    @Test func listsOfNamesFollowTheTensors() throws {
        let folder = try TemporaryFolder()
        var model = try Checkpoint.open(HDF5Fixtures.path("keras2-variable.h5"))
        let kernel = try #require(model.tensors["dense/dense/kernel:0"])
        model.tensors["dense/dense/more:0"] = kernel
        model.tensors["new/new/kernel:0"] = kernel
        model.tensors["a_head/a_head/kernel:0"] = nil
        try CheckpointWriter().write(model, to: folder.path("out"))
        let written = try Checkpoint.open(folder.path("out"))
        try HDF5Fixtures.expectEqual(written, model)
        #expect(
            written.format.structure?.groups["model_weights"]?.strings("layer_names")?.contains("new") == true
        )
    }

    @Test func whatHDF5CannotHoldIsRefused() throws {
        func failure(_ names: [(String, ElementType)]) throws -> UserFacingError? {
            var model = Checkpoint(tensors: [:])
            for (name, type) in names { model.tensors[name] = try .zeros(type, shape: [2]) }
            model.format.structure = HDF5Structure(layout: .plain, fileName: "model.h5")
            return #expect(throws: UserFacingError.self) {
                try CheckpointWriter().plan(model, to: "/tmp/none")
            }
        }
        #expect(try failure([("a", .f8E4M3)]) == .noHDF5Type(name: "a", .f8E4M3))
        #expect(try failure([("a/../b", .f32)]) == .reservedName("a/../b"))
        #expect(try failure([("/a", .f32)]) == .reservedName("/a"))
        #expect(try failure([("a", .f32), ("a/b", .f32)]) == .nameInsideTensor("a/b", tensor: "a"))
    }
}
