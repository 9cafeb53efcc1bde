public import Formats
internal import OrderedCollections

/// What quantises a model: numbers that mean something only together with others, such as scales.
///
/// Whether a model is quantised is decided here, from its tensors and from every spelling of its configuration.
public struct Quantization: Sendable, Equatable {
    /// The method as it is called, as in `fp8`; nil where nothing names it.
    public let method: String?
    /// Where the model says so: keys of config.json with dots between, or names of files; empty where tensors alone show it.
    public let settings: [String]
    /// The tensors that are packed, have scales, or are scales, in the model's order.
    public let tensors: [String]

    /// The keys under which a configuration describes a quantisation.
    ///
    /// Source: transformers (`quantization_config`), compressed-tensors (`compression_config`), MLX (`quantization`).
    package static let keys: Set<String> = ["quantization_config", "compression_config", "quantization"]

    /// Files beside config.json that describe one: ModelOpt's, AutoGPTQ's and AutoAWQ's.
    package static let files: Set<String> = [
        "hf_quant_config.json", "quantize_config.json", "quant_config.json", "quantization_config.json",
    ]
}

extension Quantization: CustomStringConvertible {
    /// "fp8 (quantization_config; 14 tensors, such as x.weight)".
    public var description: String {
        var reasons = settings
        if let first = tensors.first {
            reasons.append("\(tensors.count) tensor\(tensors.count == 1 ? "" : "s"), such as \(first)")
        }
        return "\(method ?? "by a method that is not named") (\(reasons.joined(separator: "; ")))"
    }
}

extension Checkpoint {
    /// What quantises the model; nil when nothing does.
    public var quantization: Quantization? {
        let found = quantizationSettings
        let isKeras = format.structure?.layout == .keras3
        let parts = tensors.keys.filter { name in
            guard let tensor = tensors[name] else { return false }
            return Quantization.isPacked(name, tensor, isKeras: isKeras)
                || Quantization.scaledTensor(of: name, in: self) != nil
        }
        let scaled = Set(parts.compactMap { Quantization.scaledTensor(of: $0, in: self) }).union(parts)
        guard !found.isEmpty || !parts.isEmpty else { return nil }
        return Quantization(
            method: found.lazy.map(\.method).first { !$0.isEmpty }, settings: found.map(\.place),
            tensors: tensors.keys.filter { scaled.contains($0) })
    }

    /// Every description of a quantisation, in the configuration and in files beside it.
    var quantizationSettings: [QuantizationSettings] {
        var found = configuration?.quantizations ?? []
        for file in auxiliaryFiles where Quantization.files.contains(file.name) {
            guard let bytes = try? file.bytes(), let json = try? JSON(parsing: bytes, file: file.name)
            else { continue }
            let settings = json["quantization"] ?? json
            guard let method = Quantization.method(of: settings) else { continue }
            found.append(QuantizationSettings(place: file.name, method: method, json: settings))
        }
        return found
    }
}

/// A description of a quantisation.
struct QuantizationSettings {
    /// Where it stands: keys of config.json with dots between, or the name of a file.
    let place: String
    /// What it is called; "" where it is not named.
    let method: String
    /// What it says.
    let json: JSON
}

extension Configuration {
    /// Where the configuration describes a quantisation.
    var quantizations: [QuantizationSettings] {
        var found: [QuantizationSettings] = []
        Self.collect(json, path: "", into: &found)
        // Keras has it in the policy of numbers, that of the model or those of single layers.
        if let policy = json["config"]?["dtype"], self["class_name"] != nil,
            let mode = Quantization.mode(ofPolicy: policy)
        {
            found.append(QuantizationSettings(place: "config.dtype", method: mode, json: policy))
        }
        return found
    }

    /// Takes away every key that describes a quantisation, in configurations inside this one, too.
    package mutating func removeQuantization() {
        self = Configuration(self, Self.withoutQuantization(json))
    }

    private static func withoutQuantization(_ value: JSON) -> JSON {
        guard case .object(var members) = value else { return value }
        for (key, inner) in members {
            if Quantization.keys.contains(key) {
                members[key] = nil
            } else if key.hasSuffix("_config") {
                members[key] = withoutQuantization(inner)
            }
        }
        return .object(members)
    }

    private static func collect(_ value: JSON, path: String, into found: inout [QuantizationSettings]) {
        for (key, inner) in value.object ?? JSONObject() {
            let place = path.isEmpty ? key : path + "." + key
            if Quantization.keys.contains(key) {
                if let method = Quantization.method(of: inner) {
                    found.append(QuantizationSettings(place: place, method: method, json: inner))
                }
            } else if key.hasSuffix("_config") {
                collect(inner, path: place, into: &found)
            }
        }
    }
}

// MARK: - What settings say

