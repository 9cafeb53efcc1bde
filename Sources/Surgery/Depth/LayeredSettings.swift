internal import Formats
internal import Models

/// One object of a configuration that has the number of layers in it, made to follow a plan.
struct LayeredSettings {
    let plan: LayerPlan
    let family: Family?
    /// The model, for messages.
    let model: String
    /// What stands before a key in messages: "", or "text_config." and the like.
    let path: String
    private(set) var settings: JSONObject
    private(set) var changes: [ConfigurationChange] = []
    /// Whether some key says that the layers are not all alike.
    private(set) var tellsLayersApart = false
    private var brokenPeriods: [(key: String, list: String?, exceptions: String?)] = []

    init(_ settings: JSONObject, path: String, plan: LayerPlan, family: Family?, model: String) {
        self.settings = settings
        self.path = path
        self.plan = plan
        self.family = family
        self.model = model
    }

    /// Makes every key follow that counts layers.
    mutating func follow() throws(UserFacingError) {
        let before = settings
        for (key, value) in before where !value.isNull {
            try follow(key, value)
        }
        for list in family?.impliedLists ?? [] { try writeOut(list, before: before) }
        for (key, list, exceptions) in brokenPeriods {
            try settle(period: key, list: list, exceptions: exceptions)
        }
    }

    // MARK: - Keys that are there

    private mutating func follow(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard let meaning = LayerKey.meaning(of: key) else { return try followUnknown(key, value) }
        switch meaning {
        case .count: try followCount(key, value)
        case .entries: try followEntries(key, value)
        case .repeatedEntries: try followRepeatedEntries(key, value)
        case .characters: try followCharacters(key, value)
        case .indices: try followIndices(key, value)
        case .leading(let isOn): try followLeading(key, value, unlessOff: isOn)
        case .trailing: try followTrailing(key, value)
        case .period(let list, let exceptions):
            try followPeriod(key, value, list: list, exceptions: exceptions)
        case .perRootOfCount: try followRoot(key, value)
        case .phase, .following: break
        case .fixed(let reason): try refuseUnlessOff(key, value, reason)
        }
    }

    private mutating func followCount(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard value.int == plan.sourceCount else {
            throw error(key, value, "the model has \(plan.sourceCount) layers")
        }
        set(key, JSON(plan.count))
    }

    private mutating func followEntries(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard let entries = value.array, !entries.isEmpty else { return }
        guard entries.count >= plan.sourceCount else {
            throw error(key, value, "it has \(entries.count) entries for \(plan.sourceCount) layers")
        }
        note(entries.prefix(plan.sourceCount))
        set(key, .array(plan.sources.map { entries[$0] } + entries.dropFirst(plan.sourceCount)))
    }

    private mutating func followRepeatedEntries(_ key: String, _ value: JSON) throws(UserFacingError) {
        var entries: [JSON] = []
        for run in value.array ?? [] {
            guard let part = run[0]?.array, let count = run[1]?.int, (0...plan.sourceCount).contains(count)
            else {
                throw error(key, value, "lists of entries, each with how often it repeats, are expected")
            }
            entries += (0..<count).flatMap { _ in part }
        }
        guard entries.count == plan.sourceCount else {
            throw error(key, value, "it has \(entries.count) entries for \(plan.sourceCount) layers")
        }
        note(entries[...])
        set(key, [[.array(plan.sources.map { entries[$0] }), 1]])
    }

    private mutating func followCharacters(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard let characters = value.string.map(Array.init), characters.count == plan.sourceCount else {
            throw error(key, value, "a string of \(plan.sourceCount) characters, one a layer, is expected")
        }
        tellsLayersApart = tellsLayersApart || Set(characters).count > 1
        set(key, JSON(String(plan.sources.map { characters[$0] })))
    }

