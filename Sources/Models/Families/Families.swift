extension Family {
    /// Every family that is known.
    public static let all: [Family] =
        [
            llama, mistral, mixtral, qwen2, qwen3, qwen2MoE, qwen3MoE, gemma, gemma2, gemma3, phi3, gptNeoX,
            gpt2,
            bloom, falcon, olmo2, olmo3, stableLM, starcoder2, cohere2, granite, smolLM3, gptOSS,
        ] + uncomputed
}
