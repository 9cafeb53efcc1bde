internal import Formats
internal import OrderedCollections

extension KerasFamily {
    /// Hugging Face's configuration of a preset.
    ///
    /// - Parameters:
    ///   - preset: KerasHub's configuration.
    ///   - isTied: whether the head is the embedding; nil where only the configuration can tell.
    ///   - type: the type of its numbers, as both libraries call it; nil where only the configuration can tell.
    ///   - model: what error messages call the model.
    /// - Returns: the configuration.
    /// - Throws: ``UserFacingError`` for settings that Hugging Face's class does not have.
    func huggingFace(
        _ preset: Configuration, isTied: Bool? = nil, type: String? = nil, model: String
    ) throws(UserFacingError) -> Configuration {
        let settings = preset["config"]?.object ?? JSONObject()
        var made = JSONObject()
        made["architectures"] = [.string(keras.architecture)]
        made["model_type"] = .string(modelType)
        for (keras, huggingFace) in self.keras.settings { made[huggingFace] = settings[keras] ?? .null }
        for (key, value) in keras.constants { made[key] = value }
        if case .withGate = keras.width, let width = made["intermediate_size"]?.int {
            made["intermediate_size"] = JSON(width / 2)
        }
        if let obstacle = obstacle(in: settings, model: model) { throw obstacle }
        for key in keras.dropouts.keys { made[key] = settings["dropout"] ?? keras.dropouts.standard }
        switch keras.positions {
        case .plain, .share: break
        case .fixed, .scaled:
            made["rope_scaling"] = scaling(settings)
            if made["head_dim"]?.isNull == true { made["head_dim"] = nil }
        }
        made["tie_word_embeddings"] = .bool(
            isTied ?? settings["tie_word_embeddings"]?.bool ?? family.isTied)
        let policy = settings["dtype"]?["config"]?["name"] ?? settings["dtype"]
        made["torch_dtype"] = .string(type ?? policy?.string ?? "float32")
        return Configuration(made)
    }

    /// What keeps a preset from being put into Hugging Face's terms; nil when nothing does.
    func obstacle(in preset: Checkpoint) -> UserFacingError? {
        obstacle(in: preset.configuration?["config"]?.object ?? JSONObject(), model: preset.path)
    }

    /// The first setting under which the same weights mean something else in the other library.
    private func obstacle(in settings: JSONObject, model: String) -> UserFacingError? {
        let off = [
            "rope_scaling_type", "final_logit_soft_cap", "attention_logit_soft_cap", "use_post_ffw_norm",
            "use_post_attention_norm", "use_sliding_window_attention",
        ]
        for key in off {
            guard let value = settings[key], !value.isNull, value.bool != false else { continue }
            return .unconvertibleSetting(path: model, key: key, found: value.kind, expected: "null or false")
        }
        if let policy = settings["dtype"]?["class_name"]?.string, policy != "DTypePolicy" {
            return .unconvertibleSetting(
                path: model, key: "dtype", found: "a \(policy)",
                expected: "one type for all numbers (DTypePolicy)")
        }
        if case .fourfold = keras.width, let width = settings["hidden_dim"]?.int,
            let inner = settings["intermediate_dim"]?.int, inner != 4 * width
        {
            return .unconvertibleSetting(
                path: model, key: "intermediate_dim", found: "\(inner)", expected: "four times hidden_dim")
        }
        return nil
    }

    private func scaling(_ settings: JSONObject) -> JSON {
        if let factor = settings["rope_frequency_adjustment_factor"], !factor.isNull {
            return [
                "rope_type": "llama3", "factor": factor,
                "low_freq_factor": settings["rope_low_freq_factor"] ?? 1,
                "high_freq_factor": settings["rope_high_freq_factor"] ?? 4,
                "original_max_position_embeddings": settings["rope_pretraining_sequence_length"] ?? 8192,
            ]
        }
        let factor = settings["rope_position_scaling_factor"] ?? settings["rope_scaling_factor"]
        guard let factor, let number = factor.double, number != 1 else { return .null }
        return ["rope_type": "linear", "factor": factor]
    }

