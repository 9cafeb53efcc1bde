internal import Formats

/// Reads config.json for a family, and knows at the end which keys nobody has looked at.
struct ConfigurationReader {
    /// The path of the checkpoint, for messages.
    let path: String
    private let values: JSONObject
    private var seen: Set<String> = []

    init(path: String, values: JSONObject) {
        self.path = path
        self.values = values
    }

    /// Whether the file has `key`, be it null.
    func has(_ key: String) -> Bool { values[key] != nil }

    /// The value of `key`, nil when it is null or absent.
    mutating func value(_ key: String) -> JSON? {
        seen.insert(key)
        guard let value = values[key], !value.isNull else { return nil }
        return value
    }

    /// A whole number from 1 to `most`; `fallback` when the key is null or absent.
    mutating func count(
        _ key: String, default fallback: Int? = nil, most: Int = 1 << 24
    ) throws(ModelError) -> Int {
        let found = value(key)
        guard let count = found == nil ? fallback : found?.int, count > 0, count <= most else {
            throw wrong(key, found, expected: "a whole number from 1 to \(most)")
        }
        return count
    }

    private func wrong(_ key: String, _ found: JSON?, expected: String) -> ModelError {
        found.map { .wrongValue(path: path, key: key, found: $0.text, expected: expected) }
            ?? .missing(path: path, key: key, expected: expected)
    }

    /// A number; `fallback` when the key is null or absent.
    mutating func number(_ key: String, default fallback: Double? = nil) throws(ModelError) -> Double {
        let found = value(key)
        guard let number = found == nil ? fallback : found?.double else {
            throw wrong(key, found, expected: "a number")
        }
        return number
    }

    /// True or false; `fallback` when the key is null or absent.
    mutating func flag(_ key: String, default fallback: Bool) throws(ModelError) -> Bool {
        guard let found = value(key) else { return fallback }
        guard let flag = found.bool else { throw wrong(key, found, expected: "true or false") }
        return flag
    }

    /// Refuses any value of `key` but those `allowed`; null and absent are fine.
    mutating func require(_ key: String, in allowed: [JSON], else reason: String) throws(ModelError) {
        guard let found = value(key), !allowed.contains(found) else { return }
        throw .unsupported(path: path, key: key, value: found.text, reason: reason)
    }

    /// What the feed-forward layer makes of its gate, in transformers' names.
    mutating func gate() throws(ModelError) -> GateActivation {
        guard let found = value("hidden_act") else { return .silu }
        switch found.string {
        case "silu", "swish": return .silu
        case "gelu": return .gelu
        case "gelu_new", "gelu_pytorch_tanh": return .geluTanh
        default:
            throw .unsupported(
                path: path, key: "hidden_act", value: found.text,
                reason: "the trainer knows silu, gelu, gelu_new and gelu_pytorch_tanh")
        }
    }

    /// The rotary embedding, in the older dialect (`rope_theta`, `rope_scaling`) or the newer
    /// (`rope_parameters`).
    mutating func rotary(maximumLength: Int) throws(ModelError) -> RotaryEmbedding {
        let theta = try number("rope_theta", default: 10_000)
        guard let settings = value("rope_parameters") ?? value("rope_scaling") else {
            return RotaryEmbedding(theta: theta)
        }
        guard let object = settings.object else {
            throw wrong("rope_parameters", settings, expected: "an object")
        }
        var reader = ConfigurationReader(path: path, values: object)
        let base = try reader.number("rope_theta", default: theta)
        let scaling = try reader.ropeScaling(maximumLength: maximumLength)
        try reader.require(
            "partial_rotary_factor", in: [1, 1.0], else: "this family turns all channels of a head")
        try reader.refuseTheRest(within: "rope_parameters.", inert: [])
        return RotaryEmbedding(theta: base, scaling: scaling)
    }

    private mutating func ropeScaling(maximumLength: Int) throws(ModelError) -> RotaryEmbedding.Scaling {
        seen.formUnion(["rope_type", "type"])
        let named = value("rope_type") ?? value("type")
        guard let kind = named == nil ? "default" : named?.string else {
            throw wrong("rope_type", named, expected: "a name")
        }
        switch kind {
        case "default": return .none
        case "linear": return .linear(factor: try number("factor"))
        case "llama3":
            return .llama3(
                factor: try number("factor"), lowFrequencyFactor: try number("low_freq_factor"),
                highFrequencyFactor: try number("high_freq_factor"),
                originalLength: try number(
                    "original_max_position_embeddings", default: Double(maximumLength)))
        default:
            throw .unsupported(
                path: path, key: "rope_type", value: kind,
                reason: "the trainer knows default, linear and llama3")
        }
    }

    /// Refuses, by name, every key that nobody has read and that is neither off nor `inert`.
    func refuseTheRest(within prefix: String = "", inert: Set<String>) throws(ModelError) {
        for (key, value) in values where !seen.contains(key) && !inert.contains(key) {
            let off = value.isNull || value == false || value == 0 || value == 0.0
            if off || value.array?.isEmpty == true || value.object?.isEmpty == true { continue }
            throw .unsupported(
                path: path, key: prefix + key, value: value.text,
                reason: "the trainer does not know what that changes; remove the key if it changes nothing")
        }
    }
}

extension JSON {
    /// The value as it would stand in a file, on one line.
    var text: String { String(decoding: serialized(indent: nil), as: UTF8.self) }
}
