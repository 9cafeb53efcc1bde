import Formats
import Models
import OrderedCollections
import Surgery
import TestSupport
import Testing

@Suite("Layers of Keras models")
struct HDF5LayersTests {
    /// Weights of Keras 3 whose layers are counted by the names of their groups.
    private func keras3(_ count: Int) throws -> Checkpoint {
        let zeros = try TensorExpression.zeros(.f32, shape: [2])
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        var groups: OrderedDictionary<String, [HDF5Attribute]> = ["": [], "layers": []]
        func add(_ layer: String, name: String, inner: [String]) {
            groups["layers/\(layer)"] = []
            groups["layers/\(layer)/vars"] = [HDF5Attribute(name: "name", text: name)]
            for part in inner {
                tensors["layers/\(layer)/\(part)/vars/0"] = zeros
                groups["layers/\(layer)/\(part)"] = []
                groups["layers/\(layer)/\(part)/vars"] = [HDF5Attribute(name: "name", text: part)]
            }
        }
        for index in 0..<count {
            let counter = index == 0 ? "" : "_\(index)"
            add(
                "llama_transformer_decoder\(counter)", name: "transformer_layer_\(index)",
                inner: ["_dense", "_dense_1"])
        }
        add("norm", name: "norm", inner: ["a"])
        let configuration: JSON = ["name": "x", "num_layers": JSON(count)]
        var checkpoint = Checkpoint(
            tensors: tensors, configuration: Configuration(try #require(configuration.object)), metadata: [:])
        checkpoint.format.structure = HDF5Structure(
            layout: .keras3, fileName: "model.weights.h5", groups: groups)
        return checkpoint
    }

    @Test func groupsAreCountedAsKerasCountsThem() throws {
        let result = try keras3(10).depthUpScaled(DepthUpScaling(from: 10, to: 12)).checkpoint
        #expect(result.tensors["layers/llama_transformer_decoder_11/_dense_1/vars/0"] != nil)
        #expect(result.tensors.count == 25)
        let structure = try #require(result.format.structure)
        for index in 0..<12 {
            let path =
                index == 0 ? "layers/llama_transformer_decoder" : "layers/llama_transformer_decoder_\(index)"
            #expect(
                structure.groups[path + "/vars"]
                    == [HDF5Attribute(name: "name", text: "transformer_layer_\(index)")])
            #expect(
                structure.groups[path + "/_dense_1/vars"] == [HDF5Attribute(name: "name", text: "_dense_1")])
        }
        #expect(structure.groups.count == 2 + 12 * 6 + 4)
    }

    /// A model of Keras 2, its layers named by hand or counted by Keras; saved as a whole, or weights alone.
    private func keras2(_ names: [String], prefix: String) throws -> Checkpoint {
        var model = Checkpoint(tensors: [:])
        var groups: OrderedDictionary<String, [HDF5Attribute]> = ["": []]
        let root = String(prefix.dropLast())
        groups[root, default: []].append(HDF5Attribute(name: "layer_names", shape: [0], value: .text([])))
        if !root.isEmpty { groups[""] = [HDF5Attribute(name: "model_config", text: "{}")] }
        for name in names {
            model.tensors["\(name)/\(name)/inner/kernel:0"] = try .zeros(.f32, shape: [2, 3])
            groups[prefix + name] = [HDF5Attribute(name: "weight_names", shape: [0], value: .text([]))]
        }
        groups[prefix + "dropout"] = [HDF5Attribute(name: "weight_names", shape: [0], value: .text([]))]
        model.format.structure = HDF5Structure(
            layout: .keras2, fileName: "m.h5", prefix: prefix, groups: groups)
        return model
    }

