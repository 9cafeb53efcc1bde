internal import Formats

extension Family {
    /// Llama (<https://arxiv.org/abs/2302.13971>) and Code Llama.
    static let llama = Family(
        modelType: "llama",
        read: { (reader) throws(ModelError) in
            var configuration = try readLlama(&reader)
            if try reader.flag("attention_bias", default: false) {
                configuration.biases.formUnion([.queryKeyValue, .attentionOutput])
            }
            if try reader.flag("mlp_bias", default: false) {
                configuration.biases.formUnion([.gateUp, .down])
            }
            // Tensor parallelism of the pre-training: it changed the order of sums, nothing else.
            _ = reader.value("pretraining_tp")
            return configuration
        },
        names: llamaNames)

    /// Mistral (<https://arxiv.org/abs/2310.06825>): Llama with a sliding window; an absent key has the
    /// reference implementation's own default.
    static let mistral = Family(
        modelType: "mistral",
        read: { (reader) throws(ModelError) in
            var configuration = try readLlama(&reader, keyValueHeads: 8, maximumLength: 131_072)
            if !reader.has("sliding_window") {
                configuration.window = 4_096
            } else if reader.value("sliding_window") != nil {
                configuration.window = try reader.count("sliding_window")
            }
            return configuration
        },
        names: llamaNames)

    private static let llamaNames = TensorNames(
        embedding: "model.embed_tokens.weight",
        layer: "model.layers.{}.",
        attentionNorm: "input_layernorm.weight",
        feedForwardNorm: "post_attention_layernorm.weight",
        linear: [
            .queryKeyValue: ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
            .attentionOutput: ["self_attn.o_proj"],
            .gateUp: ["mlp.gate_proj", "mlp.up_proj"],
            .down: ["mlp.down_proj"],
        ],
        finalNorm: "model.norm.weight",
        head: "lm_head.weight",
        derived: [".self_attn.rotary_emb.inv_freq"])

    /// What Llama and Mistral write alike.
    private static func readLlama(
        _ reader: inout ConfigurationReader, keyValueHeads: Int? = nil, maximumLength: Int = 2_048
    ) throws(ModelError) -> TransformerConfiguration {
        let hiddenSize = try reader.count("hidden_size")
        let heads = try reader.count("num_attention_heads")
        let keyValueHeads = try reader.count("num_key_value_heads", default: keyValueHeads ?? heads)
        let headSize = try reader.count("head_dim", default: hiddenSize / heads)
        guard heads % keyValueHeads == 0 else {
            throw .unsupported(
                path: reader.path, key: "num_key_value_heads", value: String(keyValueHeads),
                reason: "the \(heads) attention heads cannot be shared among them evenly")
        }
        guard headSize % 2 == 0 else {
            throw .unsupported(
                path: reader.path, key: "head_dim", value: String(headSize),
                reason: "rotary embedding turns pairs of channels, so it must be even")
        }
        let length = try reader.count("max_position_embeddings", default: maximumLength, most: 1 << 40)
        let configuration = TransformerConfiguration(
            vocabularySize: try reader.count("vocab_size"), hiddenSize: hiddenSize,
            layers: try reader.count("num_hidden_layers", most: 4_096), heads: heads,
            keyValueHeads: keyValueHeads,
            headSize: headSize, intermediateSize: try reader.count("intermediate_size"),
            gate: try reader.gate(),
            normEpsilon: Float(try reader.number("rms_norm_eps", default: 1e-6)),
            rotary: try reader.rotary(maximumLength: length),
            window: nil,
            tiedHead: try reader.flag("tie_word_embeddings", default: false),
            biases: [], maximumLength: length)
        try reader.require("attention_dropout", in: [0, 0.0], else: "the trainer drops nothing")
        return configuration
    }
}
