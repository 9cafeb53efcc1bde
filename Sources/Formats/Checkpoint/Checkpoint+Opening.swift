import OrderedCollections

extension Checkpoint {
    /// Opens a model: a folder with one or more files of weights, safetensors or HDF5, or one such file, or a model in the
    /// cache of the Hugging Face hub by its name there.
    ///
    /// Reads headers, the configuration and the manifest; all are checked, no tensor is read.
    ///
    /// - Throws: ``UserFacingError`` that says what is wrong with which file.
    public static func open(_ path: String) throws(UserFacingError) -> Checkpoint {
        let path = try HubCache.path(of: path)
        switch FileSystem.kind(of: path) {
        case .folder:
            return try openFolder(path) { names throws(UserFacingError) in
                try WeightsFile.all(in: path, names: names)
            }
        case .file:
            guard try isWeights(path) else { throw .unknownFile(path: path) }
            return try Checkpoint(path: path, files: [WeightsFile(path: path)])
        case .other: throw .unknownFile(path: path)
        case nil: throw .nothingThere(path: path)
        }
    }

    /// Whether a file is one that can be opened: HDF5 by its content, safetensors by its name.
    private static func isWeights(_ path: String) throws(UserFacingError) -> Bool {
        if Path.suffix(path) == "safetensors" { return true }
        return try HDF5File.isHDF5(InputFile(path: path))
    }

    /// Opens a folder that has a configuration and whatever belongs to a model, but no weights yet.
    ///
    /// - Throws: ``UserFacingError`` that says what is wrong with which file.
    public static func openWithoutWeights(_ folder: String) throws(UserFacingError) -> Checkpoint {
        let folder = try HubCache.path(of: folder)
        guard FileSystem.kind(of: folder) == .folder else { throw .nothingThere(path: folder) }
        return try openFolder(folder) { _ throws(UserFacingError) in [] }
    }

    private static func openFolder(
        _ folder: String, files: (_ names: [String]) throws(UserFacingError) -> [WeightsFile]
    ) throws(UserFacingError) -> Checkpoint {
        let names = try FileSystem.names(folder)
        let files = try files(names)
        var checkpoint = try Checkpoint(path: folder, files: files)
        if names.contains(Configuration.fileName) {
            let path = Path.join(folder, Configuration.fileName)
            let bytes = try InputFile(path: path).bytes()
            checkpoint.configuration = try Configuration(parsing: bytes, file: path)
        }
        if names.contains(Manifest.fileName) {
            let path = Path.join(folder, Manifest.fileName)
            do {
                checkpoint.manifest = try Manifest.read(path: path)
            } catch {
                guard error == .unreleasedManifest(file: path) else { throw error }
                checkpoint.unusableManifest = error
            }
        }
        (checkpoint.auxiliaryFiles, checkpoint.skippedFiles) = try auxiliaryFiles(
            in: folder, names: names, weights: Set(files.map(\.file.name)))
        checkpoint.opened?.others = checkpoint.auxiliaryFiles
        let kept = FileSelection.indices.union([Configuration.fileName])
            .union(checkpoint.manifest == nil ? [] : [Manifest.fileName])
        for name in names where kept.contains(name) {
            let file = try InputFile(path: Path.join(folder, name))
            checkpoint.opened?.others.append(AuxiliaryFile(name: name, content: .file(file)))
        }
        if checkpoint.unusableManifest != nil {
            let reason = "format 1, which only versions before the first release wrote"
            checkpoint.skippedFiles.append(SkippedFile(name: Manifest.fileName, reason: reason))
        }
        return checkpoint
    }

    private init(path: String, files: [WeightsFile]) throws(UserFacingError) {
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        var metadata: [String: String] = [:]
        tensors.reserveCapacity(files.reduce(0) { $0 + $1.tensors.count })
        for file in files {
            metadata.merge(file.metadata) { first, _ in first }
            for tensor in file.tensors {
                guard let expression = try? TensorExpression.stored(tensor),
                    tensors.updateValue(expression, forKey: tensor.name) == nil
                else { throw .sameName(path: file.file.path, tensor: tensor.name) }
            }
        }
        self.init(path: path, tensors: tensors, metadata: metadata)
        sources = files.map(\.file)
        opened = files.isEmpty ? nil : OpenedFiles(weights: files)
        let structures = files.compactMap(\.structure)
        let structure = structures.dropFirst().reduce(structures.first) { $0?.merging($1) }
        format.structure = structure
        // The order of one file, however the tensors are spread over several.
        if structures.count > 1, structure?.layout == .keras3 {
            self.tensors.sort { NaturalOrder.precedes($0.key, $1.key) }
        }
    }
}
