public import Formats
public import Models
internal import OrderedCollections

/// A checkpoint whose layers follow a plan, and what that changed.
public struct RearrangedCheckpoint: Sendable {
    /// The result.
    public let checkpoint: Checkpoint
    /// Which layers it is made of.
    public let plan: LayerPlan
    /// What changed in the configuration.
    public let changes: [ConfigurationChange]
}

extension Checkpoint {
    /// The model's layers.
    ///
    /// The family says what they are called where it is known, else the tensor names do.
    ///
    /// - Throws: ``UserFacingError`` when no layers are to be seen, more than one set could be meant, or the
    ///   configuration has another number of them.
    public func layers() throws(UserFacingError) -> LayerNames.Group {
        let groups = LayerNames.groups(in: tensors.keys)
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

    /// The same model with its layers repeated as a plan says.
    ///
    /// Tensors of layers are renamed, everything else moves along. The configuration follows.
    ///
    /// - Parameters:
    ///   - plan: which layers of this model the result has.
    ///   - operation: what to call what was done, in the manifest.
    /// - Returns: the result, not written yet.
    /// - Throws: ``UserFacingError`` when a plan is for another number of layers, or the configuration can't say what
    ///   the result is.
    public func rearranged(
        _ plan: LayerPlan, operation: String
    ) throws(UserFacingError) -> RearrangedCheckpoint {
        let group = try layers()
        guard group.count == plan.sourceCount else {
            throw .planned(path: path, for: plan.sourceCount, found: group.count)
        }
        var result = self
        var changes: [ConfigurationChange] = []
        var tellsLayersApart = false
        if let configuration {
            let following = try configuration.following(plan, names: group.names, model: path)
            result.configuration = following.configuration
            changes = following.changes
            tellsLayersApart = following.tellsLayersApart
        }
        if !tellsLayersApart { try checkLayersAlike(group) }
        result.tensors = group.names.rearranged(tensors, origins: plan.origins, of: plan.sourceCount)
        if let structure = format.structure {
            result.format = .hdf5(
                structure.rearranged(origins: plan.origins, of: plan.sourceCount, names: group.names))
            result.leaveArchitecture(layers: group.count)
        }
        result.operations.append(Manifest.Operation(name: operation, plan: plan))
        return RearrangedCheckpoint(
            checkpoint: result, plan: plan,
            changes: ConfigurationChange.inFiles(changes, from: self, to: result))
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

extension Manifest.Operation {
    /// What the manifest says of rearranged layers: how many there were and are, and where each is from.
    init(name: String, plan: LayerPlan) {
        var parameters = JSONObject()
        parameters["from"] = JSON(plan.sourceCount)
        parameters["to"] = JSON(plan.count)
        parameters["layers"] = .array(plan.origins.map { JSON($0) })
        self.init(name: name, parameters: parameters)
    }
}
