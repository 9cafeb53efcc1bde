/// What a key of a configuration says about layers: the rule book of everything that counts them.
///
/// Checked against the configuration classes of transformers 5.23.
enum LayerKey: Sendable, Equatable {
    /// The number of layers.
    case count
    /// A list with an entry a layer; it may go on after the last one. A number or word instead of a list holds for
    /// every layer alike.
    case entries
    /// Entries for some layers and how often they repeat, again and again, as in `[[["global", "local"], 12]]`.
    case repeatedEntries
    /// A string with a character a layer.
    case characters
    /// A list of the numbers of the layers that are marked.
    case indices
    /// How many layers at the start are marked.
    case leading
    /// How many layers at the end are marked.
    case trailing
    /// Every how many layers one is marked; 0 and 1 say nothing of any one layer.
    /// The list, where one is given, says the same layer by layer, and is what counts when it is there.
    case period(list: String?)
    /// Which of a period's layers is marked; follows from the period.
    case phase
    /// A number that the model divides by the root of the number of layers, to scale what each layer adds.
    case perRootOfCount
    /// How many layers come after the last one, for other uses; their tensors move along.
    case following
    /// Something that ties the layers together in a way that copies would break, unless it is off.
    case fixed(because: String)

    /// The meaning of a key; nil when it is not known to be about layers.
    static func meaning(of key: String) -> LayerKey? {
        known[key]
    }

    private static let known: [String: LayerKey] = [
        "num_hidden_layers": .count, "n_layer": .count, "n_layers": .count, "num_layers": .count,

        "layer_types": .entries, "mlp_layer_types": .entries, "layers_block_type": .entries,
        "no_rope_layers": .entries, "attention_layers": .entries, "activation_sparsity_pattern": .entries,
        "intermediate_size": .entries, "num_attention_heads_per_layer": .entries,
        "layer_rope_theta": .entries,
        "sliding_window_list": .entries, "num_key_value_heads_per_layer": .entries,
        "attention_types": .repeatedEntries, "hybrid_override_pattern": .characters,

        "mlp_only_layers": .indices, "moe_layers": .indices, "attn_layer_indices": .indices,
        "full_attn_idxs": .indices, "rope_scaling_layers": .indices, "local_layer_ids": .indices,
        "hybrid_layer_ids": .fixed(because: "its shared blocks are counted over the whole model"),
        "cross_attention_layers": .indices,

        "first_k_dense_replace": .leading, "num_dense_layers": .leading, "max_window_layers": .leading,
        "moe_layer_start_index": .leading, "num_kv_shared_layers": .trailing,

        "sliding_window_pattern": .period(list: "layer_types"),
        "_sliding_window_pattern": .period(list: "layer_types"),
        "full_attention_interval": .period(list: "layer_types"),
        "global_attn_every_n_layers": .period(list: "layer_types"),
        "no_rope_layer_interval": .period(list: "no_rope_layers"),
        "interleave_moe_layer_step": .period(list: "moe_layers"),
        "decoder_sparse_step": .period(list: nil), "moe_layer_freq": .period(list: nil),
        "moe_layer_interval": .period(list: nil), "attn_layer_period": .period(list: nil),
        "expert_layer_period": .period(list: nil), "layer_group_size": .period(list: nil),
        "attn_layer_offset": .phase, "expert_layer_offset": .phase,

        "scale_depth": .perRootOfCount,

        "num_nextn_predict_layers": .following, "num_mtp_layers": .following,

        "hidden_size_per_layer_input": .fixed(because: "its embeddings hold a part for each layer"),
        "kv_source_layers": .fixed(because: "layers take keys and values from each other by number"),
        "cla_share_factor": .fixed(because: "neighbouring layers share keys and values"),
        "scale_attn_by_inverse_layer_idx": .fixed(because: "a layer's attention is divided by its number"),
        "lambda_std_dev": .fixed(because: "its attention depends on a layer's number"),
        "per_layer_config": .fixed(because: "it describes layers by number"),
        "num_hash_layers": .fixed(because: "its first layers choose experts by token"),
    ]

    /// Whether a key that is not known may be about layers, going by its name.
    static func soundsLikeLayers(_ key: String) -> Bool {
        ["layer", "block"].contains { key.contains($0) } && !key.contains("norm")
            && !indifferent.contains(key)
    }

    /// Keys that have "layer" in their name but are about something else, or about every layer alike.
    private static let indifferent: Set<String> = [
        "vocab_size_per_layer_input", "mtp_layer_types", "mtp_mlp_layer_types", "mtp_layers_block_type",
        "num_adapter_layers",
        "block_size", "weight_block_size", "layer_scale_init_value",
    ]
}
