internal import Formats

/// The families that are known by name.
///
/// A family that is not here can be operated on all the same: its layers are told from its tensor names, and every
/// key of its configuration follows that is known to count layers.
extension LayerFamily {
    /// Every family that is known.
    public static let all: [LayerFamily] = [
        llama, qwen2, qwen3, qwen2MoE, qwen3MoE, qwen3Next, gemma, gemma2, gemma3, phi3, smolLM3, cohere2,
        olmo3, exaone4, gptOSS, llama4, mixtral, deepSeek, lfm2, modernBERTDecoder,
        gpt2, gptNeoX, bloom, gptJ, gptNeo, falcon, opt, phi,
    ]

    // MARK: The tensors of Llama and of all that look like it

    private static let embeddings: [TensorShape] = [
        TensorShape("embed_tokens.weight", .vocabulary, .hidden),
        TensorShape("lm_head.weight", .vocabulary, .hidden),
    ]
    private static let attention: [TensorShape] = [
        TensorShape("self_attn.q_proj.weight", .queries, .hidden),
        TensorShape("self_attn.k_proj.weight", .keyValues, .hidden),
        TensorShape("self_attn.v_proj.weight", .keyValues, .hidden),
        TensorShape("self_attn.o_proj.weight", .hidden, .queries),
    ]
    private static let feedForward: [TensorShape] = [
        TensorShape("mlp.gate_proj.weight", .feedForward, .hidden),
        TensorShape("mlp.up_proj.weight", .feedForward, .hidden),
        TensorShape("mlp.down_proj.weight", .hidden, .feedForward),
    ]

    private static func likeLlama(
        _ name: String, _ modelTypes: String..., feedForward: [TensorShape] = feedForward,
        attention: [TensorShape] = attention, writers: [String] = ["self_attn.o_proj", "mlp.down_proj"],
        lists: [ImpliedLayerList] = []
    ) -> LayerFamily {
        LayerFamily(
            name, modelTypes: modelTypes,
            layers: [
                "model.layers.", "layers.", "language_model.model.layers.", "model.language_model.layers.",
            ],
            writers: writers, shapes: embeddings + attention + feedForward, lists: lists)
    }

    static let llama = likeLlama(
        "Llama", "llama", "mistral", "ministral", "smollm", "granite", "cohere", "stablelm", "helium",
        "olmo", "olmo2", "glm", "glm4", "arcee", "apertus", "seed_oss")
    static let gemma = likeLlama("Gemma", "gemma")
    static let qwen2 = likeLlama("Qwen 2", "qwen2", lists: [.aboveMaxWindow])
    static let qwen3 = likeLlama("Qwen 3", "qwen3", lists: [.aboveMaxWindow])
    static let gemma2 = likeLlama("Gemma 2", "gemma2", lists: [.everyLast([], default: 2)])
    static let gemma3 = likeLlama(
        "Gemma 3", "gemma3", "gemma3_text",
        lists: [.everyLast(["sliding_window_pattern", "_sliding_window_pattern"], default: 6)])
    static let smolLM3 = likeLlama("SmolLM3", "smollm3", lists: [.rotaryLayers, .slidingWhereNotRotary])
    static let cohere2 = likeLlama(
        "Cohere 2", "cohere2", lists: [.everyLast(["sliding_window_pattern"], default: 4)])
    static let olmo3 = likeLlama("OLMo 3", "olmo3", lists: [.everyLast([], default: 4)])
    static let exaone4 = likeLlama(
        "EXAONE 4", "exaone4", lists: [.everyLast(["sliding_window_pattern"], default: 4)])
    static let phi3 = likeLlama(
        "Phi 3", "phi3",
        feedForward: [
            TensorShape("mlp.gate_up_proj.weight", .gateAndUp, .hidden),
            TensorShape("mlp.down_proj.weight", .hidden, .feedForward),
        ],
        attention: [
            TensorShape("self_attn.qkv_proj.weight", .queriesKeysValues, .hidden),
            TensorShape("self_attn.o_proj.weight", .hidden, .queries),
        ])

    // MARK: Mixtures of experts

