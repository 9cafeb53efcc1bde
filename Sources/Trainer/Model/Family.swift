public import Formats
internal import Models

/// What a family of models calls things, and how its config.json describes a transformer.
public struct Family: Sendable {
    /// The value of `model_type` that names it.
    let modelType: String
    /// Reads the configuration.
    let read: @Sendable (inout ConfigurationReader) throws(ModelError) -> TransformerConfiguration
    /// Its tensors.
    let names: TensorNames

    /// Every family that the trainer knows.
    static let all: [Family] = [.llama, .mistral]

    /// The family that `configuration` names and the transformer that it describes.
    ///
    /// `path` is the checkpoint's, for messages; a key that asks for something unknown is refused by name. A preset's
    /// configuration is read in Hugging Face's terms.
    public static func describe(
        _ configuration: Configuration, path: String
    ) throws(ModelError) -> (family: Family, transformer: TransformerConfiguration) {
        let known: Configuration
        do { known = try configuration.asHuggingFace(path: path) } catch { throw .conversion(error) }
        guard let values = known.json.object, let type = values["model_type"]?.string else {
            throw .noFamily(path: path)
        }
        guard let family = all.first(where: { $0.modelType == type }) else {
            throw .unknownFamily(path: path, found: type, known: all.map(\.modelType))
        }
        var reader = ConfigurationReader(path: path, values: values)
        let transformer = try family.read(&reader)
        try reader.refuseTheRest(inert: inertKeys)
        return (family, transformer)
    }

    /// Keys that say how a model is stored, called or made to talk, but not what it computes.
    private static let inertKeys: Set<String> = [
        "architectures", "model_type", "transformers_version", "torch_dtype", "dtype", "use_cache",
        "_name_or_path",
        "_attn_implementation_autoset", "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id",
        "sep_token_id",
        "initializer_range", "auto_map", "id2label", "label2id", "problem_type", "return_dict",
        "tokenizer_class",
        "max_length", "min_length", "do_sample", "temperature", "top_k", "top_p", "num_beams",
        "num_beam_groups",
        "num_return_sequences", "repetition_penalty", "length_penalty", "diversity_penalty",
        "chunk_size_feed_forward",
        "typical_p", "is_decoder", "keys_to_ignore_at_inference", "license",
    ]
}
