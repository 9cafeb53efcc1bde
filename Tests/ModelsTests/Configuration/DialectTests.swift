import Formats
import TestSupport
import Testing

@testable import Models

private func configuration(_ text: String) throws -> Configuration {
    try Configuration(parsing: Array(text.utf8), file: "config.json")
}

private func text(_ configuration: Configuration) -> String {
    String(decoding: configuration.serialized(), as: UTF8.self)
}

@Suite struct DialectTests {
    private let older = Dialects.older
    private let newer = Dialects.newer

    private func rotary(_ text: String, kind: String? = nil) throws -> RotarySettings {
        try RotarySettings(#require(configuration(text).json.object), kind: kind, path: "m")
    }

    @Test func bothDialectsAreRead() throws {
        #expect(try configuration(older).elementType == .bf16 && configuration(newer).elementType == .f16)
        let (first, second) = (try rotary(older), try rotary(newer))
        #expect(first.theta == 1e6 && first.type == "linear" && first.share == 0.5)
        #expect(first.key == "rope_scaling" && first.parameters["factor"]?.double == 2)
        #expect(second.theta == 5e5 && second.type == "llama3" && second.share == 0.25)
        #expect(second.key == "rope_parameters" && second.parameters["factor"]?.double == 8)
        let neox = try rotary(#"{"rotary_emb_base": 10000, "rotary_pct": 0.25, "rope_scaling": null}"#)
        #expect(neox.theta == 1e4 && neox.share == 0.25 && neox.type == "default")
        #expect(try rotary("{}").theta == nil && rotary("{}").share == nil)
        // What stands inside comes before what stands outside, and null says nothing.
        let both = try rotary(
            #"{"rope_theta": 3.0, "rope_parameters": {"rope_theta": 5.0}, "rope_scaling": {"type": "linear"}}"#
        )
        #expect(both.theta == 5 && both.type == "default")
        let none = try rotary(
            #"{"rope_theta": 3.0, "rope_parameters": null, "rope_scaling": {"rope_type": null, "type": "yarn"}}"#
        )
        #expect(none.theta == 3 && none.type == "yarn")
    }

    @Test func eachKindOfLayerMayTurnInItsOwnWay() throws {
        let gemma =
            #"{"rope_parameters": {"full_attention": {"rope_theta": 1e6}, "sliding_attention": {"rope_theta": 1e4}}}"#
        #expect(try rotary(gemma, kind: "full_attention").theta == 1e6)
        #expect(try rotary(gemma, kind: "sliding_attention").theta == 1e4)
        #expect(throws: UserFacingError.self) { try rotary(gemma, kind: "chunked_attention") }
    }

    @Test(arguments: [
        (#"{"rope_scaling": "linear"}"#, "rope_scaling"), (#"{"rope_theta": "1e4"}"#, "rope_theta"),
        (#"{"rope_parameters": {"rope_type": 3}}"#, "rope_parameters.rope_type"),
        (#"{"rope_parameters": {"partial_rotary_factor": true}}"#, "rope_parameters.partial_rotary_factor"),
    ]) func refusesOtherKindsOfValues(text: String, key: String) throws {
        let error = #expect(throws: UserFacingError.self) { try rotary(text) }
        #expect(try #require(error).description.contains(key) && error?.fault == .input)
    }

    @Test func editsKeepTheDialect() throws {
        var (old, new) = (try configuration(older), try configuration(newer))
        old.elementType = .f32
        new.elementType = .f32
        #expect(old["torch_dtype"] == "float32" && old["dtype"] == nil)
        #expect(new["dtype"] == "float32" && new["torch_dtype"] == nil)
        var nested = try configuration(#"{"dtype": "bfloat16", "text_config": {"torch_dtype": "bfloat16"}}"#)
        nested.elementType = .f16
        #expect(text(nested) == #"{"dtype":"float16","text_config":{"torch_dtype":"float16"}}"#)
        var silent = try configuration("{}")
        silent.elementType = .f16
        #expect(text(silent) == "{}")
    }
}
