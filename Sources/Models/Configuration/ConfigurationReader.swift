internal import Formats
internal import Foundation

/// Reads config.json for a family, and knows at the end which keys nobody has looked at.
public struct ConfigurationReader {
    /// The path of the checkpoint, for messages.
    let path: String
    /// What the user should know of keys that were passed over, a sentence each.
    private(set) var notes: [String] = []
    /// Whether this is the text model's part of a larger configuration, which leaves out what its class takes for granted.
    let isPart: Bool
    /// Whether the head is the embedding where the file does not say.
    private let isTied: Bool
    /// The size of a head where the file does not say.
    private let headSize: Int?
    private let values: JSONObject
    private let prefix: String
    private var seen: Set<String> = []

    init(
        path: String, values: JSONObject, prefix: String = "", isPart: Bool = false, isTied: Bool = false,
        headSize: Int? = nil
    ) {
        self.path = path
        self.values = values
        self.prefix = prefix
        self.isPart = isPart
        self.isTied = isTied
        self.headSize = headSize
    }

    // MARK: Values

    /// Whether the file has `key`, be it null.
    func has(_ key: String) -> Bool { values[key] != nil }

    /// The value of `key`, nil when it is null or absent.
    mutating func value(_ key: String) -> JSON? {
        seen.insert(key)
        guard let value = values[key], !value.isNull else { return nil }
        return value
    }

    /// Of keys with the same meaning the first that the file has.
    private func present(_ keys: [String]) -> String { keys.first { has($0) } ?? keys[0] }

    /// A whole number from 1 to `most`; `fallback` when the key is null or absent.
    ///
    /// Keys after the first are other names of the same.
    mutating func count(
        _ keys: String..., default fallback: Int? = nil, most: Int = 1 << 24
    ) throws(UserFacingError) -> Int {
        let key = present(keys)
        seen.formUnion(keys)
        let found = value(key)
        guard let count = found == nil ? fallback : found?.int, count > 0, count <= most else {
            throw wrong(key, found, expected: "a whole number from 1 to \(most)")
        }
        return count
    }

    /// A whole number from 1, nil when the key is null or absent.
    mutating func optionalCount(_ key: String) throws(UserFacingError) -> Int? {
        guard let found = value(key) else { return nil }
        guard let count = found.int, count > 0 else {
            throw wrong(key, found, expected: "a whole number from 1, or null")
        }
        return count
    }

    private func wrong(_ key: String, _ found: JSON?, expected: String) -> UserFacingError {
        found.map { .wrongSetting(path: path, key: prefix + key, found: $0.text, expected: expected) }
            ?? .missingSetting(path: path, key: prefix + key, expected: expected)
    }

    /// A number; `fallback` when the key is null or absent.
    mutating func number(_ keys: String..., default fallback: Double? = nil) throws(UserFacingError) -> Double
    {
        let key = present(keys)
        seen.formUnion(keys)
        let found = value(key)
        guard let number = found == nil ? fallback : found?.double, number.isFinite else {
            throw wrong(key, found, expected: "a number")
        }
        return number
    }

    /// A number, nil when the key is null or absent.
    mutating func optionalNumber(_ key: String) throws(UserFacingError) -> Double? {
        value(key) == nil ? nil : try number(key)
    }

    /// True or false; `fallback` when the key is null or absent.
    mutating func flag(_ key: String, default fallback: Bool) throws(UserFacingError) -> Bool {
        guard let found = value(key) else { return fallback }
        guard let flag = found.bool else { throw wrong(key, found, expected: "true or false") }
        return flag
    }

    /// A list of whole numbers; empty when the key is null or absent.
    mutating func integers(_ key: String) throws(UserFacingError) -> [Int] {
        guard let found = value(key) else { return [] }
        guard let list = found.array, list.allSatisfy({ $0.int != nil }) else {
            throw wrong(key, found, expected: "a list of whole numbers")
        }
        return list.compactMap(\.int)
    }

    /// A list of `count` numbers.
    private mutating func numbers(_ key: String, count: Int) throws(UserFacingError) -> [Double] {
        let found = value(key)
        guard let list = found?.array, list.count == count, list.allSatisfy({ $0.double != nil }) else {
            throw wrong(key, found, expected: "a list of \(count) numbers")
        }
        return list.compactMap(\.double)
    }

    // MARK: Refusing and passing over

