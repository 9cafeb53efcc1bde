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
}

/// Where a configuration says how positions turn queries and keys (RoFormer, arXiv 2104.09864): in the newer dialect
/// all of it in `rope_parameters`, in the older in keys of its own and `rope_scaling`.
struct RotarySettings {
    /// The base of the frequencies; nil when the file leaves it to the family's default.
    let theta: Double?
    /// The share of each head that turns, from its start; nil when the file leaves it to the family's default.
    let share: Double?
    /// The kind: `default`, or a way to stretch the context such as `linear`, `llama3` or `yarn`.
    let type: String
    /// The object that the kind stands in, and what belongs to it, as `factor`.
    let parameters: JSONObject
    /// What that object is called.
    let key: String

    /// Keys beside that object which say the same in other configurations.
    static let outerKeys = [
        "rope_theta", "rotary_emb_base", "partial_rotary_factor", "rotary_pct", "rope_pct", "rope_parameters",
        "rope_scaling",
    ]
    /// Keys inside that object which belong to every kind.
    static let innerKeys = ["rope_theta", "partial_rotary_factor", "rope_type", "type"]

    /// Reads them.
    ///
    /// - Parameters:
    ///   - values: the configuration of the language model.
    ///   - kind: the kind of layer, as in `sliding_attention`, where each may have settings of its own.
    ///   - path: what error messages call the model.
    ///   - prefix: what they put before its keys, as `text_config.`.
    /// - Throws: ``UserFacingError`` when a setting is of another kind than it should be.
    init(
        _ values: JSONObject, kind: String? = nil, path: String, prefix: String = ""
    ) throws(UserFacingError) {
        func number(_ keys: [String], in values: JSONObject, _ prefix: String) throws(UserFacingError)
            -> Double?
        {
            guard let key = keys.first(where: { values[$0] != nil }), let value = values[key], !value.isNull
            else { return nil }
            guard let number = value.double, number.isFinite else {
                throw .wrongSetting(path: path, key: prefix + key, found: value.text, expected: "a number")
            }
            return number
        }
        key = values["rope_parameters"].map { !$0.isNull } ?? false ? "rope_parameters" : "rope_scaling"
        var members = JSONObject()
        if let found = values[key], !found.isNull {
            guard let object = found.object else {
                throw .wrongSetting(
                    path: path, key: prefix + key, found: found.text, expected: "an object")
            }
            members = object
        }
        if let kind, key == "rope_parameters" {
            guard let own = members[kind] else {
                throw .unsupportedSetting(
                    path: path, key: prefix + key, value: JSON.object(members).text,
                    reason: "this family has settings for each kind of layer there, as \(kind)")
            }
            members = own.object ?? JSONObject()
        }
        let inside = prefix + key + "."
        let outer = (
            theta: try number(["rope_theta", "rotary_emb_base"], in: values, prefix),
            share: try number(["partial_rotary_factor", "rotary_pct", "rope_pct"], in: values, prefix)
        )
        theta = try number(["rope_theta"], in: members, inside) ?? outer.theta
        share = try number(["partial_rotary_factor"], in: members, inside) ?? outer.share
        let named = [members["rope_type"], members["type"]].compactMap(\.self).first { !$0.isNull }
        guard let type = named == nil ? "default" : named?.string else {
            throw .wrongSetting(
                path: path, key: inside + "rope_type", found: named?.text ?? "", expected: "a name")
        }
        self.type = type
        parameters = members
    }
}
