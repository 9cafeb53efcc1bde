import Formats
import OrderedCollections
import Surgery
import Testing

/// The published sizes of up-scaled models, from the shapes alone.
@Suite("Parameters of up-scaled models")
struct ParameterCountTests {
    /// A model of Llama's shape whose tensors hold nothing but zeros.
    private func model(
        layers: Int, hidden: Int, heads: Int, keyValueHeads: Int, feedForward: Int, vocabulary: Int
    ) throws -> Checkpoint {
        let keyValues = hidden / heads * keyValueHeads
        let layer: [(String, [Int])] = [
            ("self_attn.q_proj", [hidden, hidden]), ("self_attn.k_proj", [keyValues, hidden]),
            ("self_attn.v_proj", [keyValues, hidden]), ("self_attn.o_proj", [hidden, hidden]),
            ("mlp.gate_proj", [feedForward, hidden]), ("mlp.up_proj", [feedForward, hidden]),
            ("mlp.down_proj", [hidden, feedForward]), ("input_layernorm", [hidden]),
            ("post_attention_layernorm", [hidden]),
        ]
        var tensors: OrderedDictionary<String, TensorExpression> = [
            "model.embed_tokens.weight": try .zeros(.bf16, shape: [vocabulary, hidden]),
            "model.norm.weight": try .zeros(.bf16, shape: [hidden]),
            "lm_head.weight": try .zeros(.bf16, shape: [vocabulary, hidden]),
        ]
        for index in 0..<layers {
            for (name, shape) in layer {
                tensors["model.layers.\(index).\(name).weight"] = try .zeros(.bf16, shape: shape)
            }
        }
        return Checkpoint(path: "model", tensors: tensors)
    }

    /// SOLAR 10.7B.
    @Test func mistral7BTo48() throws {
        let source = try model(
            layers: 32, hidden: 4096, heads: 32, keyValueHeads: 8, feedForward: 14336, vocabulary: 32000)
        #expect(source.parameterCount == 7_241_732_096)
        #expect(try source.depthUpScaled(DepthUpScaling(to: 48)).checkpoint.parameterCount == 10_731_524_096)
    }

    @Test func llama2At40() throws {
        let source = try model(
            layers: 32, hidden: 4096, heads: 32, keyValueHeads: 32, feedForward: 11008, vocabulary: 32000)
        #expect(source.parameterCount == 6_738_415_616)
        #expect(try source.depthUpScaled(DepthUpScaling(to: 40)).checkpoint.parameterCount == 8_357_482_496)
    }
}
