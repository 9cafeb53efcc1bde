import OrderedCollections

/// The weights of an HDF5 file as its layout has them.
struct HDF5Weights: Sendable {
    /// The tensors in their order.
    let tensors: [any TensorStorage]
    /// What else there is.
    let structure: HDF5Structure

    /// Recognises a file's layout by what is in it.
    ///
    /// - Throws: ``UserFacingError`` when it lists weights that are not there.
    init(_ file: HDF5File) throws(UserFacingError) {
        let groups = OrderedDictionary(file.groups.map { ($0.path, $0.attributes) }) { first, _ in first }
        let datasets = Dictionary(file.datasets.map { ($0.path, $0) }) { first, _ in first }
        if let listed = groups[""]?.strings("layer_names"), let first = listed.first, datasets[first] != nil {
            self = try HDF5Weights(file, listed: listed, datasets: datasets, groups: groups)
            return
        }
        for root in ["", "model_weights"] {
            guard let layers = groups[root]?.strings("layer_names") else { continue }
            self = try HDF5Weights(file, layers: layers, root: root, datasets: datasets, groups: groups)
            return
        }
        let isKeras3 = file.datasets.contains { $0.path.split(separator: "/").dropLast().last == "vars" }
        tensors = file.datasets.map { file.tensor($0, named: $0.path) }
        structure = HDF5Structure(
            layout: isKeras3 ? .keras3 : .plain, fileName: file.file.name, groups: groups,
            attributes: Self.attributes(of: file.datasets))
    }

    /// Reads what Keras 1 and 2 list, in the order of the lists.
    private init(
        _ file: HDF5File, layers: [String], root: String, datasets: [String: HDF5Dataset],
        groups: OrderedDictionary<String, [HDF5Attribute]>
    ) throws(UserFacingError) {
        let prefix = root.isEmpty ? "" : root + "/"
        var listed: [HDF5Dataset] = []
        var tensors: [any TensorStorage] = []
        for layer in layers {
            guard let attributes = groups[prefix + layer] else {
                throw .missingDataset(file: file.file.path, path: prefix + layer, listed: "layer_names")
            }
            guard let weights = attributes.strings("weight_names") else {
                let reason = "is not there or no list of strings; save the weights again"
                throw .hdf5Attribute("weight_names", reason: reason).at(prefix + layer, of: file.file)
            }
            for weight in weights {
                let name = layer + "/" + weight
                guard let dataset = datasets[prefix + name] else {
                    throw .missingDataset(file: file.file.path, path: prefix + name, listed: "weight_names")
                }
                listed.append(dataset)
                tensors.append(file.tensor(dataset, named: name))
            }
        }
        self.tensors = tensors
        var attributes: [String: [HDF5Attribute]] = [:]
        for dataset in listed where !dataset.attributes.isEmpty {
            attributes[String(dataset.path.dropFirst(prefix.count))] = dataset.attributes
        }
        structure = HDF5Structure(
            layout: .keras2, fileName: file.file.name, prefix: prefix,
            groups: groups.filter { $0.key.isEmpty || $0.key == root || $0.key.hasPrefix(prefix) },
            attributes: attributes)
    }

    /// Reads one of the files of a TensorFlow model, whose list is that of its datasets.
    private init(
        _ file: HDF5File, listed: [String], datasets: [String: HDF5Dataset],
        groups: OrderedDictionary<String, [HDF5Attribute]>
    ) throws(UserFacingError) {
        var tensors: [any TensorStorage] = []
        for name in listed {
            guard let dataset = datasets[name] else {
                throw .missingDataset(file: file.file.path, path: name, listed: "layer_names")
            }
            tensors.append(file.tensor(dataset, named: name))
        }
        self.tensors = tensors
        structure = HDF5Structure(
            layout: .tensorFlowShards, fileName: file.file.name, groups: groups,
            attributes: Self.attributes(of: file.datasets))
    }

    private static func attributes(of datasets: [HDF5Dataset]) -> [String: [HDF5Attribute]] {
        var attributes: [String: [HDF5Attribute]] = [:]
        for dataset in datasets where !dataset.attributes.isEmpty {
            attributes[dataset.path] = dataset.attributes
        }
        return attributes
    }
}
