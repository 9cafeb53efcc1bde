import OrderedCollections

extension WeightsFile {
    /// The weights of a folder: those under the names that Hugging Face or Keras give them, else the only file there.
    ///
    /// - Throws: ``UserFacingError`` when there are none, or it is not clear which.
    static func all(in folder: String, names: [String]) throws(UserFacingError) -> [WeightsFile] {
        let known = Set(names)
        if known.contains("model.safetensors") { return [try named("model.safetensors", in: folder)] }
        if known.contains(SafetensorsIndex.fileName) {
            let index = try SafetensorsIndex(path: Path.join(folder, SafetensorsIndex.fileName))
            let files = try shards(index.files, of: index.path, in: folder) { name in
                index.shards.values.count { $0 == name }
            }
            try index.check(files)
            return files
        }
        if let files = try keras(in: folder, names: known) { return files }
        let found = names.filter {
            Path.suffix($0) == "safetensors" && !$0.hasPrefix(".") && !FileSelection.isAdapter($0)
        }
        if found.count == 1 && !isShard(found[0]) { return [try named(found[0], in: folder)] }
        guard found.isEmpty else { throw .noIndex(folder: folder, files: found) }
        return try hdf5(in: folder, names: names)
    }

    /// What KerasHub calls weights, in one file or several.
    private static func keras(
        in folder: String, names: Set<String>
    ) throws(UserFacingError) -> [WeightsFile]? {
        if names.contains(KerasShardIndex.wholeName) {
            return [try named(KerasShardIndex.wholeName, in: folder)]
        }
        guard names.contains(KerasShardIndex.fileName) else { return nil }
        let path = Path.join(folder, KerasShardIndex.fileName)
        let index = try KerasShardIndex(path: path)
        let files = try shards(index.files, of: path, in: folder) { index.count(in: $0) }
        try index.check(files)
        return files
    }

    private static func hdf5(in folder: String, names: [String]) throws(UserFacingError) -> [WeightsFile] {
        let known = Set(names)
        if known.contains("tf_model.h5") { return [try named("tf_model.h5", in: folder)] }
        if known.contains(TensorFlowIndex.fileName) {
            let index = try SafetensorsIndex(path: Path.join(folder, TensorFlowIndex.fileName))
            let files = try shards(index.files, of: index.path, in: folder) { name in
                index.shards.values.count { $0 == name }
            }
            try TensorFlowIndex.check(index, files)
            return files
        }
        let found = names.filter { hdf5Suffixes.contains(Path.suffix($0)) && !$0.hasPrefix(".") }
        switch found.count {
        case 0:
            let weights = names.filter { FileSelection.isWeights($0) }
            guard
                weights.contains(where: { !FileSelection.isAdapter($0) })
                    || !names.contains(where: FileSelection.isAdapter)
            else {
                let settings = try? JSON.read(path: Path.join(folder, FileSelection.adapterConfiguration))
                throw .adapterAlone(
                    folder: folder, base: settings?["base_model_name_or_path"]?.string)
            }
            throw .noModel(folder: folder, found: weights)
        case 1: return [try named(found[0], in: folder)]
        default: throw .noIndex(folder: folder, files: found)
        }
    }

    private static func named(_ name: String, in folder: String) throws(UserFacingError) -> WeightsFile {
        try WeightsFile(path: Path.join(folder, name))
    }

    private static func shards(
        _ names: [String], of index: String, in folder: String, count: (String) -> Int
    ) throws(UserFacingError) -> [WeightsFile] {
        var files: [WeightsFile] = []
        for name in names {
            let path = Path.join(folder, name)
            guard FileSystem.kind(of: path) != nil else {
                throw .shardMissing(index: index, shard: name, tensors: count(name))
            }
            files.append(try WeightsFile(path: path))
        }
        return files
    }

    /// Whether a name is one of several, as `model-00001-of-00002.safetensors` is.
    private static func isShard(_ name: String) -> Bool {
        name.dropLast(".safetensors".count).split(separator: "-").suffix(3).dropFirst().first == "of"
            && !name.contains("-00001-of-00001")
    }
}
