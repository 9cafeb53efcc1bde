internal import Formats
internal import Models
internal import OrderedCollections

/// What the last surgery has made of a model: which layers and rows it added.
///
/// It is what `surgery.json` tells, or what was done since the model was opened; healings after the surgery change nothing.
struct ModelOrigins {
    /// What each layer is; nil where the surgery left the layers alone.
    let layers: [LayerOrigins.Kind]?
    /// The layer of the source that each is, or is a copy of; nil where the surgery left the layers alone.
    let sources: [Int]?
    /// The layers on either side of each break in the source's order.
    let seam: Set<Int>
    /// Which rows of a tensor the source does not have, by the tensor's name.
    let newRows: [String: [Range<Int>]]
    /// Whether a tensor was trained since the surgery, all of it or some rows, by its name.
    private let isTrained: [String: Bool]
    /// Whether the model was healed since the surgery.
    private let isHealed: Bool

    /// What a layer is; nil where nothing is known of it.
    func kind(of layer: Int) -> LayerOrigins.Kind? {
        layers.flatMap { $0.indices.contains(layer) ? $0[layer] : nil }
    }

    /// Whether a tensor was trained since the surgery; where files call tensors otherwise, whether anything was.
    func wasTrained(_ tensor: String) -> Bool { isTrained[tensor] ?? isHealed }

    /// Reads what is known of a model; nil where no surgery was done to it.
    ///
    /// - Throws: ``UserFacingError`` when an earlier manifest is not what it should be, or tells of another model: one with
    ///   other numbers of layers, or of rows in a tensor; or contradicts itself.
    init?(of model: PretrainedModel) throws(UserFacingError) {
        let checkpoint = model.checkpoint
        let line = try checkpoint.ancestors()
        // The source of the last surgery, several in a row being one, whatever was healed afterwards.
        let source = line.last { ancestor in
            let isSurgery = ancestor.operations.map { $0.name != TrainingJob.name }
            return isSurgery.first == true && !isSurgery.drop { $0 }.contains(true)
        }
        guard let source else { return nil }
        var told: LayerOrigins?
        var seam: Set<Int> = []
        for own in source.operations.compactMap(\.layers) {
            told = own.following(told)
            // A break of an earlier surgery is where its layers have come to lie.
            let earlier = seam
            let origins = own.sources
            seam = Set(origins.indices.filter { earlier.contains(origins[$0]) })
            for layer in 1..<max(1, origins.count) where origins[layer] != origins[layer - 1] + 1 {
                seam.formUnion([layer - 1, layer])
            }
        }
        let layerCount = model.layout.layers.count
        if let count = told?.kinds.count, count != layerCount {
            throw .manifestOfAnotherModel(
                path: checkpoint.path, what: "layers", told: count, found: layerCount)
        }
        try Manifest.checkLayers(
            of: source.operations, against: source.provenance,
            file: Path.join(checkpoint.path, Manifest.fileName))
        (layers, sources, self.seam) = (told?.kinds, told?.sources, seam)
        var manifest = Manifest(tool: "", operations: [], sources: [], provenance: source.provenance)
        manifest.sources = source.files
        var (newRows, isTrained): ([String: [Range<Int>]], [String: Bool]) = ([:], [:])
        for (name, lineage) in manifest.lineage {
            let height = checkpoint.tensors[name].map { $0.shape.first ?? 1 }
            if let told = lineage.runs.last?.rows.upperBound, let height, told != height {
                throw .manifestOfAnotherModel(
                    path: checkpoint.path, what: "rows of \(name)", told: told, found: height)
            }
            let runs = lineage.runs.filter {
                $0.kind == .fresh || $0.kind == .computed && $0.source == nil
            }
            if !runs.isEmpty { newRows[name] = runs.map(\.rows) }
            isTrained[name] = lineage.runs.contains { $0.kind == .computed }
        }
        (self.newRows, self.isTrained) = (newRows, isTrained)
        isHealed = source.operations.contains { $0.name == TrainingJob.name }
    }
}

extension UserFacingError {
    /// A manifest lies in a folder that it does not tell of.
    static func manifestOfAnotherModel(path: String, what: String, told: Int, found: Int) -> Self {
        Self(
            .malformed,
            """
            \(Path.join(path, Manifest.fileName)) tells of another model: it has \(told) \(what), and the model \(found). \
            Put the \(Manifest.fileName) there that belongs to the model, or take this one away
            """)
    }
}
