import Formats
import Models
import Surgery
import Testing

/// Families whose configuration classes make a list up when it is missing: it is written out only when the rule no
/// longer gives what the layers had.
@Suite("Lists that families leave out")
struct ImpliedLayerListTests {
    private func result(_ settings: String, of count: Int, to target: Int) throws -> Outcome {
        let text = #"{"num_hidden_layers": \#(count), \#(settings)}"#
        return try MemoryModels.layers(count, configuration: text).depthUpScaled(DepthUpScaling(to: target))
    }

    private func types(_ result: Outcome) -> String? {
        result.checkpoint.configuration?["layer_types"]?.array?.compactMap { $0.string?.prefix(1) }.joined()
    }

    @Test func gemma2KeepsItsAlternation() throws {
        #expect(try types(result(#""model_type": "gemma2""#, of: 8, to: 12)) == nil)
    }

    @Test func gemma2WritesItOutWhenItBreaks() throws {
        // 0–6, then 2–7: the upper copy moves by 5.
        #expect(
            try types(result(#""model_type": "gemma2""#, of: 8, to: 13))
                == "sfsfsfssfsfsf")
    }

    /// Gemma 3's 26 layers → 39: 0–19, then 7–25 moves by 13, and a period of 6 breaks.
    @Test(arguments: [
        #""model_type": "gemma3_text""#, #""model_type": "gemma3_text", "sliding_window_pattern": 6"#,
    ])
    func gemma3(settings: String) throws {
        let result = try result(settings, of: 26, to: 39)
        let lower = "sssssfsssssfsssssfss"
        let upper = "ssssfsssssfsssssfss"
        #expect(types(result) == lower + upper)
        #expect(result.checkpoint.configuration?["sliding_window_pattern"] == nil)
    }

    @Test func qwen2SlidesAboveALayer() throws {
        let on = #""model_type": "qwen2", "use_sliding_window": true, "sliding_window": 128"#
        // The upper copy (2–7) has the layers from 4 on above those below: no number can say so.
        #expect(try types(result(on + #", "max_window_layers": 4"#, of: 8, to: 12)) == "ffffssffssss")
        let number = try result(on + #", "max_window_layers": 6"#, of: 8, to: 12)
        #expect(types(number) == nil)
        #expect(number.checkpoint.configuration?["max_window_layers"] == 10)
    }

    @Test func qwen2WithoutWindowsHasNothingToWriteOut() throws {
        let off = #""model_type": "qwen2", "use_sliding_window": false, "sliding_window": 128"#
        #expect(try types(result(off + #", "max_window_layers": 4"#, of: 8, to: 12)) == nil)
    }

    /// SmolLM3's 36 layers → 54: 0–26, then 9–35 moves by 18; every fourth layer has no rotary positions.
    @Test func smolLM3() throws {
        let result = try result(#""model_type": "smollm3", "no_rope_layer_interval": 4"#, of: 36, to: 54)
        let rotary = result.checkpoint.configuration?["no_rope_layers"]?.array?.compactMap(\.int)
        #expect(rotary == (Array(0...26) + Array(9...35)).map { ($0 + 1) % 4 == 0 ? 0 : 1 })
        #expect(result.checkpoint.configuration?["no_rope_layer_interval"] == nil)
    }

    @Test func llama4() throws {
        let text = #""model_type": "llama4_text", "interleave_moe_layer_step": 2, "no_rope_layers": []"#
        let result = try result(text, of: 8, to: 13)
        let origins = Array(0...6) + Array(2...7)
        let configuration = result.checkpoint.configuration
        #expect(
            configuration?["no_rope_layers"]?.array?.compactMap(\.int)
                == origins.map { ($0 + 1) % 4 == 0 ? 0 : 1 })
        #expect(
            configuration?["moe_layers"]?.array?.compactMap(\.int)
                == origins.indices.filter { (origins[$0] + 1) % 2 == 0 })
        #expect(configuration?["interleave_moe_layer_step"] == nil)
        #expect(types(result) == nil)  // it follows from no_rope_layers
    }

    @Test func qwen3NextCohere2AndLFM2() throws {
        #expect(
            try types(result(#""model_type": "qwen3_next", "full_attention_interval": 4"#, of: 8, to: 14))
                == "lllflllllflllf")
        #expect(try types(result(#""model_type": "cohere2""#, of: 8, to: 12)) == nil)
        #expect(
            try types(result(#""model_type": "lfm2", "full_attn_idxs": [2, 5]"#, of: 8, to: 12)) == nil)
    }
}
