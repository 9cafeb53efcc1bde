internal import Formats

/// Families that surgery operates on by name and that the trainer does not compute.
///
/// A family that is not here either can be operated on all the same: its layers are told from its tensor names, and every
/// key of its configuration follows that is known to count layers.
extension Family {
    static let uncomputed: [Family] =
        [
            ("Ministral", "ministral"), ("SmolLM", "smollm"), ("Cohere", "cohere"), ("Helium", "helium"),
            ("OLMo", "olmo"), ("GLM", "glm"), ("GLM 4", "glm4"), ("Arcee", "arcee"), ("Apertus", "apertus"),
            ("Seed-OSS", "seed_oss"),
        ].map { name, modelType in likeLlama(name, [modelType]) } + [
            likeLlama("EXAONE 4", ["exaone4"], lists: [.everyLast(["sliding_window_pattern"], default: 4)]),
            beam, qwen3Next, deepSeek, llama4, lfm2, modernBERTDecoder, gptJ, gptNeo, opt, phi, internLM2,
        ]

    private static func likeLlama(
        _ name: String, _ modelTypes: [String], layer: [TensorRow] = llamaLayer,
        lists: [ImpliedLayerList] = []
    ) -> Family {
        Family(name, modelTypes, outer: llamaOuter, layer: layer, lists: lists)
    }

    private static let experts = [
        TensorRow(.attentionOutput, "self_attn.o_proj"), TensorRow(.down, "mlp.down_proj"),
        TensorRow(.expertDown, "mlp.experts.down_proj", weight: ""),
        TensorRow(.expertDown, "mlp.experts.*.down_proj"),
        TensorRow(.sharedDown, "mlp.shared_expert.down_proj"),
        TensorRow(.sharedDown, "mlp.shared_experts.down_proj"),
    ]
    private static let qwen3Next = likeLlama(
        "Qwen 3 Next", ["qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"],
        layer: experts + [TensorRow(.attentionOutput, "linear_attn.out_proj")],
        lists: [.everyLast(["full_attention_interval"], default: 4, others: "linear_attention")])
    private static let deepSeek = likeLlama(
        "DeepSeek", ["deepseek_v2", "deepseek_v3", "deepseek_v32", "glm4_moe", "glm_moe_dsa"],
        // The layers behind the last one, which predict further tokens, have a head of their own.
        layer: experts + [TensorRow(.head, "shared_head.head", .vocabulary, .hidden)])
    private static let beam = likeLlama(
        "Beam", ["beam"], layer: experts, lists: [.everySixthAndLast, .denseFirst(3)])
    private static let llama4 = likeLlama(
        "Llama 4", ["llama4", "llama4_text"],
        layer: llamaAttention + [
            TensorRow(.down, "feed_forward.down_proj"),
            TensorRow(.expertDown, "feed_forward.experts.down_proj", weight: ""),
            TensorRow(.sharedDown, "feed_forward.shared_expert.down_proj"),
        ], lists: [.rotaryLayers, .chunkedWhereRotary, .interleavedExperts])
    private static let lfm2 = Family(
        "LFM 2", ["lfm2"], prefixes: ["model."], outer: llamaOuter,
        layer: [
            TensorRow(.attentionOutput, "self_attn.out_proj"), TensorRow(.attentionOutput, "conv.out_proj"),
            TensorRow(.down, "feed_forward.w2"),
        ], lists: [.convolutions])
    private static let modernBERTDecoder = Family(
        "ModernBERT decoder", ["modernbert-decoder"], prefixes: ["model."],
        outer: [TensorRow(.embedding, "embeddings.tok_embeddings", .vocabulary, .hidden)],
        layer: [TensorRow(.attentionOutput, "attn.Wo"), TensorRow(.down, "mlp.Wo")], lists: [.everyFirst])
    private static let wte = [
        TensorRow(.embedding, "wte", .vocabulary, .hidden), TensorRow(.head, "lm_head", .vocabulary, .hidden),
    ]
    private static let gptJ = Family(
        "GPT-J", ["gptj"], prefixes: ["transformer.", ""], layers: "h.", outer: wte,
        layer: [TensorRow(.attentionOutput, "attn.out_proj"), TensorRow(.down, "mlp.fc_out")])
    private static let gptNeo = Family(
        "GPT-Neo", ["gpt_neo"], prefixes: ["transformer.", ""], layers: "h.", outer: wte,
        layer: [TensorRow(.attentionOutput, "attn.attention.out_proj"), TensorRow(.down, "mlp.c_proj")])
    private static let opt = Family(
        "OPT", ["opt"], prefixes: ["model.decoder.", "decoder."],
        outer: [TensorRow(.embedding, "embed_tokens"), TensorRow(.head, "lm_head")],
        layer: [TensorRow(.attentionOutput, "self_attn.out_proj"), TensorRow(.down, "fc2")],
        noIdentity: ("do_layer_norm_before", false))
    private static let internLM2 = Family(
        "InternLM 2", ["internlm2"], prefixes: ["model.", ""],
        outer: [
            TensorRow(.embedding, "tok_embeddings", .vocabulary, .hidden),
            TensorRow(.head, "output", .vocabulary, .hidden),
        ],
        layer: [TensorRow(.attentionOutput, "attention.wo"), TensorRow(.down, "feed_forward.w2")])
    private static let phi = likeLlama(
        "Phi", ["phi"], layer: [TensorRow(.attentionOutput, "self_attn.dense"), TensorRow(.down, "mlp.fc2")])
}
