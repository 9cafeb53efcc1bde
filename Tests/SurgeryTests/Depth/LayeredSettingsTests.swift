import Formats
import Models
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
        (#""moe_layers_enum": "2,6""#, ["moe_layers_enum", "\"2,6,10\""]),
        // The number of layers once more, and the last of those that are marked.
        (#""num_blocks": 8"#, ["num_blocks", "12"]),
        (#""moe_layer_end_index": 7"#, ["moe_layer_end_index", "11"]),
        (#""attn_type_list": [0, 0, 0, 1, 0, 0, 0, 1]"#, ["attn_type_list", "[0,0,0,1,0,0,0,1,0,0,0,1]"]),
        (
            #""indexer_types": ["f", "f", "f", "shared", "f", "f", "f", "shared"]"#,
            ["indexer_types", #"["f","f","f","shared","f","f","f","shared","f","f","f","shared"]"#]
        ),
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
        #""num_blocks": 4"#, #""moe_layer_end_index": -1"#, #""block_types": ["r", "r", "r", "a"]"#,
        #""mtp_num_hidden_layers": 1"#, #""mtp_layer_types": ["full_attention"]"#,
        #""vision_feature_layer": 5, "vision_feature_layers": [3, 7]"#,
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
        (#""block_types": ["r", "r", "a"]"#, "as a depth of 11, 14 does"),
        (#""attn_layer_period": 3"#, "as a depth of 11, 14 does"),
        (
            #""indexer_types": ["full", "shared", "shared", "full", "shared", "shared", "shared", "shared"]"#,
            "indexer_types"
        ),
        (#""kinds": ["a", "b", "c", "d", "e", "f", "g", "h"]"#, "kinds"),
        (#""num_odd_blocks": 8"#, "num_odd_blocks = 8"),
        (#""model_type": "gemma4_text""#, "layer_types = null"),
        (#""model_type": "glm4_moe_lite""#, "mlp_layer_types = null"),
        (#""lambda_std_dev": 0.1"#, "lambda_std_dev = 0.1"),
        (#""hidden_size_per_layer_input": 256"#, "hidden_size_per_layer_input = 256"),
        (#""layer_types": ["a", "b"]"#, #"layer_types = ["a","b"]"#),
        (#""attention_types": [[["g", "l"], 3]]"#, "it has 6 entries for 8 layers"),
        (#""moe_layers": [8]"#, "moe_layers = [8]"),
        (#""odd_layers": [1, 3]"#, "odd_layers = [1,3]"),
        (#""weights_by_depth": [1, 2, 3, 4, 5, 6, 7, 8]"#, "weights_by_depth"),
        (#""num_strange_layers": 2"#, "num_strange_layers = 2"),
        (#""linear_attn_config": {"kda_layers": [1, 2]}"#, "linear_attn_config.kda_layers = [1,2]"),
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

    /// Where no number says how many layers there are, the list with an entry a layer does.
    @Test(arguments: ["layers_block_type", "layer_types"])
    func aListAloneIsTheNumber(key: String) throws {
        let text = #"{"\#(key)": ["m", "e", "a", "f"]}"#
        let result = try MemoryModels.layers(4, configuration: text).depthUpScaled(DepthUpScaling(to: 6))
            .checkpoint
        #expect(result.configuration?[key] == ["m", "e", "a", "e", "a", "f"])
        #expect(result.configuration?.json.object?.count == 1)
        #expect(try result.layers().count == 6)
    }

    /// xLSTM reads `num_blocks` before `num_hidden_layers`.
    @Test func anOtherNameAloneIsTheNumber() throws {
        let text = #"{"model_type": "xlstm", "num_blocks": 4}"#
        let result = try MemoryModels.layers(4, configuration: text).depthUpScaled(DepthUpScaling(to: 6))
        #expect(result.checkpoint.configuration?["num_blocks"] == 6)
    }

    /// Beam's last layer sees everything, and so does each copy of it; its first three are dense.
    @Test func beamsListsAreWrittenOut() throws {
        let text = #"{"model_type": "beam", "num_hidden_layers": 8}"#
        let result = try MemoryModels.layers(8, configuration: text).depthUpScaled(DepthUpScaling(to: 12))
            .checkpoint
        let (full, sliding): (JSON, JSON) = ("full_attention", "sliding_attention")
        let source = [sliding, sliding, sliding, sliding, sliding, full, sliding, full]
        let origins = [0, 1, 2, 3, 4, 5, 2, 3, 4, 5, 6, 7]
        #expect(result.configuration?["layer_types"] == .array(origins.map { source[$0] }))
        #expect(
            result.configuration?["mlp_layer_types"] == .array(origins.map { $0 < 3 ? "dense" : "sparse" }))
    }
}
