public import Formats
public import Models

/// Shapes of models that figures are compared on.
public enum BenchmarkShape: String, CaseIterable, Sendable {
    /// A small Mistral of 7.7 million parameters.
    case small = "8m"
    /// A Llama of 134.5 million parameters with a tied head.
    case llama135M = "135m"
    /// A Mistral of half a billion parameters.
    case mistralHalfBillion = "0.5b"
    /// GPT-NeoX 160M, as Pythia has it.
    case gptNeoX160M = "neox-160m"
    /// GPT-2 of 124 million parameters.
    case gpt2 = "gpt2-124m"
    /// Qwen 2.5 of half a billion parameters.
    case qwenHalfBillion = "qwen2-0.5b"
    /// A Mixtral of 123 million parameters: 8 experts, of which 2 are chosen.
    case mixture = "moe-124m"

    /// What config.json of such a model says.
    private var settings: JSONObject {
        switch self {
        case .small:
            Self.settings("mistral", hidden: 256, layers: 8, heads: 8, keyValue: 2, inner: 704, tokens: 4_096)
        case .llama135M:
            Self.settings(
                "llama", hidden: 576, layers: 30, heads: 9, keyValue: 3, inner: 1_536, tokens: 49_152,
                isTied: true)
        case .mistralHalfBillion:
            Self.settings(
                "mistral", hidden: 1_024, layers: 32, heads: 16, keyValue: 4, inner: 3_584, tokens: 32_000)
        case .gptNeoX160M:
            Self.settings("gpt_neox", hidden: 768, layers: 12, heads: 12, inner: 3_072, tokens: 50_304)
        case .gpt2:
            Self.settings("gpt2", hidden: 768, layers: 12, heads: 12, tokens: 50_257, isTied: true)
        case .qwenHalfBillion:
            Self.settings(
                "qwen2", hidden: 896, layers: 24, heads: 14, keyValue: 2, inner: 4_864, tokens: 151_936,
                isTied: true)
        case .mixture:
            Self.settings(
                "mixtral", hidden: 512, layers: 8, heads: 8, keyValue: 4, inner: 1_024, tokens: 32_000,
                isTied: true)
        }
    }

    /// The model.
    ///
    /// - Throws: nothing but our own mistakes: the settings are those of a known family.
    public func described() throws(UserFacingError) -> DescribedModel {
        try DescribedModel(Configuration(settings), path: rawValue)
    }

    private static func settings(
        _ modelType: String, hidden: Int, layers: Int, heads: Int, keyValue: Int? = nil, inner: Int? = nil,
        tokens: Int, isTied: Bool = false
    ) -> JSONObject {
        var settings = JSONObject()
        settings["model_type"] = .string(modelType)
        settings["hidden_size"] = JSON(hidden)
        settings["num_hidden_layers"] = JSON(layers)
        settings["num_attention_heads"] = JSON(heads)
        settings["num_key_value_heads"] = keyValue.map { JSON($0) }
        settings["intermediate_size"] = inner.map { JSON($0) }
        settings["vocab_size"] = JSON(tokens)
        settings["tie_word_embeddings"] = .bool(isTied)
        settings["sliding_window"] = modelType == "mistral" ? .null : nil
        if modelType != "gpt2" { settings["max_position_embeddings"] = 4_096 }
        return settings
    }
}