    /// An error that names a key and its value.
    func unsupported(_ key: String, _ reason: String) -> UserFacingError {
        .unsupportedSetting(
            path: path, key: prefix + key, value: values[key]?.text ?? "absent", reason: reason)
    }

    /// Refuses any value of `key` but those `allowed`; null and absent are fine.
    mutating func require(_ key: String, in allowed: [JSON], else reason: String) throws(UserFacingError) {
        guard let found = value(key), !allowed.contains(found) else { return }
        throw unsupported(key, reason)
    }

    /// Passes over keys that change nothing in what is computed.
    mutating func ignore(_ keys: String...) { seen.formUnion(keys) }

    /// Tells the user something.
    mutating func note(_ text: String) { notes.append("\(path): \(text)") }

    /// Passes over rates of dropout, with a note where one is not zero.
    mutating func dropout(_ keys: String...) throws(UserFacingError) {
        for key in keys where try number(key, default: 0) != 0 {
            note(
                """
                config.json asks for \(prefix)\(key) = \(values[key]?.text ?? ""); \
                nothing is dropped out here, neither in training nor in evaluation
                """)
        }
    }

    /// Refuses, by name, every key that nobody has read and that is neither off nor says nothing of what is computed.
    func refuseTheRest() throws(UserFacingError) {
        let inert = prefix.isEmpty ? Self.inertKeys : []
        for (key, value) in values where !seen.contains(key) && !inert.contains(key) {
            let off = value.isNull || value == false || value == 0 || value == 0.0
            if off || value.array?.isEmpty == true || value.object?.isEmpty == true { continue }
            throw unsupported(
                key, "the trainer does not know what that changes; remove the key if it changes nothing")
        }
    }

    /// Keys that say how a model is stored, called or made to talk, but not what it computes.
    private static let inertKeys: Set<String> = [
        "architectures", "model_type", "transformers_version", "torch_dtype", "dtype", "use_cache",
        "_name_or_path", "_attn_implementation_autoset", "_attn_implementation", "attn_implementation",
        "bos_token_id", "eos_token_id", "pad_token_id", "unk_token_id", "sep_token_id",
        "initializer_range", "auto_map", "id2label", "label2id", "problem_type", "return_dict",
        "tokenizer_class", "max_length", "min_length", "do_sample", "temperature", "top_k", "top_p",
        "num_beams", "num_beam_groups", "num_return_sequences", "repetition_penalty", "length_penalty",
        "diversity_penalty", "chunk_size_feed_forward", "typical_p", "is_decoder",
        "keys_to_ignore_at_inference", "license", "early_stopping", "num_beam_hypotheses",
        "cache_implementation", "head_dim_original", "gradient_checkpointing", "finetuning_task",
        "task_specific_params", "pretraining_tp",
    ]
}

// MARK: - What families have in common

extension ConfigurationReader {
    /// What the feed-forward part makes of its hidden values, in transformers' names (`ACT2FN`).
    mutating func activation(_ keys: String..., default fallback: Activation) throws(UserFacingError)
        -> Activation
    {
        let key = present(keys)
        seen.formUnion(keys)
        guard let found = value(key) else { return fallback }
        guard let name = found.string, let known = Self.activations[name] else {
            throw unsupported(
                key, "the trainer knows \(Self.activations.keys.sorted().joined(separator: ", "))")
        }
        return known
    }

    private static let activations: [String: Activation] = [
        "silu": .silu, "swish": .silu, "gelu": .gelu, "gelu_python": .gelu, "gelu_new": .geluTanh,
        "gelu_fast": .geluTanh, "gelu_pytorch_tanh": .geluTanh, "gelu_python_tanh": .geluTanh,
        "quick_gelu": .geluQuick, "relu": .relu, "relu2": .reluSquared,
    ]