    @Test(
        arguments: [("block", "block_1", "block_2"), ("block_0", "block_1", "block_2")],
        ["", "model_weights/"])
    func listsOfKeras2FollowInTheOrderOfLayers(names: (String, String, String), prefix: String) throws {
        let folder = try TemporaryFolder()
        let source = try keras2(["words", names.0, names.1, names.2, "end"], prefix: prefix)
        let result = try source.depthUpScaled(DepthUpScaling(from: 3, to: 4)).checkpoint
        try CheckpointWriter().write(result, to: folder.path("out"))
        let written = try Checkpoint.open(folder.path("out"))
        let layers = ["words", names.0, names.1, names.2, "block_3", "end"]
        // Keras loads by the order of these lists.
        #expect(Array(written.tensors.keys) == layers.map { "\($0)/\($0)/inner/kernel:0" })
        let structure = try #require(written.format.structure)
        #expect(structure.layout == .keras2 && structure.prefix.isEmpty)
        #expect(structure.groups[""]?.contains { $0.name == "model_config" } == false)
        #expect(
            structure.groups["block_3"]?.first { $0.name == "weight_names" }?.strings
                == ["block_3/inner/kernel:0"])
        #expect(structure.groups["dropout"] != nil)
        #expect(result.skippedFiles.count == (prefix.isEmpty ? 0 : 1))
    }

    @Test func tensorFlowModelsInSeveralFilesStayThat() throws {
        let folder = try TemporaryFolder()
        var model = Checkpoint(tensors: [:])
        model.tensors["transformer/wte/weight:0"] = try .zeros(.f32, shape: [5, 2])
        for layer in 0..<4 {
            model.tensors["transformer/h_._\(layer)/attn/weight:0"] = try .zeros(.f32, shape: [2, 6])
        }
        model.format.structure = HDF5Structure(
            layout: .tensorFlowShards, fileName: "tf_model-00001-of-00001.h5")
        let writer = CheckpointWriter(options: .init(shardSize: 100))
        try writer.write(model, to: folder.path("source"))
        // The library's own index has the model's class before each name.
        let index = String(decoding: try folder.bytes("source/tf_model.h5.index.json"), as: UTF8.self)
        try folder.write(
            "source/tf_model.h5.index.json", index.replacing("\"transformer/", with: "\"tf_gpt2/transformer/")
        )
        let source = try Checkpoint.open(folder.path("source"))
        #expect(source.sources.count > 1 && source.format.structure?.layout == .tensorFlowShards)
        let deep = try source.depthUpScaled(DepthUpScaling(from: 4, to: 6)).checkpoint
        let report = try writer.write(deep, to: folder.path("deep"))
        #expect(report.files.contains("tf_model.h5.index.json"))
        let written = try Checkpoint.open(folder.path("deep"))
        #expect(Set(written.tensors.keys) == Set(deep.tensors.keys) && written.tensors.count == 7)
        try folder.write(
            "source/tf_model.h5.index.json", index.replacing("h_._3/", with: "h_._9/"))
        let error = #expect(throws: UserFacingError.self) { try Checkpoint.open(folder.path("source")) }
        #expect(error?.description.contains("h_._3/attn/weight:0") == true)
    }

    @Test func pathsShowLayers() {
        func found(_ names: [String]) -> [String] {
            LayerNames.groups(in: names).map {
                "\($0.names.title(of: 0)) to \($0.names.title(of: $0.count - 1))"
            }
        }
        #expect(
            found(["layers/a/vars/0", "layers/a_1/vars/0", "layers/b/vars/0"]) == ["layers/a to layers/a_1"])
        // Sets inside layers are no sets of their own.
        #expect(
            found(["l/a/x/v", "l/a/x_1/v", "l/a_1/x/v", "l/a_1/x_1/v"]) == ["l/a to l/a_1"])
        #expect(found(["t/m/h_._0/w:0", "t/m/h_._1/w:0"]) == ["t/m/h_._0 to t/m/h_._1"])
        #expect(found(["block_0/w", "block_1/w"]) == ["block_0 to block_1"])
        #expect(found(["b/b/w", "b_1/b_1/w", "b/b/w_1"]) == ["b to b_1"])
        let twice = LayerNames(prefix: "b", style: .counted, isTwice: true)
        #expect(twice.parse("b_1/b_1/w")?.rest == "w" && twice.parse("b_1/b/w") == nil)
        #expect(twice.name(layer: 3, rest: "w") == "b_3/b_3/w")
        #expect(found(["a_2/w", "b/w"]).isEmpty)
        let names = LayerNames(prefix: "t/h_._", style: .numbered)
        #expect(names.parse("t/h_._3/attn/w:0")?.layer == 3 && names.name(layer: 4, rest: "w") == "t/h_._4/w")
    }
}
