/// Shapes of models that figures are compared on.
public enum BenchmarkShape: String, CaseIterable, Sendable {
    /// A small Mistral of 7.7 million parameters.
    case small = "8m"
    /// A Llama of 134.5 million parameters with a tied head.
    case llama135M = "135m"
    /// A Mistral of half a billion parameters.
    case mistralHalfBillion = "0.5b"

    /// The shape.
    public var configuration: TransformerConfiguration {
        switch self {
        case .small:
            Self.shape(hidden: 256, layers: 8, heads: 8, keyValue: 2, intermediate: 704, vocabulary: 4_096)
        case .llama135M:
            Self.shape(
                hidden: 576, layers: 30, heads: 9, keyValue: 3, intermediate: 1_536, vocabulary: 49_152,
                tied: true)
        case .mistralHalfBillion:
            Self.shape(
                hidden: 1_024, layers: 32, heads: 16, keyValue: 4, intermediate: 3_584, vocabulary: 32_000)
        }
    }

    private static func shape(
        hidden: Int, layers: Int, heads: Int, keyValue: Int, intermediate: Int, vocabulary: Int,
        tied: Bool = false
    ) -> TransformerConfiguration {
        TransformerConfiguration(
            vocabularySize: vocabulary, hiddenSize: hidden, layers: layers, heads: heads,
            keyValueHeads: keyValue,
            headSize: hidden / heads, intermediateSize: intermediate, gate: .silu, normEpsilon: 1e-6,
            rotary: RotaryEmbedding(theta: 10_000), window: nil, tiedHead: tied, biases: [],
            maximumLength: 4_096)
    }
}
