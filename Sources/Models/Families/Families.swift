extension Family {
    /// Every family that is known: those that the trainer computes, then the others.
    public static let all: [Family] = computed + uncomputed

    private static let computed: [Family] = [
        llama,
        mistral, mixtral,
        qwen2, qwen3, qwen2MoE, qwen3MoE,
        gemma, gemma2, gemma3,
        phi3,
        gptNeoX,
        gpt2,
        bloom,
        falcon,
        olmo2, olmo3,
        stableLM,
        starcoder2,
        cohere2,
        granite,
        smolLM3,
        gptOSS,
        olmoe,
        dots,
    ]
}
