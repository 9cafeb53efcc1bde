internal import Formats

/// A class of KerasHub that holds a tokenizer, and what Hugging Face has in its place.
///
/// Source: keras_hub/src/models/*/*_tokenizer.py of KerasHub 0.32 for classes and special tokens; for what stands before
/// and behind the model, the tokenizer.json of the families' own releases.
struct KerasTokenizerClass: Sendable {
    /// How text is divided and encoded.
    enum Kind: Sendable {
        /// Byte-pair encoding of bytes, words being divided by a pattern; nil where the settings name it.
        case bytePair(normalizer: JSON, words: Words)
        /// A model of SentencePiece.
        case sentencePiece
    }

    /// What divides a text into words.
    enum Words: Sendable {
        /// The pattern of GPT-2, which tokenizers has built in.
        case gpt2
        /// A pattern.
        case pattern(String)
        /// The pattern that the class's own settings have as `split_pattern`.
        case setting
    }

    /// What it is called, as in `GPT2Tokenizer`.
    let name: String
    /// The folder of KerasHub's models that has it.
    let folder: String
    /// The class of the models that it belongs to.
    let backbone: String
    /// How text is divided and encoded.
    let kind: Kind
    /// The tokens that start and end a text, fill it up and stand for the unknown: `bos`, `eos`, `pad`, `unk`.
    let roles: [(role: String, token: String)]
    /// Other tokens that the class can't be made without.
    var others: [String] = []
    /// Whether Hugging Face's tokenizer puts the first token before each text.
    let begins: Bool

    /// The tokens that the class can't be made without.
    var needed: [String] { roles.filter { $0.role != "unk" }.map(\.token) + others }

    /// The file in which KerasHub has the class.
    var module: String { "keras_hub.src.models.\(folder).\(folder)_tokenizer" }

    /// Whether it holds byte pairs.
    var isBytePair: Bool { if case .bytePair = kind { true } else { false } }

    /// The class of a name; nil when it is not known.
    static func named(_ name: String) -> KerasTokenizerClass? { all.first { $0.name == name } }

    /// The classes of a model's class.
    static func all(of backbone: String) -> [KerasTokenizerClass] { all.filter { $0.backbone == backbone } }

    /// Every class that is known.
    private static let all: [KerasTokenizerClass] = [
        bytes("GPT2Tokenizer", "gpt2", "GPT2Backbone", .null, .gpt2, [("bos", text), ("eos", text)]),
        bytes(
            "GPTNeoXTokenizer", "gpt_neo_x", "GPTNeoXBackbone", composed, .gpt2,
            [("bos", text), ("eos", text)]),
        bytes(
            "BloomTokenizer", "bloom", "BloomBackbone", .null, .pattern(bloom),
            [("bos", "<s>"), ("eos", "</s>"), ("pad", "<pad>"), ("unk", "<unk>")]),
        bytes(
            "QwenTokenizer", "qwen", "QwenBackbone", composed, .pattern(qwen), [("eos", text), ("pad", text)]),
        bytes(
            "Qwen3Tokenizer", "qwen3", "Qwen3Backbone", composed, .pattern(qwen),
            [("eos", "<|im_end|>"), ("pad", text)]),
        KerasTokenizerClass(
            name: "Llama3Tokenizer", folder: "llama3", backbone: "Llama3Backbone",
            kind: .bytePair(normalizer: .null, words: .pattern(llama3)),
            roles: [("bos", "<|begin_of_text|>"), ("eos", "<|end_of_text|>")],
            others: ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"], begins: true),
        KerasTokenizerClass(
            name: "MistralTekkenTokenizer", folder: "mistral", backbone: "MistralBackbone",
            kind: .bytePair(normalizer: .null, words: .setting),
            roles: [("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>")], begins: true),
        pieces("LlamaTokenizer", "llama", "LlamaBackbone", bracketed),
        pieces("MistralTokenizer", "mistral", "MistralBackbone", bracketed),
        pieces(
            "GemmaTokenizer", "gemma", "GemmaBackbone",
            [("bos", "<bos>"), ("eos", "<eos>"), ("pad", "<pad>"), ("unk", "<unk>")]),
        pieces(
            "Phi3Tokenizer", "phi3", "Phi3Backbone", [("bos", "<s>"), ("eos", text), ("unk", "<unk>")]),
    ]

    private static let text = "<|endoftext|>"
    private static let bracketed = [("bos", "<s>"), ("eos", "</s>"), ("unk", "<unk>")]
    private static let composed: JSON = ["type": "NFC"]
    private static let bloom = #" ?[^(\s|[.,!?…。，、।۔،])]+"#
    private static let qwen = cased + #"\p{N}"# + rest
    private static let llama3 = cased + #"\p{N}{1,3}"# + rest
    private static let cased = #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"#
    private static let rest = #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    /// What the pattern that tokenizers has built in is, written out.
    static let gpt2Pattern = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    private static func bytes(
        _ name: String, _ folder: String, _ backbone: String, _ normalizer: JSON, _ words: Words,
        _ roles: [(String, String)]
    ) -> KerasTokenizerClass {
        KerasTokenizerClass(
            name: name, folder: folder, backbone: backbone,
            kind: .bytePair(normalizer: normalizer, words: words), roles: roles, begins: false)
    }

    private static func pieces(
        _ name: String, _ folder: String, _ backbone: String, _ roles: [(String, String)]
    ) -> KerasTokenizerClass {
        KerasTokenizerClass(
            name: name, folder: folder, backbone: backbone, kind: .sentencePiece, roles: roles, begins: true)
    }
}