    /// A preset's configuration of a Hugging Face model.
    func preset(_ model: Checkpoint) throws(UserFacingError) -> Configuration {
        guard let configuration = model.configuration else {
            throw .unconvertibleSetting(
                path: model.path, key: "config.json", found: "nothing", expected: "the model's settings")
        }
        try refuseOtherConstants(configuration, model: model.path)
        var settings = JSONObject()
        settings["name"] = .string(keras.defaultName)
        settings["trainable"] = true
        settings["dtype"] = [
            "module": "keras", "class_name": "DTypePolicy",
            "config": ["name": .string(Self.typeName(of: model))],
            "registered_name": .null,
        ]
        for (keras, huggingFace) in self.keras.settings {
            settings[keras] = configuration[huggingFace] ?? .null
        }
        try setWidth(&settings)
        switch keras.positions {
        case .plain: break
        case .share:
            let rotary = try self.rotary(configuration, model: model.path)
            settings["rotary_percentage"] = JSON(rotary.share ?? 1)
            settings["rotary_max_wavelength"] = JSON(rotary.theta ?? 10_000)
        case .fixed: _ = try rotary(configuration, model: model.path)
        case .scaled(let kinds): try setRotary(&settings, configuration, kinds, model: model.path)
        }
        if settings["dropout"] == nil, let key = keras.dropouts.keys.first {
            settings["dropout"] = configuration[key] ?? keras.dropouts.standard
        }
        if keras.saysTied {
            let ownHead = try model.ownHead()
            settings["tie_word_embeddings"] = .bool(ownHead == nil && configuration.saysTied(family))
        }
        var made = JSONObject()
        made["module"] = .string(keras.module)
        made["class_name"] = .string(keras.name)
        made["config"] = .object(settings)
        made["registered_name"] = .string("keras_hub>" + keras.name)
        return Configuration(made)
    }

    /// Refuses a model that differs in what KerasHub's class takes for granted.
    private func refuseOtherConstants(
        _ configuration: Configuration, model: String
    ) throws(UserFacingError) {
        let free: Set<String> = ["max_position_embeddings", "pad_token_id"]
        // Some configurations name the activation twice, and the second name holds.
        let namedTwice: Set<String> =
            keras.constants.contains { $0.0 == "hidden_activation" } ? ["hidden_act"] : []
        for (key, value) in keras.constants where !free.contains(key) && !namedTwice.contains(key) {
            guard let found = configuration[key], !found.isNull else { continue }
            if let one = found.double, let other = value.double, one == other { continue }
            guard found != value else { continue }
            func text(_ value: JSON) -> String {
                String(decoding: value.serialized(indent: nil), as: UTF8.self)
            }
            throw .unconvertibleSetting(path: model, key: key, found: text(found), expected: text(value))
        }
    }

    /// Has the feed-forward part's width follow.
    private func setWidth(_ settings: inout JSONObject) throws(UserFacingError) {
        switch keras.width {
        case .said: break
        case .withGate:
            if let width = settings["intermediate_dim"]?.int {
                settings["intermediate_dim"] = JSON(2 * width)
            }
        case .fourfoldByDefault, .fourfold:
            if settings["intermediate_dim"]?.isNull ?? true {
                settings["intermediate_dim"] = JSON(4 * (settings["hidden_dim"]?.int ?? 0))
            }
        }
    }

    private func setRotary(
        _ settings: inout JSONObject, _ configuration: Configuration, _ kinds: [KerasClass.Scaling],
        model: String
    ) throws(UserFacingError) {
        let rotary = try self.rotary(configuration, model: model)
        settings["rope_max_wavelength"] =
            rotary.theta.map { theta in
                Int(exactly: theta).map { JSON($0) } ?? JSON(theta)
            } ?? 10000
        if rotary.type == "default" { return }
        for kind in kinds {
            switch kind {
            case .linear(let name) where rotary.type == "linear":
                settings[name] = rotary.parameters["factor"]
                return
            case .llama3 where rotary.type == "llama3":
                settings["rope_frequency_adjustment_factor"] = rotary.parameters["factor"]
                settings["rope_low_freq_factor"] = rotary.parameters["low_freq_factor"]
                settings["rope_high_freq_factor"] = rotary.parameters["high_freq_factor"]
                settings["rope_pretraining_sequence_length"] =
                    rotary.parameters["original_max_position_embeddings"]
                return
            default: continue
            }
        }
        let known = ["default"] + kinds.map { if case .linear = $0 { "linear" } else { "llama3" } }
        throw .unconvertibleSetting(
            path: model, key: "rope_type", found: "\"\(rotary.type)\"",
            expected: known.joined(separator: " or "))
    }

    private func rotary(
        _ configuration: Configuration, model: String
    ) throws(UserFacingError) -> RotarySettings {
        try RotarySettings(configuration.json.object ?? JSONObject(), path: model)
    }

    /// What both libraries call the type of a model's numbers.
    static func typeName(of model: Checkpoint) -> String {
        switch model.tensors.values.first(where: { $0.type.isFloatingPoint })?.type {
        case .bf16: "bfloat16"
        case .f16: "float16"
        case .f64: "float64"
        default: "float32"
        }
    }
}
