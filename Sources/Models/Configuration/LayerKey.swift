internal import Formats

/// What a key of a configuration says about layers: the rule book of everything that counts them.
///
/// Checked against the configuration classes of transformers 5.24.
package enum LayerKey: Sendable, Equatable {
    /// The number of layers.
    case count
    /// A list with an entry a layer; it may go on after the last one. A number or word instead of a list holds for
    /// every layer alike.
    case entries
    /// Entries for some layers and how often they repeat, again and again, as in `[[["global", "local"], 12]]`.
    case repeatedEntries
    /// A list with a word a layer, of which one word says that the layer takes what an earlier layer without it has made.
    case sharing(word: String)
    /// A list that goes round the layers again and again.
    case cycle
    /// The number of the last layer that is marked; nothing is said by -1.
    case lastIndex
    /// The number of layers once more, where it is the same number.
    case countAgain
    /// A string with a character a layer.
    case characters
    /// A list of the numbers of the layers that are marked.
    case indices
    /// How many layers at the start are marked; nothing is while the other key, where one is given, is not true.
    case leading(unlessOff: String?)
    /// How many layers at the end are marked.
    case trailing
    /// Every how many layers one is marked; 0 and 1 say nothing of any one layer.
    /// The list, where one is given, says the same layer by layer, and is what counts when it is there. The exceptions,
    /// where they are given, name layers that are not marked although the period marks them.
    case period(list: String?, exceptions: String? = nil)
    /// Which of a period's layers is marked; follows from the period.
    case phase
    /// A number that the model divides by the root of the number of layers, to scale what each layer adds.
    case perRootOfCount
    /// How many layers come after the last one, for other uses; their tensors move along.
    case following
    /// Something that ties the layers together in a way that copies would break, unless it is off.
    case fixed(because: String)

    /// The meaning of a key; nil when it is not known to be about layers.
    package static func meaning(of key: String) -> LayerKey? {
        known[key]
    }

    private static let known: [String: LayerKey] = {
        let kinds: [(LayerKey, [String])] = [
            (.count, ["num_hidden_layers", "n_layer", "n_layers", "num_layers", "num_transformer_layers"]),
            (.countAgain, ["num_blocks", "n_blocks", "num_transformer_blocks"]),
            (.sharing(word: "shared"), ["indexer_types"]),
            (.cycle, ["block_types"]),
            (.lastIndex, ["moe_layer_end_index"]),
            (
                .entries,
                [
                    "layer_types", "mlp_layer_types", "layers_block_type", "no_rope_layers",
                    "attention_layers",
                    "activation_sparsity_pattern", "intermediate_size", "num_attention_heads_per_layer",
                    "layer_rope_theta", "sliding_window_list", "num_key_value_heads_per_layer",
                    "attn_type_list", "hybrid_layer_pattern", "block_configs", "num_query_heads",
                    "num_kv_heads", "num_attention_heads", "num_key_value_heads", "ffn_multipliers",
                    "moe_topk", "num_shared_expert", "moe_intermediate_size", "swiglu_limits",
                    "swiglu_limits_shared",
                ]
            ),
            (.repeatedEntries, ["attention_types"]),
            (.characters, ["hybrid_override_pattern"]),
            (
                .indices,
                [
                    "mlp_only_layers", "moe_layers", "attn_layer_indices", "full_attn_idxs",
                    "rope_scaling_layers",
                    "local_layer_ids", "cross_attention_layers", "ple_layer_ids", "moe_layers_enum",
                ]
            ),
            (
                .leading(unlessOff: nil),
                ["first_k_dense_replace", "num_dense_layers", "moe_layer_start_index"]
            ),
            (.leading(unlessOff: "use_sliding_window"), ["max_window_layers"]),
            (.trailing, ["num_kv_shared_layers"]),
            (
                .period(list: "layer_types"),
                [
                    "sliding_window_pattern", "_sliding_window_pattern", "full_attention_interval",
                    "global_attn_every_n_layers",
                ]
            ),
            (.period(list: "no_rope_layers"), ["no_rope_layer_interval"]),
            (.period(list: "moe_layers"), ["interleave_moe_layer_step"]),
            (
                .period(list: nil),
                [
                    "moe_layer_freq", "moe_layer_interval", "attn_layer_period",
                    "expert_layer_period", "layer_group_size",
                ]
            ),
            (.period(list: nil, exceptions: "mlp_only_layers"), ["decoder_sparse_step"]),
            (.phase, ["attn_layer_offset", "expert_layer_offset"]),
            (.perRootOfCount, ["scale_depth"]),
            (.following, ["num_nextn_predict_layers", "num_mtp_layers"]),
            (.fixed(because: "its shared blocks are counted over the whole model"), ["hybrid_layer_ids"]),
            (.fixed(because: "its embeddings hold a part for each layer"), ["hidden_size_per_layer_input"]),
            (.fixed(because: "layers take keys and values from each other by number"), ["kv_source_layers"]),
            (.fixed(because: "neighbouring layers share keys and values"), ["cla_share_factor"]),
            (
                .fixed(because: "a layer's attention is divided by its number"),
                ["scale_attn_by_inverse_layer_idx"]
            ),
            (.fixed(because: "its attention depends on a layer's number"), ["lambda_std_dev"]),
            (.fixed(because: "it describes layers by number"), ["per_layer_config"]),
            (.fixed(because: "its first layers choose experts by token"), ["num_hash_layers"]),
        ]
        return Dictionary(uniqueKeysWithValues: kinds.flatMap { kind, keys in keys.map { ($0, kind) } })
    }()

    /// Whether a key that is not known may be about layers, going by its name.
    package static func soundsLikeLayers(_ key: String) -> Bool {
        ["layer", "block"].contains { key.contains($0) } && !key.contains("norm")
            && !indifferent.contains(key) && !isAboutAnotherModule(key)
    }

    /// Whether a key describes a module beside the layers: one that predicts further tokens, or reads pictures or sound.
    package static func isAboutAnotherModule(_ key: String) -> Bool {
        ["mtp_", "vision_", "visual_", "image_", "video_", "audio_", "speech_"].contains { key.hasPrefix($0) }
    }

    /// Lists that say how long a model is where no number does.
    static let measuringLists = ["layers_block_type", "layer_types", "block_configs"]

    /// Keys that have "layer" in their name but are about something else, or about every layer alike.
    private static let indifferent: Set<String> = [
        "vocab_size_per_layer_input", "num_adapter_layers",
        "block_size", "weight_block_size", "layer_scale_init_value",
    ]

    /// Lists of which a class of transformers makes one of its own for any number of layers, when the configuration has none.
    ///
    /// The families in ``Family`` that have an ``ImpliedLayerList`` for it are told from the others by that. Source: the
    /// configuration classes of transformers 5.24, made for 24 and for 36 layers.
    package static func listsMadeUp(for modelType: String) -> [String] { madeUp[modelType] ?? [] }

    private static let madeUp: [String: [String]] = {
        let kinds = [
            ["layer_types"]: [
                "afmoe", "cohere2_moe", "cwm", "diffusion_gemma_text", "embedding_gemma2_text", "flint",
                "gemma4_text", "gemma4_unified_text", "granite_swa", "granitemoe_swa", "inkling_text",
                "inkling2_text", "inkling2_loop_text", "kolibri1", "lara_mini", "lfm3", "minimax",
                "modernbert", "muse_glimmer_text", "muse_spark_text", "neomme", "olmo_hybrid",
                "qwen4_exp_text", "ultrabert", "vaultgemma",
            ],
            ["mlp_layer_types"]: [
                "axk1", "axk2", "ernie4_5_vl_moe_text", "glm4_moe_lite", "hy_v3", "laguna", "step3p5",
                "unlimited_ocr_text",
            ],
            ["layer_types", "mlp_layer_types"]: [
                "bailing_hybrid", "deepseek_v4", "dots3_note_text", "exaone_moe", "glm5_next_text",
                "kimi_linear", "mimo_v2_flash",
            ],
            ["mlp_layer_types", "indexer_types"]: ["hy_v4", "hy_v4_vl_text"],
            ["mlp_layer_types", "no_rope_layers"]: ["mistral_large4_text"],
            ["layer_types", "activation_sparsity_pattern"]: ["gemma3n_text"],
            ["layers_block_type"]: ["zamba"],
        ]
        return Dictionary(uniqueKeysWithValues: kinds.flatMap { lists, types in types.map { ($0, lists) } })
    }()
}
