import Formats
import Surgery
import Testing

/// What becomes of each key that counts layers, in a model of 8 layers that becomes 12 (0–5, then 2–7: the upper copy
/// moves by 4) unless said otherwise.
@Suite("Configurations that follow a plan")
struct LayeredSettingsTests {
    private func changes(_ settings: String, of count: Int = 8, to target: Int = 12) throws -> [String] {
        let text = #"{"num_hidden_layers": \#(count), \#(settings)}"#
        let result = try MemoryModels.layers(count, configuration: text).depthUpScaled(
            DepthUpScaling(to: target))
        #expect(result.checkpoint.configuration?["num_hidden_layers"]?.int == target)
        return result.changes.map(\.description).filter { !$0.hasPrefix("num_hidden_layers") }
    }

    private func refusal(_ settings: String, of count: Int = 8, to target: Int = 12) throws -> String {
        let text = #"{"num_hidden_layers": \#(count), \#(settings)}"#
        let source = try MemoryModels.layers(count, configuration: text)
        let error = #expect(throws: UserFacingError.self) {
            try source.depthUpScaled(DepthUpScaling(to: target))
        }
        #expect(error?.fault == .input)
        return error?.description ?? ""
    }

    @Test(arguments: [
        // A list takes each layer's own entry along; one that is longer keeps what follows.
        (
            #""layer_types": ["a", "b", "c", "d", "e", "f", "g", "h"]"#,
            ["layer_types", "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"c\",\"d\",\"e\",\"f\",\"g\",\"h\"]"]
        ),
        (#""mlp_layer_types": [0, 1, 2, 3, 4, 5, 6, 7]"#, ["mlp_layer_types", "[0,1,2,3,4,5,2,3,4,5,6,7]"]),
        (
            #""no_rope_layers": [1, 1, 1, 0, 1, 1, 1, 0, 9]"#,
            ["no_rope_layers", "[1,1,1,0,1,1,1,0,1,1,1,0,9]"]
        ),
        (
            #""layers_block_type": [0, 1, 2, 3, 4, 5, 6, 7]"#,
            ["layers_block_type", "[0,1,2,3,4,5,2,3,4,5,6,7]"]
        ),
        (#""moe_layer_freq": [0, 1, 1, 1, 1, 1, 1, 1]"#, ["moe_layer_freq", "[0,1,1,1,1,1,1,1,1,1,1,1]"]),
        (#""hybrid_override_pattern": "M*M-EE*M""#, ["hybrid_override_pattern", "\"M*M-EEM-EE*M\""]),
        (
            #""some_layer_kinds": [0, 1, 2, 3, 4, 5, 6, 7]"#,
            ["some_layer_kinds", "[0,1,2,3,4,5,2,3,4,5,6,7]"]
        ),
        (
            #""attention_types": [[["g", "l"], 3], [["x"], 2]]"#,
            ["attention_types", #"[[["g","l","g","l","g","l","g","l","g","l","x","x"],1]]"#]
        ),
        // The layers that are marked, by number.
        (#""mlp_only_layers": [0, 3, 7]"#, ["mlp_only_layers", "[0,3,7,11]"]),
        (#""moe_layers": [2, 6]"#, ["moe_layers", "[2,6,10]"]),
        // Marked layers at the start or at the end.
        (#""first_k_dense_replace": 6"#, ["first_k_dense_replace", "10"]),
        (#""use_sliding_window": true, "max_window_layers": 7"#, ["max_window_layers", "11"]),
        (#""use_sliding_window": false, "max_window_layers": 8"#, ["max_window_layers", "12"]),
        // 1.4 / √8 = x / √12
        (#""scale_depth": 1.4"#, ["scale_depth", "1.7146428199482244"]),
    ])
    func follows(settings: String, change: [String]) throws {
        let text = #"{"num_hidden_layers": 8, \#(settings)}"#
        let result = try MemoryModels.layers(8, configuration: text).depthUpScaled(DepthUpScaling(to: 12))
        let value = result.checkpoint.configuration?[change[0]]
        #expect(value.map { String(decoding: $0.serialized(indent: nil), as: UTF8.self) } == change[1])
        #expect(result.changes.map(\.key) == ["num_hidden_layers", change[0]])
    }

    @Test(arguments: [
        #""first_k_dense_replace": 2"#, #""first_k_dense_replace": 0"#, #""num_kv_shared_layers": 2"#,
        #""num_kv_shared_layers": 0"#, #""num_nextn_predict_layers": 0"#,
        #""sliding_window_pattern": 2"#, #""sliding_window_pattern": 4"#, #""no_rope_layer_interval": 4"#,
        #""decoder_sparse_step": 1"#, #""decoder_sparse_step": 2"#,
        #""attn_layer_period": 4, "attn_layer_offset": 2"#,
        #""sliding_window_pattern": "LLLG""#, #""layer_types": null"#, #""mlp_only_layers": []"#,
        #""use_sliding_window": false, "max_window_layers": 4"#, #""max_window_layers": 28"#,
        #""intermediate_size": 64"#, #""eos_token_id": [1, 2, 3, 4, 5, 6, 7, 8]"#,
        #""layer_norm_eps": 1e-05, "layerdrop": 0.0, "block_size": 1024"#,
        #""scale_attn_by_inverse_layer_idx": false"#, #""vision_config": {"num_hidden_layers": 24}"#,
        #""quantization_config": {"quant_method": "fp8", "ignored_layers": []}"#,
    ])
    func stays(settings: String) throws {
        #expect(try changes(settings) == [])
    }

    /// Where the upper copy moves by 4, a period of 3 would give layers other windows than they were trained with.
    @Test(arguments: [
        (#""sliding_window_pattern": 3"#, "sliding_window_pattern = 3"),
        (#""attn_layer_period": 3, "attn_layer_offset": 1"#, "attn_layer_period = 3"),
        (#""moe_layer_freq": 3"#, "moe_layer_freq = 3"),
        (#""sliding_window_pattern": "LLG""#, #"sliding_window_pattern = "LLG""#),
        (#""first_k_dense_replace": 4"#, "first_k_dense_replace = 4"),
        (#""use_sliding_window": true, "max_window_layers": 4"#, "max_window_layers = 4"),
        (#""num_kv_shared_layers": 3"#, "num_kv_shared_layers = 3"),
        (#""scale_attn_by_inverse_layer_idx": true"#, "scale_attn_by_inverse_layer_idx = true"),
        (#""lambda_std_dev": 0.1"#, "lambda_std_dev = 0.1"),
        (#""hidden_size_per_layer_input": 256"#, "hidden_size_per_layer_input = 256"),
        (#""layer_types": ["a", "b"]"#, #"layer_types = ["a","b"]"#),
        (#""attention_types": [[["g", "l"], 3]]"#, "it has 6 entries for 8 layers"),
        (#""moe_layers": [8]"#, "moe_layers = [8]"),
        (#""odd_layers": [1, 3]"#, "odd_layers = [1,3]"),
        (#""weights_by_depth": [1, 2, 3, 4, 5, 6, 7, 8]"#, "weights_by_depth"),
        (#""num_strange_layers": 2"#, "num_strange_layers = 2"),
        (#""linear_attn_config": {"kda_layers": [1, 2]}"#, "linear_attn_config.kda_layers = [1,2]"),
        (#""quantization_config": {"ignore": ["model.layers.0.a"]}"#, "quantization_config.ignore"),
    ])
    func refuses(settings: String, names: String) throws {
        #expect(try refusal(settings).contains(names))
    }

    @Test func aPeriodGivesWayToTheListThatSaysTheSame() throws {
        let types = #""layer_types": [0, 0, 1, 0, 0, 1, 0, 0], "sliding_window_pattern": 3"#
        #expect(
            try changes(types) == [
                "layer_types: [0,0,1,0,0,1,0,0] → [0, 0, 1, 0, … (12 entries)]",
                "sliding_window_pattern: 3 → absent",
            ])
    }

    @Test func aSparseStepBecomesTheListOfDenseLayers() throws {
        // Layers 2 and 5 have experts; of the result 2 and 5 from the lower copy, 2 → 6 and 5 → 9 from the upper.
        let text = #"{"num_hidden_layers": 8, "decoder_sparse_step": 3, "mlp_only_layers": [5]}"#
        let result = try MemoryModels.layers(8, configuration: text).depthUpScaled(DepthUpScaling(to: 12))
            .checkpoint
        #expect(result.configuration?["decoder_sparse_step"] == 1)
        #expect(result.configuration?["mlp_only_layers"] == [0, 1, 3, 4, 5, 7, 8, 9, 10, 11])
    }
}