    private static let expertWriters = [
        "self_attn.o_proj", "mlp.down_proj", "mlp.experts.down_proj", "mlp.experts.*.down_proj",
        "mlp.shared_expert.down_proj", "mlp.shared_experts.down_proj",
    ]
    static let qwen2MoE = likeLlama(
        "Qwen 2 MoE", "qwen2_moe", feedForward: [], writers: expertWriters,
        lists: [.alternatingBelowMaxWindow])
    static let qwen3MoE = likeLlama("Qwen 3 MoE", "qwen3_moe", feedForward: [], writers: expertWriters)
    static let qwen3Next = likeLlama(
        "Qwen 3 Next", "qwen3_next", "qwen3_5_text", "qwen3_5_moe_text", feedForward: [], attention: [],
        writers: expertWriters + ["linear_attn.out_proj"],
        lists: [.everyLast(["full_attention_interval"], default: 4, others: "linear_attention")])
    static let gptOSS = likeLlama(
        "GPT-OSS", "gpt_oss", feedForward: [], writers: expertWriters, lists: [.everyLast([], default: 2)])
    static let mixtral = likeLlama(
        "Mixtral", "mixtral", feedForward: [],
        writers: ["self_attn.o_proj", "block_sparse_moe.experts.*.w2", "mlp.experts.down_proj"])
    static let deepSeek = likeLlama(
        "DeepSeek", "deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe", "glm_moe_dsa", feedForward: [],
        attention: [], writers: expertWriters)
    static let llama4 = likeLlama(
        "Llama 4", "llama4", "llama4_text", feedForward: [],
        writers: [
            "self_attn.o_proj", "feed_forward.down_proj", "feed_forward.experts.down_proj",
            "feed_forward.shared_expert.down_proj",
        ],
        lists: [.rotaryLayers, .chunkedWhereRotary, .interleavedExperts])

    // MARK: Others

    static let lfm2 = LayerFamily(
        "LFM 2", modelTypes: ["lfm2"], layers: ["model.layers."],
        writers: ["self_attn.out_proj", "conv.out_proj", "feed_forward.w2"],
        shapes: embeddings, lists: [.convolutions])
    static let modernBERTDecoder = LayerFamily(
        "ModernBERT decoder", modelTypes: ["modernbert-decoder"], layers: ["model.layers."],
        writers: ["attn.Wo", "mlp.Wo"], shapes: [], lists: [.everyFirst])
    static let gpt2 = LayerFamily(
        "GPT-2", modelTypes: ["gpt2", "gpt-sw3"], layers: ["transformer.h.", "h."],
        writers: ["attn.c_proj", "mlp.c_proj"],
        shapes: [  // Conv1D: (in, out)
            TensorShape("wte.weight", .vocabulary, .hidden),
            TensorShape("attn.c_attn.weight", .hidden, .queriesKeysValues),
            TensorShape("attn.c_proj.weight", .queries, .hidden),
            TensorShape("mlp.c_fc.weight", .hidden, .fourfold),
            TensorShape("mlp.c_proj.weight", .fourfold, .hidden),
        ])
    static let gptNeoX = LayerFamily(
        "GPT-NeoX", modelTypes: ["gpt_neox"], layers: ["gpt_neox.layers.", "layers."],
        writers: ["attention.dense", "mlp.dense_4h_to_h"],
        shapes: [
            TensorShape("embed_in.weight", .vocabulary, .hidden),
            TensorShape("embed_out.weight", .vocabulary, .hidden),
            TensorShape("attention.query_key_value.weight", .queriesKeysValues, .hidden),
            TensorShape("attention.dense.weight", .hidden, .queries),
            TensorShape("mlp.dense_h_to_4h.weight", .feedForward, .hidden),
            TensorShape("mlp.dense_4h_to_h.weight", .hidden, .feedForward),
        ])
    static let bloom = LayerFamily(
        "BLOOM", modelTypes: ["bloom"], layers: ["transformer.h.", "h."],
        writers: ["self_attention.dense", "mlp.dense_4h_to_h"],
        shapes: [
            TensorShape("word_embeddings.weight", .vocabulary, .hidden),
            TensorShape("self_attention.query_key_value.weight", .queriesKeysValues, .hidden),
            TensorShape("self_attention.dense.weight", .hidden, .queries),
            TensorShape("mlp.dense_h_to_4h.weight", .fourfold, .hidden),
            TensorShape("mlp.dense_4h_to_h.weight", .hidden, .fourfold),
        ])
    static let gptJ = LayerFamily(
        "GPT-J", modelTypes: ["gptj"], layers: ["transformer.h.", "h."],
        writers: ["attn.out_proj", "mlp.fc_out"],
        shapes: [TensorShape("wte.weight", .vocabulary, .hidden)])
    static let gptNeo = LayerFamily(
        "GPT-Neo", modelTypes: ["gpt_neo"], layers: ["transformer.h.", "h."],
        writers: ["attn.attention.out_proj", "mlp.c_proj"],
        shapes: [TensorShape("wte.weight", .vocabulary, .hidden)])
    static let falcon = LayerFamily(
        "Falcon", modelTypes: ["falcon"], layers: ["transformer.h.", "h."],
        writers: ["self_attention.dense", "mlp.dense_4h_to_h"],
        shapes: [TensorShape("word_embeddings.weight", .vocabulary, .hidden)])
    static let opt = LayerFamily(
        "OPT", modelTypes: ["opt"], layers: ["model.decoder.layers.", "decoder.layers."],
        writers: ["self_attn.out_proj", "fc2"], shapes: [])
    static let phi = likeLlama(
        "Phi", "phi", feedForward: [], attention: [], writers: ["self_attn.dense", "mlp.fc2"])
}