    private mutating func followIndices(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard let list = value.array else { throw error(key, value, "a list of layers is expected") }
        let marked = Set(list.compactMap(\.int))
        guard marked.count == list.count, marked.allSatisfy({ (0..<plan.sourceCount).contains($0) }) else {
            throw error(key, value, "different layers from 0 to \(plan.sourceCount - 1) are expected")
        }
        tellsLayersApart = tellsLayersApart || !marked.isEmpty
        set(key, .array(plan.sources.indices.filter { marked.contains(plan.sources[$0]) }.map { JSON($0) }))
    }

    private mutating func followLeading(
        _ key: String, _ value: JSON, unlessOff isOn: String?
    ) throws(UserFacingError) {
        guard let count = value.int, count >= 0 else {
            throw error(key, value, "a number of layers is expected")
        }
        // Of what is off the number says nothing, but it may go on naming all layers.
        let isOff = isOn.map { settings[$0]?.bool != true } ?? false
        guard count < plan.sourceCount else {
            if count == plan.sourceCount || count < plan.count { set(key, JSON(plan.count)) }
            return
        }
        if !isOff { tellsLayersApart = tellsLayersApart || count > 0 }
        if let leading = plan.leading(count) { return set(key, JSON(leading)) }
        // The layers are told apart by a list, which may be written out yet.
        if isOff || isOn != nil && familyHas("layer_types") || hasList("layer_types") {
            return
        }
        throw error(
            key, value,
            "the layers made from the first \(count) are no longer the first ones in \(plan); keep all "
                + "repeated layers on one side of layer \(count)")
    }

    private mutating func followTrailing(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard let count = value.int, (0...plan.sourceCount).contains(count) else {
            throw error(key, value, "a number of layers from 0 to \(plan.sourceCount) is expected")
        }
        tellsLayersApart = tellsLayersApart || count > 0
        guard let trailing = plan.trailing(count) else {
            throw error(
                key, value,
                "the layers made from the last \(count) are no longer the last ones in \(plan); keep all "
                    + "repeated layers below layer \(plan.sourceCount - count)")
        }
        set(key, JSON(trailing))
    }

    private mutating func followPeriod(
        _ key: String, _ value: JSON, list: String?, exceptions: String?
    ) throws(UserFacingError) {
        if value.array != nil { return try followEntries(key, value) }
        // A word such as LLLG is a period too.
        guard let period = value.int ?? value.string?.count else {
            throw error(key, value, "a number of layers is expected")
        }
        guard period > 1 else { return }
        tellsLayersApart = true
        if !plan.keeps(period: period) { brokenPeriods.append((key, list, exceptions)) }
    }

    /// MiniCPM: each layer adds its output times `scale_depth` / √layers, which is to stay what it was.
    private mutating func followRoot(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard let scale = value.double, scale.isFinite else {
            throw error(key, value, "a number is expected")
        }
        set(key, JSON(scale * (Double(plan.count) / Double(plan.sourceCount)).squareRoot()))
    }

    /// A key that is in no rule book: what is clearly a list of layers follows, what may be about layers is refused.
    private mutating func followUnknown(_ key: String, _ value: JSON) throws(UserFacingError) {
        if let members = value.object { return try refuseLayers(in: members, path: key + ".") }
        let isAboutLayers = LayerKey.soundsLikeLayers(key)
        if let list = value.array, !list.isEmpty {
            if isAboutLayers && list.count == plan.sourceCount { return try followEntries(key, value) }
            let isLayerCount = list.count == plan.sourceCount && plan.sourceCount > 4
            guard isAboutLayers || isLayerCount && !key.hasSuffix("token_id") && key != "architectures" else {
                return
            }
            throw error(
                key, value,
                "it may describe layers (the list has \(list.count) entries, the model "
                    + "\(plan.sourceCount) layers), and how is not known")
        }
        guard key.contains("layer"), isAboutLayers, let number = value.int, number > 0 else { return }
        throw error(key, value, "it may count layers, and how is not known")
    }

