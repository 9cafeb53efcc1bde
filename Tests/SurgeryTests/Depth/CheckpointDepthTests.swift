import Formats
import Models
import OrderedCollections
import Surgery
import Testing

@Suite("Rearranged checkpoints")
struct CheckpointDepthTests {
    @Test func everyTensorIsItsOrigins() throws {
        let source = try MemoryModels.layers(
            4, configuration: #"{"model_type": "llama", "num_hidden_layers": 4}"#)
        let result = try source.depthUpScaled(DepthUpScaling(from: 4, to: 6))
        let contents = try MemoryModels.contents(result.checkpoint)
        #expect(contents.count == 14)
        for (layer, origin) in [0, 1, 2, 1, 2, 3].enumerated() {
            #expect(contents["model.layers.\(layer).a.weight"] == "model.layers.\(origin).a.weight")
            #expect(contents["model.layers.\(layer).b.weight"] == "model.layers.\(origin).b.weight")
        }
        #expect(contents["model.embed.weight"] == "model.embed.weight")
        #expect(contents["model.norm.weight"] == "model.norm.weight")
        #expect(result.checkpoint.configuration?["num_hidden_layers"]?.int == 6)
        #expect(result.changes.map(\.description) == ["num_hidden_layers: 4 → 6"])
        #expect(result.checkpoint.operations.map(\.name) == ["dus"])
        #expect(result.checkpoint.operations[0].facts["layers"]?["plan"] == "0-2,1-3")
    }

    @Test func keepsTheOrderOfTheFile() throws {
        let names = ["embed", "layers.0.b", "layers.0.a", "layers.1.b", "layers.1.a", "norm"]
        let result = try MemoryModels.checkpoint(names).depthUpScaled(DepthUpScaling(to: 3)).checkpoint
        #expect(
            result.tensors.keys.elements == [
                "embed", "layers.0.b", "layers.0.a", "layers.1.b", "layers.1.a", "layers.2.b", "layers.2.a",
                "norm",
            ])
    }

    @Test func keepsSortedNamesSorted() throws {
        let names = ["lm_head", "model.layers.0.a", "model.layers.1.a", "model.norm"]
        let result = try MemoryModels.checkpoint(names).depthUpScaled(DepthUpScaling(to: 12)).checkpoint
        #expect(result.tensors.keys.elements == result.tensors.keys.sorted())
        #expect(result.tensors.keys[3] == "model.layers.10.a")
    }

