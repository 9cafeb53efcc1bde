import Formats
import Models
import OrderedCollections
import Testing

@testable import Trainer

@Suite struct PretrainedModelTests {
    @Test func evaluationSaysWhatThereIsToKnow() throws {
        let folder = try GoldenModel(name: "falcon-alibi").folder
        var told: [String] = []
        _ = try EvaluationRequest(
            model: folder, rows: folder + "/golden.safetensors", length: 20, threads: 2
        ).run(warn: { told.append($0) })
        #expect(told.count == 1 && told[0].contains("ALiBi is added twice"))
    }

    @Test func namesTheTensorThatDoesNotFit() throws {
        let golden = try GoldenModel(name: "llama").pretrained().checkpoint
        var wrong = golden
        wrong.tensors["model.layers.1.mlp.up_proj.weight"] = try .zeros(.f32, shape: [3, 64])
        #expect(
            throws: UserFacingError.shapeMismatch(
                path: golden.path, tensor: "model.layers.1.mlp.up_proj.weight", found: [3, 64],
                expected: [176, 64])
        ) { try PretrainedModel(wrong) }
        wrong = golden
        wrong.tensors["model.layers.3.input_layernorm.weight"] = try .zeros(.f32, shape: [64])
        #expect(
            throws: UserFacingError.unexpectedTensor(
                path: golden.path, tensor: "model.layers.3.input_layernorm.weight", shape: [64])
        ) { try PretrainedModel(wrong) }
        wrong = golden
        wrong.tensors["model.norm.weight"] = nil
        #expect(
            throws: UserFacingError.missingTensor(path: golden.path, tensor: "model.norm.weight", shape: [64])
        ) {
            try PretrainedModel(wrong)
        }
    }
}
