package import Formats
package import OrderedCollections

extension Manifest {
    /// Refuses operations that tell another layer of the source than tensors were made from.
    ///
    /// Layers are compared where source and result call a tensor alike but for the layer's number; where an operation tells of
    /// layers in another way, nothing is.
    ///
    /// - Parameters:
    ///   - operations: what was done, in order.
    ///   - provenance: what each tensor of the result was made from, of the model that the operations were given.
    ///   - file: the manifest's, for messages.
    /// - Throws: ``UserFacingError`` that names the layer, the tensor and both layers of the source.
    package static func checkLayers(
        of operations: [Operation], against provenance: OrderedDictionary<String, Provenance>, file: String
    ) throws(UserFacingError) {
        var told: LayerOrigins?
        for operation in operations where operation.facts["layers"] != nil {
            guard let own = operation.layers else { return }
            told = own.following(told)
        }
        guard let sources = told?.sources else { return }
        var contradiction: UserFacingError?
        for group in LayerNames.groups(in: provenance.keys) where group.count == sources.count {
            // Of several sets of as many layers one was arranged.
            guard let found = group.names.contradiction(to: sources, in: provenance) else { return }
            contradiction =
                contradiction
                ?? .otherLayer(
                    file: file, layer: found.layer, told: sources[found.layer], tensor: found.tensor,
                    made: found.source)
        }
        if let contradiction { throw contradiction }
    }
}

extension LayerNames {
    /// The first tensor that was made from another layer of the source than is told.
    fileprivate func contradiction(
        to sources: [Int], in provenance: OrderedDictionary<String, Provenance>
    ) -> (layer: Int, tensor: String, source: Int)? {
        for (name, tree) in provenance {
            guard let (layer, rest) = parse(name), sources.indices.contains(layer) else { continue }
            var (agrees, other): (Bool, Int?) = (false, nil)
            tree.forEachCopy { _, tensor in
                guard let (source, its) = parse(tensor), its == rest else { return }
                if source == sources[layer] { agrees = true } else { other = source }
            }
            if !agrees, let other { return (layer, name, other) }
        }
        return nil
    }
}

extension UserFacingError {
    /// What an operation tells of a layer is not what the provenance of its tensors says.
    package static func otherLayer(
        file: String, layer: Int, told: Int, tensor: String, made: Int
    ) -> Self {
        Self(
            .malformed,
            """
            \(file) contradicts itself: its operations tell that layer \(layer) comes from layer \(told) of the source, and \
            tensor '\(tensor)' was made from layer \(made); it was edited
            """)
    }
}
