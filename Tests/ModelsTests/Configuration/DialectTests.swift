import Formats
import Models
import Testing

private func configuration(_ text: String) throws -> Configuration {
    try Configuration(parsing: Array(text.utf8), file: "config.json")
}

private func text(_ configuration: Configuration) -> String {
    String(decoding: configuration.serialized(), as: UTF8.self)
}

@Suite struct DialectTests {
    private let older = """
        {
            "torch_dtype": "bfloat16",
            "rms_norm_eps": 1e-05,
            "rope_theta": 1000000.0,
            "rope_scaling": {"type": "linear", "factor": 2.0},
            "partial_rotary_factor": 0.5,
            "num_hidden_layers": 32
        }
        """
    private let newer = """
        {
          "dtype": "float16",
          "rope_parameters": {
            "factor": 8.0,
            "partial_rotary_factor": 0.25,
            "rope_theta": 500000.0,
            "rope_type": "llama3"
          },
          "num_hidden_layers": 32
        }

        """

    @Test func bothDialectsAreRead() throws {
        let (old, new) = (try configuration(older), try configuration(newer))
        #expect(old.elementType == .bf16 && new.elementType == .f16)
        let (first, second) = (try old.rotary(), try new.rotary())
        #expect(first.theta == 1e6 && first.type == "linear" && first.partialFactor == 0.5)
        #expect(first.parameters.keys == ["factor"])
        #expect(second.theta == 5e5 && second.type == "llama3" && second.partialFactor == 0.25)
        #expect(second.parameters["factor"]?.double == 8)
        let neox = try configuration(#"{"rotary_emb_base": 10000, "rotary_pct": 0.25, "rope_scaling": null}"#)
            .rotary()
        #expect(neox.theta == 1e4 && neox.partialFactor == 0.25 && neox.type == "default")
        #expect(try configuration("{}").rotary().theta == nil)
    }

    @Test func eachKindOfLayerMayTurnInItsOwnWay() throws {
        let gemma = try configuration(
            #"{"rope_parameters": {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}}"#
        )
        #expect(try gemma.rotary(layerType: "full_attention").theta == 1e6)
        #expect(try gemma.rotary(layerType: "sliding_attention").theta == 1e4)
    }

    @Test func editsKeepTheDialect() throws {
        var (old, new) = (try configuration(older), try configuration(newer))
        old.elementType = .f32
        new.elementType = .f32
        old.setRotaryTheta(2e6)
        new.setRotaryTheta(2e6)
        #expect(old["torch_dtype"] == "float32" && old["dtype"] == nil)
        #expect(new["dtype"] == "float32" && new["torch_dtype"] == nil)
        #expect(old["rope_theta"]?.double == 2e6 && old["rope_parameters"] == nil)
        #expect(new["rope_parameters"]?["rope_theta"]?.double == 2e6 && new["rope_theta"] == nil)
        var nested = try configuration(#"{"dtype": "bfloat16", "text_config": {"torch_dtype": "bfloat16"}}"#)
        nested.elementType = .f16
        #expect(text(nested) == #"{"dtype":"float16","text_config":{"torch_dtype":"float16"}}"#)
        var silent = try configuration("{}")
        silent.elementType = .f16
        #expect(text(silent) == "{}")
    }
}