    /// The sizes that nearly every family calls alike.
    ///
    /// `absent` is what the family's class takes where a key is missing in a part of a larger configuration,
    /// `keyValueHeads` and `maximumLength` what it takes anywhere; there are as many key-value heads as heads when nil.
    mutating func sizes(
        absent: ModelSizes.Absent? = nil, keyValueHeads fallback: Int? = nil, maximumLength: Int
    ) throws(UserFacingError) -> ModelSizes {
        let absent = isPart ? absent : nil
        let hiddenSize = try count("hidden_size", "n_embd", "n_embed", default: absent?.hiddenSize)
        let heads = try count("num_attention_heads", "n_head", default: absent?.heads)
        let keyValueHeads = try count("num_key_value_heads", default: fallback ?? heads)
        guard heads % keyValueHeads == 0 else {
            throw unsupported(
                "num_key_value_heads", "the \(heads) attention heads cannot be shared among them evenly")
        }
        return ModelSizes(
            vocabularySize: try count("vocab_size", default: absent?.vocabularySize), hiddenSize: hiddenSize,
            layers: try count("num_hidden_layers", "n_layer", default: absent?.layers, most: 4_096),
            heads: heads, keyValueHeads: keyValueHeads,
            headSize: try count("head_dim", default: headSize ?? hiddenSize / heads),
            maximumLength: try count(
                "max_position_embeddings", "n_positions", default: maximumLength, most: 1 << 40))
    }

    /// Kinds of attention by layer: whether each sees a window only.
    ///
    /// `implied` is the family's rule where the list is not written out; without one, nothing is windowed.
    mutating func windowedLayers(
        _ count: Int, implied: ImpliedLayerList? = nil
    ) throws(UserFacingError) -> [Bool] {
        let written = value("layer_types")
        if let implied { seen.formUnion(implied.replaced) }
        guard let kinds = written?.array ?? (written == nil ? implied?.rule(values, count) ?? [] : nil) else {
            throw wrong("layer_types", written, expected: "a list of \(count) names")
        }
        if kinds.isEmpty, written == nil { return [Bool](repeating: false, count: count) }
        guard kinds.count == count else {
            throw wrong("layer_types", written, expected: "a list of \(count) names")
        }
        var result: [Bool] = []
        for kind in kinds {
            switch kind.string {
            case "full_attention": result.append(false)
            case "sliding_attention": result.append(true)
            default:
                throw .unsupportedSetting(
                    path: path, key: prefix + "layer_types", value: kind.text,
                    reason: "the trainer knows full_attention and sliding_attention")
            }
        }
        return result
    }

    /// A list with an entry a layer: what the file has, or what the family's rule gives.
    mutating func list(_ implied: ImpliedLayerList, count: Int) throws(UserFacingError) -> [JSON] {
        seen.formUnion(implied.replaced)
        let written = value(implied.key)
        guard let list = written == nil ? implied.rule(values, count) : written?.array, list.count == count
        else { throw wrong(implied.key, written, expected: "a list of \(count) entries") }
        return list
    }

    /// Whether the file has rotary settings of their own for each kind of layer.
    var hasRotaryByKind: Bool { values["rope_parameters"]?.object != nil }

    /// The rotary embedding, in the older dialect (`rope_theta`, `rope_scaling`) or the newer (`rope_parameters`).
    ///
    /// `theta` and `share` are the base and the share of a head that turns where the file does not say; `kind` is the
    /// kind of layer where each has settings of its own.
    mutating func rotary(
        _ sizes: ModelSizes, theta: Double = 10_000, share: Double = 1, isInterleaved: Bool = false,
        kind: String? = nil
    ) throws(UserFacingError) -> RotaryEmbedding {
        let (headSize, maximumLength) = (sizes.headSize, sizes.maximumLength)
        seen.formUnion(RotarySettings.outerKeys)
        let settings = try RotarySettings(values, kind: kind, path: path, prefix: prefix)
        let ownLength = try optionalNumber("original_max_position_embeddings")
        var reader = ConfigurationReader(
            path: path, values: settings.parameters, prefix: settings.key + ".")
        reader.seen.formUnion(RotarySettings.innerKeys)
        let turned = settings.share ?? share
        let size = Int(Double(headSize) * turned)
        guard size > 0, size <= headSize, size.isMultiple(of: 2) else {
            throw .unsupportedSetting(
                path: path, key: prefix + "partial_rotary_factor", value: "\(turned) of \(headSize) channels",
                reason: "rotary embedding turns pairs of channels, so an even number of them must turn")
        }
        let scaling = try reader.ropeScaling(
            settings.type, pairs: size / 2, maximumLength: Double(maximumLength), ownLength: ownLength,
            truncates: kind == nil)
        try reader.refuseTheRest()
        return RotaryEmbedding(
            theta: settings.theta ?? theta, size: size, isInterleaved: isInterleaved, scaling: scaling)
    }