extension Quantization {
    /// What a description of a quantisation calls the method, "" where it names none; nil when it describes none.
    static func method(of settings: JSON) -> String? {
        switch settings {
        case .object(let members):
            if members.isEmpty { return nil }
            // ModelOpt also describes models of which the cache alone is quantised.
            if let algorithm = members["quant_algo"], algorithm.isNull { return nil }
            let named = members["quant_method"] ?? members["quant_algo"] ?? members["mode"]
            if named?.string == "bitsandbytes",
                ["load_in_4bit", "load_in_8bit", "_load_in_4bit", "_load_in_8bit"].allSatisfy({
                    members[$0]?.bool != true
                }), members.contains(where: { $0.key.contains("load_in") })
            {
                return nil
            }
            return named?.string ?? ""
        case .string(let name): return name.isEmpty || name == "none" ? nil : name
        case .bool(let isOn): return isOn ? "" : nil
        default: return nil
        }
    }

    /// The mode of a policy of Keras that quantises; nil when it does not.
    ///
    /// Source: keras/src/dtype_policies, `QuantizedDTypePolicy`, `DTypePolicyMap`.
    static func mode(ofPolicy policy: JSON) -> String? {
        if let name = policy.string { return name.contains("_from_") ? name : nil }
        let settings = policy["config"]
        if policy["class_name"]?.string?.hasPrefix("Quantized") == true {
            return settings?["mode"]?.string ?? ""
        }
        let inner =
            [settings?["default_policy"]].compactMap(\.self)
            + (settings?["policy_map"]?.object.map { $0.map(\.value) } ?? [])
        return inner.lazy.compactMap { mode(ofPolicy: $0) }.first
    }
}

// MARK: - What tensors show

extension Quantization {
    /// Last parts of names that only packed numbers have: GPTQ and AWQ, compressed-tensors, HQQ, bitsandbytes, AQLM, VPTQ.
    private static let packedNames: Set<String> = [
        "qweight", "qzeros", "weight_packed", "bitmask", "W_q", "SCB", "codebooks", "weight_qdata",
    ]

    /// What the name of a scale ends with, and what may stand there instead in the name of the tensor that it scales.
    private static let endings: [(end: String, scaled: [String])] = [
        ("_scale", ["", "_packed", "_qdata"]), ("_scale_inv", [""]), ("_scale_2", ["", "_packed"]),
        ("_scales", ["", "_blocks"]), ("_global_scale", ["", "_packed"]),
        ("_zero_point", ["", "_packed", "_qdata"]), ("_shape", ["_packed"]), ("_g_idx", ["_packed"]),
        (".scales", [".weight", ".qweight", ".codes"]), (".biases", [".weight"]), (".g_idx", [".qweight"]),
        (".input_scale", [".weight"]), (".qscale_weight", [".weight"]), (".qscale_act", [".weight"]),
        ("._scale", ["._data"]), ("._shift", ["._data"]), (".absmax", [""]), (".quant_map", [""]),
        (".nested_absmax", [""]), (".nested_quant_map", [""]),
        (".quant_state.bitsandbytes__nf4", [""]), (".quant_state.bitsandbytes__fp4", [""]),
        (".scale", [".weight"]),
    ]

    /// The tensor whose numbers mean something only together with this one; nil when it scales none.
    ///
    /// - Parameters:
    ///   - name: the name of what may be a scale, an offset or another sibling of a quantised tensor.
    ///   - checkpoint: the model.
    /// - Returns: the name of the tensor that has the sibling.
    package static func scaledTensor(of name: String, in checkpoint: Checkpoint) -> String? {
        for (end, scaled) in endings where name.hasSuffix(end) {
            let stem = name.dropLast(end.count)
            if end == ".biases", checkpoint.tensors[stem + ".scales"] == nil { continue }
            for middle in scaled {
                guard let tensor = checkpoint.tensors[stem + middle] else { continue }
                // A norm may call its weights so, too.
                if end == ".scale", tensor.type.isWide { continue }
                return stem + middle
            }
        }
        return nil
    }

    /// Whether a tensor's numbers are packed, or of a type that no model computes with as it is.
    fileprivate static func isPacked(_ name: String, _ tensor: TensorExpression, isKeras: Bool) -> Bool {
        switch tensor.type {
        case .f4, .f6E2M3, .f6E3M2, .f8E8M0: return true
        default: break
        }
        let last = name.split { $0 == "." || $0 == "/" }.last.map(String.init) ?? name
        if packedNames.contains(last) { return true }
        guard !tensor.type.isFloatingPoint, tensor.type != .bool, tensor.type != .c64,
            tensor.shape.count >= 2
        else { return false }
        // Keras numbers a layer's variables.
        let isNumber = last.utf8.allSatisfy { (48...57).contains($0) }
        return ["weight", "kernel", "_data"].contains(last)
            || isKeras && isNumber && [.i8, .u8].contains(tensor.type)
    }
}

extension ElementType {
    /// Whether it has the bits of a number that models compute with.
    fileprivate var isWide: Bool { isFloatingPoint && bits >= 16 }
}
