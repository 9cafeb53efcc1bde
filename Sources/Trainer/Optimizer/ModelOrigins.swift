internal import Formats

/// What the last surgery has made of a model: which layers and rows it added.
///
/// It is what `surgery.json` tells, or what was done since the model was opened; healings after the surgery change nothing.
struct ModelOrigins {
    /// What a layer is.
    enum Layer: String { case original, duplicate, identity }

    /// What each layer is; nil where the surgery left the layers alone.
    let layers: [Layer]?
    /// The layers on either side of each break in the source's order.
    let seam: Set<Int>
    /// Which rows of a tensor the source does not have, by the tensor's name.
    let newRows: [String: [Range<Int>]]

    /// What a layer is; nil where nothing is known of it.
    func kind(of layer: Int) -> Layer? {
        layers.flatMap { $0.indices.contains(layer) ? $0[layer] : nil }
    }

    /// Reads what is known of a model; nil where no surgery was done to it.
    ///
    /// - Throws: ``UserFacingError`` when an earlier manifest is not what it should be.
    init?(of checkpoint: Checkpoint) throws(UserFacingError) {
        let line = try checkpoint.ancestors()
        // The source of the last surgery, several in a row being one, whatever was healed afterwards.
        let source = line.last { ancestor in
            let isSurgery = ancestor.operations.map { $0.name != TrainingJob.name }
            return isSurgery.first == true && !isSurgery.drop { $0 }.contains(true)
        }
        guard let source else { return nil }
        var layers: [Layer]?
        var seam: Set<Int> = []
        for operation in source.operations {
            guard let facts = operation.facts["layers"], let kinds = facts["kinds"]?.array,
                let origins = facts["origins"]?.array?.compactMap(\.int), origins.count == kinds.count
            else { continue }
            let before = layers
            layers = zip(kinds, origins).map { kind, origin in
                let own = kind.string.flatMap(Layer.init(rawValue:)) ?? .original
                guard own == .original, let before, before.indices.contains(origin) else { return own }
                return before[origin]
            }
            // A break of an earlier surgery is where its layers have come to lie.
            let earlier = seam
            seam = Set(origins.indices.filter { earlier.contains(origins[$0]) })
            for layer in 1..<max(1, origins.count) where origins[layer] != origins[layer - 1] + 1 {
                seam.formUnion([layer - 1, layer])
            }
        }
        (self.layers, self.seam) = (layers, seam)
        var manifest = Manifest(tool: "", operations: [], sources: [], provenance: source.provenance)
        manifest.sources = source.files
        newRows = manifest.lineage.reduce(into: [:]) { result, entry in
            let runs = entry.value.runs.filter {
                $0.kind == .fresh || $0.kind == .computed && $0.source == nil
            }
            if !runs.isEmpty { result[entry.key] = runs.map(\.rows) }
        }
    }
}