    @Test func expertsAreNoLayers() throws {
        let names = (0..<2).flatMap { layer in (0..<3).map { "model.layers.\(layer).mlp.experts.\($0).w" } }
        let result = try MemoryModels.checkpoint(names).depthUpScaled(DepthUpScaling(to: 3)).checkpoint
        #expect(
            try MemoryModels.contents(result)["model.layers.2.mlp.experts.2.w"]
                == "model.layers.1.mlp.experts.2.w")
        #expect(result.tensors.count == 9)
    }

    @Test func theLayersOfTheLanguageModelAreMeant() throws {
        let vision = (0..<6).map { "vision_tower.encoder.layers.\($0).w" }
        let text = (0..<4).map { "language_model.model.layers.\($0).w" }
        let configuration = """
            {"model_type": "gemma3", "vision_config": {"num_hidden_layers": 6},
             "text_config": {"model_type": "gemma3_text", "num_hidden_layers": 4, "sliding_window_pattern": 2}}
            """
        let source = try MemoryModels.checkpoint(vision + text, configuration: configuration)
        let result = try source.depthUpScaled(DepthUpScaling(to: 6))
        #expect(result.checkpoint.tensors.count == 12)
        #expect(
            result.changes.map(\.key) == [
                "text_config.num_hidden_layers"
            ])
        #expect(result.checkpoint.configuration?["vision_config"]?["num_hidden_layers"]?.int == 6)
        #expect(result.checkpoint.configuration?["text_config"]?["num_hidden_layers"]?.int == 6)
    }

    @Test func layersForFurtherTokensMoveAlong() throws {
        let names = (0..<5).map { "model.layers.\($0).w" }
        let configuration = """
            {"model_type": "deepseek_v3", "num_hidden_layers": 4, "first_k_dense_replace": 1,
             "num_nextn_predict_layers": 1}
            """
        let source = try MemoryModels.checkpoint(names, configuration: configuration)
        let result = try source.depthUpScaled(DepthUpScaling(to: 6))
        let contents = try MemoryModels.contents(result.checkpoint)
        #expect(contents["model.layers.5.w"] == "model.layers.3.w")
        #expect(contents["model.layers.6.w"] == "model.layers.4.w")
        #expect(contents.count == 7)
    }

    @Test func refusesAWrongFrom() throws {
        let source = try MemoryModels.layers(8)
        let error = #expect(throws: UserFacingError.self) {
            try source.depthUpScaled(DepthUpScaling(from: 32, to: 48))
        }
        #expect(error?.description == "model has 8 layers, not 32; give --from 8, or leave --from out")
        #expect(error?.fault == .usage)
    }

    @Test func refusesAConfigurationOfAnotherModel() throws {
        let source = try MemoryModels.layers(
            8, configuration: #"{"model_type": "llama", "num_hidden_layers": 12}"#)
        let error = #expect(throws: UserFacingError.self) {
            try source.depthUpScaled(DepthUpScaling(to: 12))
        }
        #expect(
            error
                == .countsDiffer(
                    path: "model", key: "num_hidden_layers", configured: "12",
                    layers: LayerNames.Group(names: LayerNames(prefix: "model.layers."), count: 8)))
        #expect(error?.fault == .input)
    }

    @Test(arguments: [
        (["a", "b.weight"], "no layers"),
        (["layers.1.w", "layers.2.w"], "no layers"),  // a gap: 0 is missing
        (
            ["encoder.block.0.w", "encoder.block.1.w", "decoder.block.0.w", "decoder.block.1.w"],
            "several sets"
        ),
    ])
    func refusesWhatHasNoLayers(names: [String], message: String) throws {
        let source = try MemoryModels.checkpoint(names)
        let error = #expect(throws: UserFacingError.self) {
            try source.depthUpScaled(DepthUpScaling(to: 3))
        }
        #expect(error?.description.contains(message) == true)
    }

    @Test func refusesLayersOfSeveralKindsThatNothingTellsApart() throws {
        let names = ["layers.0.dense", "layers.1.expert", "layers.2.dense", "layers.3.expert"]
        let error = #expect(throws: UserFacingError.self) {
            try MemoryModels.checkpoint(names).depthUpScaled(DepthUpScaling(to: 6))
        }
        #expect(
            error?.description.contains("layers 0 and 1 are not of one kind (only one of them has dense)")
                == true)
    }

    /// What is missing is named, whatever other sets of layers there are.
    @Test(arguments: [
        ([0, 1, 4, 5], "layers model.layers.0-1, 4-5, but no model.layers.2-3"),
        ([2, 3, 4, 5], "layers model.layers.2-5, but no model.layers.0-1"),
        ([0, 2], "layers model.layers.0, 2, but no model.layers.1, 3-5"),
    ])
    func missingLayersAreNamed(numbers: [Int], words: String) throws {
        let names =
            numbers.map { "model.layers.\($0).a.weight" } + ["vision.blocks.0.w", "vision.blocks.1.w"]
        let source = try MemoryModels.checkpoint(
            names, configuration: #"{"model_type": "llama", "num_hidden_layers": 6}"#)
        let error = #expect(throws: UserFacingError.self) { try source.layers() }
        #expect(
            error?.kind == .inconsistent && error?.description.contains(words) == true,
            "\(error?.description ?? "")")
        let unknown = try MemoryModels.checkpoint(numbers.map { "model.layers.\($0).a.weight" })
        #expect(throws: UserFacingError.self) { try unknown.depthUpScaled(DepthUpScaling(to: 12)) }
    }
}
