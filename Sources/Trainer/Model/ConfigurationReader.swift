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

    /// A whole number above zero; `fallback` when the key is null or absent.
    mutating func count(_ key: String, default fallback: Int? = nil) throws(ModelError) -> Int {
        let found = value(key)
        guard let count = found == nil ? fallback : found?.int, count > 0 else {
            throw .missing(path: path, key: key, expected: "a whole number above zero")
        }
        return count
    }

    /// A number; `fallback` when the key is null or absent.
    mutating func number(_ key: String, default fallback: Double? = nil) throws(ModelError) -> Double {
        let found = value(key)
        guard let number = found == nil ? fallback : found?.double else {
            throw .missing(path: path, key: key, expected: "a number")
        }
        return number
    }

    /// True or false; `fallback` when the key is null or absent.
    mutating func flag(_ key: String, default fallback: Bool) throws(ModelError) -> Bool {
        guard let found = value(key) else { return fallback }
        guard let flag = found.bool else { throw .missing(path: path, key: key, expected: "true or false") }
        return flag
    }

    /// Refuses any value of `key` but those `allowed`; null and absent are fine.
    mutating func require(_ key: String, in allowed: [JSON], else reason: String) throws(ModelError) {
        guard let found = value(key), !allowed.contains(found) else { return }
        throw .unsupported(path: path, key: key, value: found.text, reason: reason)
    }

    /// The rotary embedding, in the older dialect (`rope_theta`, `rope_scaling`) or the newer
    /// (`rope_parameters`).
    mutating func rotary(maximumLength: Int) throws(ModelError) -> RotaryEmbedding {
        let theta = value("rope_theta")
        guard let settings = value("rope_parameters") ?? value("rope_scaling") else {
            return RotaryEmbedding(theta: theta?.double ?? 10_000)
        }
        guard let object = settings.object else {
            throw .missing(path: path, key: "rope_parameters", expected: "an object")
        }
        var reader = ConfigurationReader(path: path, values: object)
        let base = try reader.number("rope_theta", default: theta?.double ?? 10_000)
        let scaling = try reader.ropeScaling(maximumLength: maximumLength)
        try reader.require(
            "partial_rotary_factor", in: [1, 1.0], else: "this family turns all channels of a head")
        try reader.refuseTheRest(within: "rope_parameters.", inert: [])
        return RotaryEmbedding(theta: base, scaling: scaling)
    }

    private mutating func ropeScaling(maximumLength: Int) throws(ModelError) -> RotaryEmbedding.Scaling {
        let kind = (value("rope_type") ?? value("type"))?.string ?? "default"
        seen.formUnion(["rope_type", "type"])
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