    /// What changes the frequencies of so many pairs.
    ///
    /// `ownLength` is `original_max_position_embeddings` outside the settings, which comes before that inside.
    /// `truncates` says whether the settings' own `truncate` counts; in settings by kind of layer it does not.
    private mutating func ropeScaling(
        _ kind: String, pairs: Int, maximumLength: Double, ownLength: Double?, truncates: Bool
    ) throws(UserFacingError) -> RotaryEmbedding.Scaling {
        func original(_ reader: inout ConfigurationReader) throws(UserFacingError) -> Double {
            let inside = try reader.number("original_max_position_embeddings", default: maximumLength)
            return ownLength ?? inside
        }
        switch kind {
        case "default": return .none
        case "linear": return .linear(factor: try number("factor"))
        case "dynamic":
            return .dynamic(factor: try number("factor"), originalLength: maximumLength)
        case "llama3":
            return .llama3(
                factor: try number("factor"), lowFrequencyFactor: try number("low_freq_factor"),
                highFrequencyFactor: try number("high_freq_factor"), originalLength: try original(&self))
        case "yarn" where !has("long_factor"):
            let length = try original(&self)
            let factor = try number("factor", default: maximumLength / length)
            let (mscale, mscaleAll) = (try optionalNumber("mscale"), try optionalNumber("mscale_all_dim"))
            func scale(_ by: Double) -> Double {
                RotaryEmbedding.YaRN.attentionFactor(factor, mscale: by)
            }
            let derived =
                if let mscale, let mscaleAll, mscale != 0, mscaleAll != 0 {
                    scale(mscale) / scale(mscaleAll)
                } else { scale(1) }
            let (fast, slow) = (try number("beta_fast", default: 32), try number("beta_slow", default: 1))
            let truncate = try flag("truncate", default: true)
            return .yarn(
                RotaryEmbedding.YaRN(
                    factor: factor, originalLength: length, betaFast: fast == 0 ? 32 : fast,
                    betaSlow: slow == 0 ? 1 : slow,
                    attentionFactor: try number("attention_factor", default: derived),
                    truncates: !truncates || truncate))
        case "longrope", "su", "yarn":
            let length = try original(&self)
            let factor = try number("factor", default: maximumLength / length)
            let derived = factor <= 1 ? 1 : (1 + log(factor) / log(length)).squareRoot()
            return .longRoPE(
                short: try numbers("short_factor", count: pairs),
                long: try numbers("long_factor", count: pairs),
                originalLength: length,
                attentionFactor: try number("attention_factor", default: derived))
        default:
            throw unsupported(
                has("rope_type") ? "rope_type" : "type",
                "the trainer knows default, linear, dynamic, llama3, yarn and longrope")
        }
    }

    /// The share of the load-balancing loss, where the configuration asks for one.
    mutating func balanceFactor(default fallback: Double) throws(UserFacingError) -> Double? {
        let factor = try number("router_aux_loss_coef", default: fallback)
        return try flag("output_router_logits", default: false) ? factor : nil
    }

    /// A model of these sizes and layers.
    mutating func architecture(
        _ sizes: ModelSizes, embedding: Architecture.Embedding = Architecture.Embedding(), layers: [Layer],
        finalNorm: Norm, logitFactor: Float = 1, softCap: Double? = nil,
        balanceFactor: Double? = nil
    ) throws(UserFacingError) -> Architecture {
        var maximumLength = sizes.maximumLength
        // What stretches as far as it is asked to was made for longer sequences than it began with.
        for layer in layers {
            if case .dynamic(let factor, let length)? = layer.attention.rotary?.scaling {
                maximumLength = max(maximumLength, Int(factor * length))
            }
        }
        return Architecture(
            vocabularySize: sizes.vocabularySize, hiddenSize: sizes.hiddenSize, maximumLength: maximumLength,
            embedding: embedding, layers: layers, finalNorm: finalNorm,
            head: Architecture.Head(
                isTied: try flag("tie_word_embeddings", default: isTied), factor: logitFactor,
                softCap: softCap.map { Float($0) }),
            balanceFactor: balanceFactor)
    }
}

/// The sizes that nearly every family calls alike.
struct ModelSizes {
    /// What a class takes where a key is missing.
    struct Absent {
        var vocabularySize = 32_000, hiddenSize = 4_096, layers = 32, heads = 32
    }

    var vocabularySize: Int, hiddenSize: Int, layers: Int
    var heads: Int, keyValueHeads: Int, headSize: Int
    var maximumLength: Int
}
