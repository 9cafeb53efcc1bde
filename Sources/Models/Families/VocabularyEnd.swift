/// The two ends of a language model that have something for each token.
public enum VocabularyEnd: Sendable {
    /// What tokens become.
    case input
    /// What makes the logits.
    case output

    private static let inputs = Family.names(of: .embedding) { _ in [""] }
    private static let outputs = Family.names(of: .head) { _ in [""] }
    /// Heads of models that are no family here: DeepSeek's own files and RWKV's, BERT's and what is like it, encoders
    /// with decoders.
    private static let otherOutputs = [
        "head", "decoder", "cls.predictions", "predictions", "vocab_projector", "generator_lm_head",
        "output_projection", "proj_out", "lm_head.out_proj", "lm_loss",
    ]

    /// A tensor of an end.
    public struct Part: Sendable {
        /// The end.
        public let end: VocabularyEnd
        /// What follows the module's name, as in `weight`.
        public let rest: String
        /// Whether the module's name alone says that it is one; a head of another name is one where it is as high as the
        /// embedding.
        public let isCertain: Bool

        /// Whether it is the module's weight or bias, which have a row or a number for each token.
        public var isPlain: Bool { ["weight", "bias", "embeddings", "embedding"].contains(rest) }
    }

    /// What a tensor is to the ends of a model, by its name; nil when it is nothing to them.
    public static func part(named name: String) -> Part? {
        for (end, modules, isCertain) in [
            (VocabularyEnd.input, inputs, true), (.output, outputs, true), (.output, otherOutputs, false),
        ] {
            for module in modules {
                guard let rest = rest(of: name, behind: module) else { continue }
                return Part(end: end, rest: rest, isCertain: isCertain)
            }
        }
        return nil
    }

    /// What follows a module's name; nil where it does not stand, or another module follows.
    private static func rest(of name: String, behind module: String) -> String? {
        for separator: Character in [".", "/"] {
            var parts = name.split(separator: separator, omittingEmptySubsequences: false)
            let wanted = module.split(separator: ".")
            // bitsandbytes' states stand behind the weight's own name.
            var rest = [parts.removeLast()]
            if let place = parts.lastIndex(of: "weight") {
                rest = Array(parts[place...]) + rest
                parts.removeSubrange(place...)
            }
            if parts.count >= wanted.count, parts.suffix(wanted.count).elementsEqual(wanted) {
                return rest.joined(separator: ".")
            }
        }
        return nil
    }
}
