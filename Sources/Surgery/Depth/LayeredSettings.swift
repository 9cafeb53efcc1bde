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
        try checkListsMadeUp()
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
        case .sharing(let word): try followSharing(key, value, word)
        case .cycle: try followCycle(key, value)
        case .lastIndex: try followLast(key, value)
        case .countAgain: if value.int == plan.sourceCount { set(key, JSON(plan.count)) }
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

    /// A layer that takes what an earlier one has made must still come after that one.
    private mutating func followSharing(
        _ key: String, _ value: JSON, _ word: String
    ) throws(UserFacingError) {
        try followEntries(key, value)
        guard let entries = value.array, entries.count >= plan.sourceCount else { return }
        func giver(_ layers: [Int], _ index: Int) -> Int? {
            layers[...index].last { entries[$0] != .string(word) }
        }
        let before = Array(0..<plan.sourceCount)
        for (index, source) in plan.sources.enumerated() where entries[source] == .string(word) {
            guard giver(plan.sources, index) == giver(before, source) else {
                throw error(
                    key, value,
                    "layer \(source) takes what layer \(giver(before, source).map(String.init) ?? "none") has made, and "
                        + "in \(plan) it would come after another one; let repeated layers begin with one that shares nothing"
                )
            }
        }
    }

    /// A short list that goes round the layers stays when each layer moves by its length.
    private mutating func followCycle(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard let entries = value.array, !entries.isEmpty else { return }
        note(entries[...])
        if entries.count >= plan.sourceCount { return try followEntries(key, value) }
        guard entries.contains(where: { $0 != entries[0] }) else { return }
        guard plan.keeps(period: entries.count) else {
            throw error(
                key, value,
                "it goes round the layers, and \(plan) does not; \(plan.advice(period: entries.count))")
        }
    }

    private mutating func followLast(_ key: String, _ value: JSON) throws(UserFacingError) {
        guard let last = value.int else { throw error(key, value, "the number of a layer is expected") }
        guard last >= 0 else { return }
        guard last >= plan.sourceCount - 1 else {
            tellsLayersApart = true
            guard let leading = plan.leading(last + 1) else {
                throw error(key, value, "the layers up to \(last) are no longer the first ones in \(plan)")
            }
            return set(key, JSON(leading - 1))
        }
        set(key, JSON(plan.count - 1))
    }

    /// Refuses a configuration that leaves a list to its class, which would make another for the new layers.
    private func checkListsMadeUp() throws(UserFacingError) {
        for key in LayerKey.listsMadeUp(for: settings["model_type"]?.string ?? "") {
            guard settings[key] == nil || settings[key]?.isNull == true,
                plan.sources != Array(0..<plan.count),
                !familyHas(key),
                key != "mlp_layer_types" || settings["first_k_dense_replace"]?.int == nil
            else { continue }
            throw error(
                key, .null,
                "transformers makes this list for any number of layers, and what it would say of the new ones is not what "
                    + "they were trained as; open and save the configuration with transformers, so that the list is in it"
            )
        }
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
        let isText = value.string != nil
        let written: [JSON]? =
            value.array
            ?? value.string.map { text in
                text.split(separator: ",").map { part in
                    Int(part.filter { $0 != " " }).map { JSON($0) } ?? .null
                }
            }
        guard let list = written else { throw error(key, value, "a list of layers is expected") }
        let marked = Set(list.compactMap(\.int))
        guard marked.count == list.count, marked.allSatisfy({ (0..<plan.sourceCount).contains($0) }) else {
            throw error(key, value, "different layers from 0 to \(plan.sourceCount - 1) are expected")
        }
        tellsLayersApart = tellsLayersApart || !marked.isEmpty
        let followed = plan.sources.indices.filter { marked.contains(plan.sources[$0]) }
        set(
            key,
            isText
                ? .string(followed.map(String.init).joined(separator: ","))
                : .array(followed.map { JSON($0) }))
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
        if LayerKey.isAboutAnotherModule(key) { return }
        if let members = value.object { return try refuseLayers(in: members, path: key + ".") }
        let isAboutLayers = LayerKey.soundsLikeLayers(key)
        if let list = value.array, !list.isEmpty {
            if isAboutLayers && list.count == plan.sourceCount { return try followEntries(key, value) }
            let isLayerCount = list.count == plan.sourceCount && plan.sourceCount > 4
            let isWords =
                list.count == plan.sourceCount && list.count > 1 && list.allSatisfy { $0.string != nil }
            let isOther = key.hasSuffix("token_id") || key.hasSuffix("token_ids") || key == "architectures"
            guard isAboutLayers || (isLayerCount || isWords) && !isOther else { return }
            throw error(
                key, value,
                "it may describe layers (the list has \(list.count) entries, the model "
                    + "\(plan.sourceCount) layers), and how is not known")
        }
        let counts = key.contains("layer") || value.int == plan.sourceCount
        guard counts, isAboutLayers, let number = value.int, number > 0 else { return }
        throw error(key, value, "it may count layers, and how is not known")
    }

    /// Refuses what an object inside the settings says of layers; objects that describe another model are left alone.
    private func refuseLayers(in members: JSONObject, path: String) throws(UserFacingError) {
        guard members["model_type"] == nil, members["num_hidden_layers"] == nil else { return }
        for (key, value) in members {
            if let object = value.object {
                try refuseLayers(in: object, path: path + key + ".")
            } else if LayerKey.soundsLikeLayers(key), value.hasNumbers || (value.int ?? 0) > 0 {
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
                + "which layer is of which kind; "
                + plan.advice(period: value.int ?? value.string?.count ?? 1))
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

extension JSON {
    /// Whether it is a list with anything but names in it; what names say of layers is told from the names.
    fileprivate var hasNumbers: Bool {
        array?.contains { $0.string == nil && ($0.array == nil || $0.hasNumbers) } ?? false
    }
}
