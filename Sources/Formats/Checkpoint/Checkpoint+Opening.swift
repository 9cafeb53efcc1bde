import OrderedCollections

extension Checkpoint {
    /// Opens a model: a folder with one or more safetensors files, or one such file.
    ///
    /// Reads headers, the configuration and the manifest; all are checked, no tensor is read.
    ///
    /// - Throws: ``CheckpointError`` that says what is wrong with which file.
    public static func open(_ path: String) throws(CheckpointError) -> Checkpoint {
        switch Folder.kind(of: path) {
        case .folder:
            return try openFolder(path) { names throws(CheckpointError) in try weights(in: path, names: names)
            }
        case .file where Path.suffix(path) == "safetensors":
            let file = try weights(path)
            return try Checkpoint(path: path, files: [file])
        case .file, .other: throw .unknownFile(path: path)
        case nil: throw .missing(path: path)
        }
    }

    /// Opens a folder that has a configuration and whatever belongs to a model, but no weights yet.
    ///
    /// - Throws: ``CheckpointError`` that says what is wrong with which file.
    public static func openWithoutWeights(_ folder: String) throws(CheckpointError) -> Checkpoint {
        guard Folder.kind(of: folder) == .folder else { throw .missing(path: folder) }
        return try openFolder(folder) { _ throws(CheckpointError) in [] }
    }

    private static func openFolder(
        _ folder: String, files: (_ names: [String]) throws(CheckpointError) -> [SafetensorsFile]
    ) throws(CheckpointError) -> Checkpoint {
        let names: [String]
        do { names = try Folder.names(folder) } catch { throw .file(error) }
        let files = try files(names)
        var checkpoint = try Checkpoint(path: folder, files: files)
        if names.contains(Configuration.fileName) {
            let path = Path.join(folder, Configuration.fileName)
            let bytes: [UInt8]
            do { bytes = try SourceFile(path: path).bytes() } catch { throw .file(error) }
            do {
                checkpoint.configuration = try Configuration(parsing: bytes, file: path)
            } catch {
                throw .configuration(error)
            }
        }
        if names.contains(Manifest.fileName) {
            do {
                checkpoint.manifest = try Manifest.read(path: Path.join(folder, Manifest.fileName))
            } catch {
                throw .manifest(error)
            }
        }
        do {
            (checkpoint.companions, checkpoint.leftOut) = try companions(
                in: folder, names: names, weights: Set(files.map(\.file.name)))
        } catch {
            throw .file(error)
        }
        return checkpoint
    }

    /// The weights files of a folder: model.safetensors, else those of the index, else the only one there.
    private static func weights(
        in folder: String, names: [String]
    ) throws(CheckpointError) -> [SafetensorsFile] {
        if names.contains("model.safetensors") {
            return [try weights(Path.join(folder, "model.safetensors"))]
        }
        if names.contains(SafetensorsIndex.fileName) {
            return try shards(
                SafetensorsIndex(path: Path.join(folder, SafetensorsIndex.fileName)), in: folder)
        }
        let found = names.filter { Path.suffix($0) == "safetensors" && !$0.hasPrefix(".") }
        switch found.count {
        case 0:
            throw .noModel(folder: folder, found: names.filter { CompanionRule.isWeights($0) })
        case 1 where !isShard(found[0]): return [try weights(Path.join(folder, found[0]))]
        default: throw .noIndex(folder: folder, files: found)
        }
    }

    private static func shards(
        _ index: SafetensorsIndex, in folder: String
    ) throws(CheckpointError) -> [SafetensorsFile] {
        var files: [SafetensorsFile] = []
        for name in index.files {
            let path = Path.join(folder, name)
            guard Folder.kind(of: path) != nil else {
                let tensors = index.shards.values.count { $0 == name }
                throw .shardMissing(index: index.path, shard: name, tensors: tensors)
            }
            files.append(try weights(path))
        }
        try index.check(files)
        return files
    }

    /// Whether a name is one of several, as `model-00001-of-00002.safetensors` is.
    private static func isShard(_ name: String) -> Bool {
        name.dropLast(".safetensors".count).split(separator: "-").suffix(3).dropFirst().first == "of"
            && !name.contains("-00001-of-00001")
    }

    private static func weights(_ path: String) throws(CheckpointError) -> SafetensorsFile {
        do { return try SafetensorsFile(path: path) } catch { throw .safetensors(error) }
    }

    private init(path: String, files: [SafetensorsFile]) throws(CheckpointError) {
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        var metadata: [String: String] = [:]
        tensors.reserveCapacity(files.reduce(0) { $0 + $1.header.entries.count })
        for file in files {
            metadata.merge(file.header.metadata) { first, _ in first }
            for tensor in file.tensors {
                guard let expression = try? TensorExpression.stored(tensor),
                    tensors.updateValue(expression, forKey: tensor.name) == nil
                else { throw .sameName(path: file.file.path, tensor: tensor.name) }
            }
        }
        self.init(path: path, tensors: tensors, metadata: metadata)
        sources = files.map(\.file)
    }
}