    /// Refuses what an object inside the settings says of layers; objects that describe another model are left alone.
    private func refuseLayers(in members: JSONObject, path: String) throws(UserFacingError) {
        guard members["model_type"] == nil, members["num_hidden_layers"] == nil else { return }
        for (key, value) in members {
            if let object = value.object {
                try refuseLayers(in: object, path: path + key + ".")
            } else if LayerKey.soundsLikeLayers(key), value.array?.isEmpty == false || (value.int ?? 0) > 0 {
                throw error(path + key, value, "it may describe layers, and how is not known")
            }
        }
    }

    // MARK: - Lists that the family makes up when they are not there

    private mutating func writeOut(_ list: ImpliedLayerList, before: JSONObject) throws(UserFacingError) {
        guard !hasList(list.key), let old = list.rule(before, plan.sourceCount) else { return }
        note(old[...])
        let wanted = plan.sources.map { old[$0] }
        guard list.rule(settings, plan.count) != wanted else { return }
        let marked = wanted.indices.filter { wanted[$0] == true }
        set(list.key, .array(list.isIndices ? marked.map { JSON($0) } : wanted))
        for key in list.replaced where settings[key] != nil { set(key, nil) }
        brokenPeriods.removeAll { list.replaced.contains($0.key) }
    }

    /// What becomes of a period that the new layers do not keep.
    private mutating func settle(
        period key: String, list: String?, exceptions: String?
    ) throws(UserFacingError) {
        guard let value = settings[key] else { return }
        // A list says the same, layer by layer: without the period nothing contradicts it.
        if let list, hasList(list) { return set(key, nil) }
        if let exceptions, let period = value.int { return set(period, of: key, exceptions: exceptions) }
        throw error(
            key, value,
            "its period does not go on over the seams of \(plan), and no list is known that could say "
                + "which layer is of which kind; choose layers that move by a multiple of it")
    }

    /// A layer is not marked when the period skips it or the list of exceptions names it, so the list can name all of them.
    ///
    /// In Qwen's mixtures of experts these are the dense layers.
    private mutating func set(_ period: Int, of key: String, exceptions: String) {
        let named = Set(settings[exceptions]?.array?.compactMap(\.int) ?? [])
        let unmarked = plan.sources.indices.filter { index in
            named.contains(index) || !(plan.sources[index] + 1).isMultiple(of: period)
        }
        set(key, 1)
        set(exceptions, .array(unmarked.map { JSON($0) }))
    }

    // MARK: - Small things

    private func hasList(_ key: String) -> Bool {
        settings[key]?.array?.isEmpty == false
    }

    private func familyHas(_ list: String) -> Bool {
        family?.impliedLists.contains { $0.key == list } ?? false
    }

    private mutating func note(_ entries: ArraySlice<JSON>) {
        tellsLayersApart = tellsLayersApart || entries.contains { $0 != entries.first }
    }

    private mutating func set(_ key: String, _ value: JSON?) {
        let before = settings[key]
        guard before != value else { return }
        settings[key] = value
        if let index = changes.firstIndex(where: { $0.key == path + key }) {
            changes[index] = ConfigurationChange(key: path + key, before: changes[index].before, after: value)
        } else {
            changes.append(ConfigurationChange(key: path + key, before: before, after: value))
        }
    }

    private func refuseUnlessOff(_ key: String, _ value: JSON, _ reason: String) throws(UserFacingError) {
        let isEmpty = value.array?.isEmpty ?? value.object?.isEmpty ?? false
        guard value.bool == false || value.int == 0 || isEmpty else { throw error(key, value, reason) }
    }

    private func error(_ key: String, _ value: JSON, _ reason: String) -> UserFacingError {
        let text = String(decoding: value.serialized(indent: nil), as: UTF8.self)
        return .unfollowableKey(
            path: model, key: path + key, value: text.count > 60 ? text.prefix(57) + "…" : text,
            reason: reason)
    }
}
