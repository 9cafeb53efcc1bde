internal import Formats

/// The families as KerasHub has them: known by the class that their preset's config.json names, with paths of HDF5
/// groups for names.
///
/// Source: keras_hub/src/models of KerasHub 0.32.
extension LayerFamily {
    /// Every family of KerasHub that is known.
    static let kerasHub: [LayerFamily] = [
        likeKerasLlama("Llama", "LlamaBackbone", "Llama3Backbone", layer: "llama_transformer_decoder"),
        likeKerasLlama("Mistral", "MistralBackbone", layer: "mistral_transformer_decoder"),
        likeKerasLlama("Qwen 2", "QwenBackbone", layer: "qwen_transformer_decoder"),
        likeKerasLlama("Qwen 3", "Qwen3Backbone", layer: "qwen3_transformer_decoder"),
        keras(
            "GPT-2", "GPT2Backbone", layer: "transformer_decoder",
            writers: ["_self_attention_layer/output_dense", "_feedforward_output_dense"]),
        keras(
            "Gemma", "GemmaBackbone", layer: "gemma_decoder_block",
            writers: ["attention/output_dense", "ffw_linear"]),
        keras(
            "Phi-3", "Phi3Backbone", layer: "phi3_decoder",
            writers: ["attention/output_dense", "feedforward_output_dense"]
        ),
        keras(
            "GPT-NeoX", "GPTNeoXBackbone", layer: "gpt_neo_x_decoder",
            writers: ["_self_attention_layer/_output_dense", "_feedforward_output_dense"]),
        keras(
            "BLOOM", "BloomBackbone", layer: "bloom_decoder",
            writers: ["_self_attention_layer/_output_dense", "_mlp_output_dense"]),
    ]

    private static func likeKerasLlama(_ name: String, _ classes: String..., layer: String) -> LayerFamily {
        LayerFamily(
            name + " (KerasHub)", modelTypes: classes, layers: ["layers/" + layer],
            writers: ["_self_attention_layer/_output_dense", "_feedforward_output_dense"], shapes: [])
    }

    private static func keras(_ name: String, _ kind: String, layer: String, writers: [String])
        -> LayerFamily
    {
        LayerFamily(
            name + " (KerasHub)", modelTypes: [kind], layers: ["layers/" + layer], writers: writers,
            shapes: [])
    }
}
