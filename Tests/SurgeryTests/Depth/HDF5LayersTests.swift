import Formats
import OrderedCollections
import Surgery
import Testing

@Suite("Layers of Keras models")
struct HDF5LayersTests {
    private func preset(_ count: Int) throws -> Checkpoint {
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
        let configuration: JSON = [
            "class_name": "LlamaBackbone", "config": ["name": "x", "num_layers": JSON(count)],
        ]
        var checkpoint = Checkpoint(
            tensors: tensors, configuration: Configuration(try #require(configuration.object)),
            companions: [
                Companion(
                    name: "metadata.json",
                    content: .bytes(Array("{\"parameter_count\": \(count * 4 + 2)}".utf8))),
                Companion(
                    name: "task.json",
                    content: .bytes(
                        Array("{\"config\": {\"backbone\": {\"config\": {\"num_layers\": \(count)}}}}".utf8))),
            ], metadata: [:])
        checkpoint.structure = HDF5Structure(layout: .keras3, fileName: "model.weights.h5", groups: groups)
        return checkpoint
    }

    @Test func groupsAreCountedAsKerasCountsThem() throws {
        let result = try preset(10).depthUpScaled(DepthUpScaling(from: 10, to: 12)).checkpoint
        #expect(result.tensors["layers/llama_transformer_decoder_11/_dense_1/vars/0"] != nil)
        #expect(result.tensors.count == 25)
        let structure = try #require(result.structure)
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

    @Test func configurationTaskAndMetadataFollow() throws {
        let result = try preset(4).depthUpScaled(DepthUpScaling(from: 4, to: 6))
        #expect(result.changes.map(\.description) == ["config.num_layers: 4 → 6"])
        #expect(result.checkpoint.configuration?["config"]?["num_layers"]?.int == 6)
        let texts = try result.checkpoint.companions.map { String(decoding: try $0.bytes(), as: UTF8.self) }
        #expect(texts[0].contains("26") && texts[1].contains("\"num_layers\":6"))
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
        #expect(found(["a_2/w", "b/w"]).isEmpty)
        let names = LayerNames(prefix: "t/h_._", style: .levelled)
        #expect(names.parse("t/h_._3/attn/w:0")?.layer == 3 && names.name(layer: 4, rest: "w") == "t/h_._4/w")
    }
}
