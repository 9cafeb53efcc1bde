import Formats
import Models
import OrderedCollections
import Testing

@testable import Trainer

@Suite struct FreezingTests {
    @Test func patternsOverNames() {
        let some = TensorSelection(train: ["model.layers.[01].*"], freeze: ["*norm*"])
        #expect(some.contains("model.layers.1.mlp.up_proj.weight"))
        #expect(!some.contains("model.layers.1.input_layernorm.weight"))
        #expect(!some.contains("model.layers.2.mlp.up_proj.weight"))
        #expect(!some.contains("model.layers.11.mlp.up_proj.weight"))
        #expect(TensorSelection.all.contains("x") && !TensorSelection.none.contains("x"))
        #expect(
            TensorSelection(train: ["model.*", "lm_*"]).unmatched(by: ["model.norm.weight"]) == ["lm_*"])
    }

    @Test func frozenTensorsHaveNeitherGradientNorMoments() throws {
        let model = try GoldenModel(name: "llama").pretrained()
        let layout = try model.layout(training: TensorSelection(train: ["model.layers.1.*"]))
        #expect(layout.lowestTrainedLayer == 1)
        #expect(layout.trainedCount == layout.gradientWords && layout.trainedCount > 0)
        #expect(layout.frozenWords > layout.trainedCount)
        #expect(layout.parameterCount == model.layout.parameterCount)
        for parameter in layout.parameters {
            #expect(parameter.isTrained == parameter.name.hasPrefix("model.layers.1."))
        }
        let nothing = try model.layout(training: .none)
        #expect(nothing.trainedCount == 0 && nothing.gradientWords == 0)
        #expect(nothing.lowestTrainedLayer == model.architecture.layers.count)
    }

    @Test func frozenWeightsAreKeptAsTheCheckpointHasThem() throws {
        var checkpoint = try GoldenModel(name: "llama").pretrained().checkpoint
        for (name, tensor) in checkpoint.tensors { checkpoint.tensors[name] = try tensor.cast(to: .bf16) }
        let layout = try PretrainedModel(checkpoint).layout(training: .none)
        for parameter in layout.parameters {
            #expect(parameter.weights.precision == (parameter.role == .norm ? .f32 : .bf16))
        }
    }

    @Test func refusesWhatNamesNothingOrPartOfAProduct() throws {
        let golden = GoldenModel(name: "llama")
        let model = try golden.pretrained()
        let example = model.layout.parameters[0].name
        #expect(
            throws: UserFacingError.noSuchTensor(
                path: try golden.folder, pattern: "model.layer.*", example: example)
        ) { try model.layout(training: TensorSelection(freeze: ["model.layer.*"])) }
        let error = #expect(throws: UserFacingError.self) {
            try model.layout(training: TensorSelection(train: ["model.layers.0.self_attn.q_proj.*"]))
        }
        #expect(
            error?.description == """
                model.layers.0.self_attn.q_proj.weight would be trained and model.layers.0.self_attn.k_proj.weight, \
                model.layers.0.self_attn.v_proj.weight frozen, but they are computed as one; train or freeze all of them
                """)
    }
}
