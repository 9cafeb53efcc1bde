public import Formats

extension Configuration {
    /// The configuration with another base of the rotary embedding, as a stage of long sequences takes it, such as Code
    /// Llama's, from 10,000 to 1,000,000 (<https://arxiv.org/abs/2308.12950>, section 2.4).
    ///
    /// The base is written where it stands: `rope_theta` or `rotary_emb_base` in the older dialect, in `rope_parameters`
    /// in the newer, in both where both have it, and in the part for text of a model of more than text. The architecture
    /// that follows differs in the base alone.
    ///
    /// - Parameters:
    ///   - theta: the base, above 1.
    ///   - path: what error messages call the model.
    /// - Returns: the changed configuration; this one where the base is the same.
    /// - Throws: ``UserFacingError`` for a model of which it is not known what another base means: one with several bases,
    ///   or a scaling that was made for its base.
    public func withRotaryBase(_ theta: Double, path: String) throws(UserFacingError) -> Configuration {
        let before = try DescribedModel(self, path: path).architecture
        func refuse(_ reason: String) -> UserFacingError { .noRotaryBase(theta, path: path, reason: reason) }
        guard theta.isFinite, theta > 1 else { throw refuse("it must be a number above 1, as 1000000") }
        let embeddings = before.layers.compactMap(\.attention.rotary)
        guard let first = embeddings.first else { throw refuse("no layer of this model turns by positions") }
        guard embeddings.allSatisfy({ $0 == first }) else {
            throw refuse(
                "its kinds of layers turn in ways of their own; the trainer does not know which should change"
            )
        }
        if first.theta == theta { return self }
        let part = json["text_config"]?.object == nil ? nil : "text_config"
        var settings = part.flatMap { json[$0] } ?? json
        let values = settings.object ?? JSONObject()
        let rotary = try RotarySettings(values, path: path)
        switch first.scaling {
        case .none, .linear, .llama3: break
        case .yarn:
            let key = "original_max_position_embeddings"
            guard [rotary.parameters[key], values[key]].contains(where: { $0?.isNull == false }) else {
                throw refuse("its YaRN does not say \(key), the length that the old base was trained on")
            }
        case .dynamic: throw refuse("its base grows with the length already (rope_type dynamic)")
        case .longRoPE: throw refuse("the factors of its LongRoPE were searched for the base that it has")
        }
        let base = JSON(theta)
        let outside = ["rope_theta", "rotary_emb_base"].filter { settings[$0] != nil }
        for key in outside { settings[key] = base }
        if rotary.parameters["rope_theta"] != nil || outside.isEmpty && rotary.key == "rope_parameters" {
            settings[rotary.key]?["rope_theta"] = base
        } else if outside.isEmpty {
            settings[family?.modelTypes == ["gpt_neox"] ? "rotary_emb_base" : "rope_theta"] = base
        }
        var changed = self
        if let part { changed[part] = settings } else { changed = Configuration(self, settings) }
        var after = before
        for index in after.layers.indices { after.layers[index].attention.rotary?.theta = theta }
        guard try DescribedModel(changed, path: path).architecture == after else {
            throw refuse(
                "its configuration has more than one base, and the trainer does not know which should change")
        }
        return changed
    }

    /// The configuration of a model that sees sequences of another length, as `max_position_embeddings` says.
    ///
    /// - Parameters:
    ///   - length: tokens of a sequence.
    ///   - path: what error messages call the model.
    /// - Returns: the changed configuration.
    /// - Throws: ``UserFacingError`` where more than that key says how long a sequence may be.
    public func withMaximumLength(_ length: Int, path: String) throws(UserFacingError) -> Configuration {
        let key = "max_position_embeddings"
        let part = json["text_config"]?.object == nil ? nil : "text_config"
        var settings = part.flatMap { json[$0] } ?? json
        guard settings[key]?.int != nil else { throw .noMaximumLength(length, path: path) }
        settings[key] = JSON(length)
        var changed = self
        if let part { changed[part] = settings } else { changed = Configuration(self, settings) }
        var after = try DescribedModel(self, path: path).architecture
        after.maximumLength = length
        guard try DescribedModel(changed, path: path).architecture == after else {
            throw .noMaximumLength(length, path: path)
        }
        return changed
    }
}
