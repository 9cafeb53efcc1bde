import Formats
import OrderedCollections
import Testing

@testable import Trainer

@Suite struct FamilyTests {
    private func describe(_ text: String) throws -> TransformerConfiguration {
        try Family.describe(
            Configuration(parsing: Array(text.utf8), file: "config.json"), path: "model"
        ).transformer
    }

    private static let base = """
        "vocab_size": 10, "hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 12
        """

    @Test func readsBothDialects() throws {
        let old = try describe(
            "{\"model_type\": \"llama\", \(Self.base), \"rope_theta\": 5e5, \"torch_dtype\": \"bfloat16\"}")
        let new = try describe(
            "{\"model_type\": \"llama\", \(Self.base), \"rope_parameters\": {\"rope_theta\": 5e5, \"rope_type\": \"default\"}}"
        )
        #expect(old == new)
        #expect(new.rotary.theta == 500_000 && new.keyValueHeads == 2 && new.headSize == 4)
    }

    @Test func absentKeysHaveTheReferencesDefaults() throws {
        #expect(
            try describe("{\"model_type\": \"mistral\", \(Self.base), \"num_key_value_heads\": 1}").window
                == 4_096)
        #expect(
            try describe(
                "{\"model_type\": \"mistral\", \(Self.base), \"num_key_value_heads\": 1, \"sliding_window\": null}"
            ).window == nil)
        #expect(try describe("{\"model_type\": \"llama\", \(Self.base)}").biases.isEmpty)
        let biased = try describe(
            "{\"model_type\": \"llama\", \(Self.base), \"attention_bias\": true, \"mlp_bias\": true}")
        #expect(biased.biases.count == 4)
    }

    @Test(arguments: [("silu", GateActivation.silu), ("gelu", .gelu), ("gelu_pytorch_tanh", .geluTanh)])
    func readsTheGatesActivation(name: String, gate: GateActivation) throws {
        let text = "{\"model_type\": \"llama\", \(Self.base), \"hidden_act\": \"\(name)\"}"
        #expect(try describe(text).gate == gate)
    }

    @Test(arguments: [
        ("\"hidden_act\": \"relu\"", "hidden_act = \"relu\""),
        ("\"rope_scaling\": {\"rope_type\": \"yarn\", \"factor\": 4}", "rope_type = yarn"),
        (
            "\"rope_parameters\": {\"rope_theta\": 1e4, \"partial_rotary_factor\": 0.5}",
            "partial_rotary_factor = 0.5"
        ),
        ("\"attention_dropout\": 0.1", "attention_dropout = 0.1"),
        ("\"quantization_config\": {\"bits\": 4}", "quantization_config = {\"bits\": 4}"),
        ("\"sliding_window\": 128", "sliding_window = 128"),
        ("\"num_key_value_heads\": 3", "num_key_value_heads = 3"),
        ("\"head_dim\": 5", "head_dim = 5"),
        ("\"logit_softcapping\": 30.0", "logit_softcapping = 30.0"),
    ])
    func refusesByName(_ key: String, _ named: String) throws {
        let error = #expect(throws: ModelError.self) {
            try describe("{\"model_type\": \"llama\", \(Self.base), \(key)}")
        }
        let message = try #require(error).description.replacing(" ", with: "")
        #expect(message.contains(named.replacing(" ", with: "")), "\(message)")
        #expect(error?.fault == .input)
    }

    @Test func refusesAnUnknownFamily() {
        #expect(throws: ModelError.unknownFamily(path: "model", found: "mamba", known: ["llama", "mistral"]))
        {
            try describe("{\"model_type\": \"mamba\"}")
        }
        #expect(throws: ModelError.noFamily(path: "model")) { try describe("{}") }
    }

    @Test func namesTheTensorThatDoesNotFit() throws {
        let golden = try GoldenModel(name: "llama").pretrained().checkpoint
        var wrong = golden
        wrong.tensors["model.layers.1.mlp.up_proj.weight"] = try .zeros(.f32, shape: [3, 64])
        #expect(
            throws: ModelError.shapeMismatch(
                path: golden.path, tensor: "model.layers.1.mlp.up_proj.weight", found: [3, 64],
                expected: [176, 64])
        ) { try PretrainedModel(wrong) }
        wrong = golden
        wrong.tensors["model.layers.3.input_layernorm.weight"] = try .zeros(.f32, shape: [64])
        #expect(
            throws: ModelError.unexpectedTensor(
                path: golden.path, tensor: "model.layers.3.input_layernorm.weight", shape: [64])
        ) { try PretrainedModel(wrong) }
        wrong = golden
        wrong.tensors["model.norm.weight"] = nil
        #expect(throws: ModelError.missingTensor(path: golden.path, tensor: "model.norm.weight", shape: [64]))
        {
            try PretrainedModel(wrong)
        }
    }
}
