public import Formats

/// Settings that `transformers` has renamed: `torch_dtype` became `dtype`, and `rope_theta`, `rope_scaling`
/// and the share of a head that turns became `rope_parameters`.
extension Configuration {
    /// The type the model's numbers are stored in; nil when the file does not say or names another kind.
    ///
    /// Setting changes the key that is there, in nested configurations too; it adds none.
    public var elementType: ElementType? {
        get {
            (json["dtype"]?.string ?? json["torch_dtype"]?.string).flatMap { name in
                Self.typeNames.first { $0.name == name || "torch." + $0.name == name }?.type
            }
        }
        set {
            guard let name = Self.typeNames.first(where: { $0.type == newValue })?.name else { return }
            self = Configuration(self, Self.renaming(type: name, in: json))
        }
    }

    private static let typeNames: [(name: String, type: ElementType)] = [
        ("float32", .f32), ("bfloat16", .bf16), ("float16", .f16), ("float64", .f64),
        ("float", .f32), ("half", .f16), ("double", .f64),
    ]

    private static func renaming(type: String, in settings: JSON) -> JSON {
        guard case .object(let members) = settings else { return settings }
        var changed = members
        for (key, value) in members {
            if key == "dtype" || key == "torch_dtype" {
                // Keras names a policy, a string or an object.
                if value["config"]?["name"] != nil {
                    changed[key]?["config"]?["name"] = .string(type)
                } else if value.object == nil {
                    changed[key] = .string(type)
                }
            } else if key == "config" && settings["class_name"] != nil {
                changed[key] = renaming(type: type, in: value)
            } else if key.hasSuffix("_config") && key != "quantization_config" {
                changed[key] = renaming(type: type, in: value)
            }
        }
        return .object(changed)
    }

    /// How positions turn queries and keys.
    ///
    /// - Parameter layerType: the kind of layer, as in `sliding_attention`, where each has settings of its own.
    /// - Returns: base, kind and what belongs to it, from either dialect.
    /// - Throws: ``UserFacingError`` when a setting is of another kind than it should be.
    public func rotary(layerType: String? = nil) throws(UserFacingError) -> RotarySettings {
        let newer = json["rope_parameters"]
        if let newer, !newer.isNull {
            guard var members = newer.object else {
                throw .wrongKind(file: file, key: "rope_parameters", found: newer.kind, expected: "an object")
            }
            if let layerType, let own = members[layerType]?.object { members = own }
            return try RotarySettings(members, theta: nil, share: share(members), file: file)
        }
        var members = JSONObject()
        if let scaling = json["rope_scaling"], !scaling.isNull {
            guard let object = scaling.object else {
                throw .wrongKind(
                    file: file, key: "rope_scaling", found: scaling.kind, expected: "an object or null")
            }
            members = object
        }
        let theta = try number(firstOf: ["rope_theta", "rotary_emb_base"])
        return try RotarySettings(members, theta: theta, share: share(members), file: file)
    }

    /// Changes the base of the rotary frequencies, under the name that is there.
    public mutating func setRotaryTheta(_ theta: Double) {
        if case .object(var members)? = json["rope_parameters"] {
            members["rope_theta"] = JSON(theta)
            self["rope_parameters"] = .object(members)
        } else if json["rotary_emb_base"] != nil {
            self["rotary_emb_base"] = JSON(theta)
        } else {
            self["rope_theta"] = JSON(theta)
        }
    }

    private func share(_ members: JSONObject) throws(UserFacingError) -> Double {
        if let share = members["partial_rotary_factor"]?.double { return share }
        return try number(firstOf: ["partial_rotary_factor", "rotary_pct"]) ?? 1
    }

    private func number(firstOf keys: [String]) throws(UserFacingError) -> Double? {
        for key in keys {
            if let number = try number(key) { return number }
        }
        return nil
    }
}

/// How positions turn queries and keys (RoFormer, arXiv 2104.09864).
public struct RotarySettings: Sendable, Equatable {
    /// The base of the frequencies; nil when the file leaves it to the family's default.
    public let theta: Double?
    /// The kind: `default`, or a way to stretch the context such as `linear`, `llama3` or `yarn`.
    public let type: String
    /// The share of each head that turns, from its start.
    public let partialFactor: Double
    /// Everything else that belongs to the kind, as in `factor`.
    public let parameters: JSONObject

    init(_ members: JSONObject, theta: Double?, share: Double, file: String) throws(UserFacingError) {
        var rest = members
        var theta = theta
        if let own = members["rope_theta"] {
            guard let number = own.double else {
                throw .wrongKind(file: file, key: "rope_theta", found: own.kind, expected: "a number")
            }
            theta = number
        }
        let named = members["rope_type"] ?? members["type"] ?? "default"
        guard let type = named.string else {
            throw .wrongKind(file: file, key: "rope_type", found: named.kind, expected: "a string")
        }
        for key in ["rope_theta", "rope_type", "type", "partial_rotary_factor"] { rest[key] = nil }
        (self.theta, self.type, partialFactor, parameters) = (theta, type, share, rest)
    }
}
