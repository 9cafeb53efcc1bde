public import Formats
public import Models
internal import OrderedCollections

extension Checkpoint {
    /// The model's layers.
    ///
    /// The family says what they are called where it is known, else the tensor names do.
    ///
    /// - Throws: ``UserFacingError`` when no layers are to be seen, more than one set could be meant, or the
    ///   configuration has another number of them.
    public func layers() throws(UserFacingError) -> LayerNames.Group {
        let groups = LayerNames.groups(in: tensors.keys)
        try checkCompleteness(groups)
        guard !groups.isEmpty else { throw .noLayers(path: path) }
        let configured = configuration?.layerCount
        let following = configuration?.mtpLayerCount ?? 0
        let candidates = candidates(groups, expected: configured?.value.int, following: following)
        guard let group = candidates.first else { throw .noLayers(path: path) }
        guard candidates.count == 1 else {
            throw .severalGroups(
                path: path, groups: candidates.map { "\($0.names.title(of: 0))…\($0.count - 1)" })
        }
        guard let configured else { return group }
        // Layers that predict further tokens are saved behind the others, or not at all.
        let counts = [group.count, group.count - following]
        guard let count = configured.value.int, count > 0, counts.contains(count) else {
            throw .countsDiffer(
                path: path, key: configured.key,
                configured: String(decoding: configured.value.serialized(indent: nil), as: UTF8.self),
                layers: group)
        }
        return LayerNames.Group(names: group.names, count: count)
    }

    /// Refuses a model of whose layers some are missing.
    private func checkCompleteness(_ groups: [LayerNames.Group]) throws(UserFacingError) {
        let incomplete = LayerNames.incompleteGroups(in: tensors.keys)
        let known = configuration?.family?.layerPrefixes ?? []
        let meant =
            incomplete.first { known.contains($0.prefix) }
            ?? (groups.isEmpty ? incomplete.max { $0.numbers.count < $1.numbers.count } : nil)
        guard let meant, let last = meant.numbers.last else { return }
        let count = max(last + 1, min(configuration?.layerCount?.value.int ?? 0, last + 4_096))
        let missing = Set(0..<count).subtracting(meant.numbers).sorted()
        throw .missingLayers(path: path, prefix: meant.prefix, missing: missing, found: meant.numbers)
    }

    /// The sets of layers that may be the model's: those that the family names, else those of the right number,
    /// else all.
    private func candidates(
        _ groups: [LayerNames.Group], expected: Int?, following: Int
    ) -> [LayerNames.Group] {
        if let prefixes = configuration?.family?.layerPrefixes {
            let known = groups.filter { prefixes.contains($0.names.prefix) }
            if !known.isEmpty { return known }
        }
        guard let expected, groups.count > 1 else { return groups }
        let right = groups.filter { $0.count == expected || $0.count == expected + following }
        return right.isEmpty ? groups : right
    }

    /// The same model with the layers that a plan has.
    ///
    /// Tensors of layers are renamed, everything else moves along. The configuration follows.
    ///
    /// - Parameter plan: which layers of this model the result has.
    /// - Returns: the result, not written yet.
    /// - Throws: ``UserFacingError`` when a plan is for another number of layers, the configuration can't say what
    ///   the result is, or layers can't be made what the plan says.
    func rearranged(_ plan: LayerPlan) throws(UserFacingError) -> Outcome {
        let group = try layers()
        guard group.count == plan.sourceCount else {
            throw .planned(path: path, for: plan.sourceCount, found: group.count)
        }
        var result = self
        var changes: [ConfigurationChange] = []
        var tellsLayersApart = false
        if let configuration {
            let following = try configuration.following(plan, model: path)
            result.configuration = following.configuration
            changes = following.changes
            tellsLayersApart = following.tellsLayersApart
            changes += try result.followRules(plan, group.names, of: self)
        }
        if !tellsLayersApart { try checkLayersAlike(group) }
        result.tensors = group.names.rearranged(tensors, origins: plan.sources, of: plan.sourceCount)
        try result.changeWriters(plan, group.names)
        if let structure = format.structure {
            result.format = .hdf5(
                structure.rearranged(origins: plan.sources, of: plan.sourceCount, names: group.names))
            result.leaveArchitecture(layers: group.count)
        }
        if configuration?["class_name"] != nil { result.followPreset(self) }
        var outcome = Outcome(result)
        outcome.plan = plan
        outcome.changes = ConfigurationChange.inFiles(changes, from: self, to: result)
        outcome.say("layers", "\(plan.sourceCount) → \(plan.count): \(plan)")
        outcome.facts["layers"] = [
            "before": JSON(plan.sourceCount), "after": JSON(plan.count), "plan": .string("\(plan)"),
            "origins": .array(plan.sources.map { JSON($0) }),
            "kinds": .array(plan.origins.map { .string($0.rawValue) }),
        ]
        return outcome
    }

    /// Makes zero, or multiplies, what the layers write that a plan says so of.
    private mutating func changeWriters(_ plan: LayerPlan, _ names: LayerNames) throws(UserFacingError) {
        guard plan.layers.contains(where: { $0.zeroesWriters || $0.scale != 1 }) else { return }
        let writers = try ResidualWriters(of: self)
        if plan.layers.contains(where: \.zeroesWriters) { try writers.checkIdentity(of: self) }
        var parts: [Int: [(rest: Substring, tensor: TensorExpression)]] = [:]
        for (name, tensor) in tensors {
            guard let (layer, rest) = names.parse(name), layer < plan.count else { continue }
            let change = plan.layers[layer]
            if change.zeroesWriters || change.scale != 1 { parts[layer, default: []].append((rest, tensor)) }
        }
        for (layer, tensors) in parts.sorted(by: { $0.key < $1.key }) {
            let change = plan.layers[layer]
            try writers.check(layer, tensors, scaled: !change.zeroesWriters)
            for (rest, tensor) in tensors where writers.write(rest) {
                self.tensors[names.name(layer: layer, rest: rest)] =
                    change.zeroesWriters ? tensor.zeroed() : try tensor.scaled(by: change.scale)
            }
        }
    }

    /// Leaves Keras's own description of a model that has another number of layers now.
    private mutating func leaveArchitecture(layers count: Int) {
        guard let structure = format.structure, !structure.prefix.isEmpty else { return }
        format = .hdf5(structure.weightsAlone)
        skippedFiles.append(
            SkippedFile(
                name: "\(structure.fileName)'s model_config",
                reason: "it describes the model with \(count) layers; load these weights into the deeper one")
        )
    }

    /// Refuses layers with different tensors when nothing says which layer is of which kind.
    private func checkLayersAlike(_ group: LayerNames.Group) throws(UserFacingError) {
        var kinds = [[String: String]](repeating: [:], count: group.count)
        for (name, tensor) in tensors {
            guard let (layer, rest) = group.names.parse(name), layer < group.count else { continue }
            kinds[layer][String(rest)] = "\(tensor.shape)"
        }
        for (layer, kind) in kinds.enumerated() where kind != kinds[0] {
            let names = Set(kind.keys).symmetricDifference(kinds[0].keys)
            let difference =
                names.min().map { "only one of them has \($0)" }
                ?? kind.keys.filter { kind[$0] != kinds[0][$0] }.min().map {
                    "their \($0) have different shapes"
                } ?? ""
            throw .mixedLayers(path: path, layer: 0, other: layer, difference: difference)
        }
    }
}
