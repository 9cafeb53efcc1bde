/// Which files of a model's folder come along into a result.
///
/// What is no weights, no hidden file and no trace of training belongs to the model.
enum FileSelection {
    /// Suffixes of files that hold weights in one format or another.
    private static let weights: Set<String> = [
        "safetensors", "bin", "pt", "pth", "ckpt", "h5", "keras", "msgpack", "gguf", "ggml", "onnx",
        "onnx_data",
        "tflite", "npz", "mlmodel", "nemo", "distcp",
    ]

    /// Files that a training run leaves behind.
    private static let traces: Set<String> = ["trainer_state.json", "training_args.json", "optimizer.json"]

    /// Files that say which of several weights files holds what; the writer makes its own.
    static let indices: Set<String> = [
        SafetensorsIndex.fileName, KerasShardIndex.fileName, TensorFlowIndex.fileName,
    ]

    /// Folders whose files belong to the model, as `transformers` and KerasHub write them.
    static let folders: Set<String> = ["additional_chat_templates", "assets"]

    /// Whether the name is that of weights.
    static func isWeights(_ name: String) -> Bool { weights.contains(Path.suffix(name)) }

    /// Why a file does not come along; nil when it does.
    static func reasonToLeave(_ name: String) -> String? {
        if name.hasPrefix(".") { return "hidden" }
        if name.hasSuffix(".index.json") || indices.contains(name) {
            return "an index of weights that are not written"
        }
        if isWeights(name) { return "weights that are not part of the model as it was opened" }
        if traces.contains(name) { return "a trace of training" }
        return nil
    }
}

extension Checkpoint {
    /// The files of a folder that come along, opened, and what stays behind.
    static func auxiliaryFiles(
        in folder: String, names: [String], weights: Set<String>
    ) throws(UserFacingError) -> ([AuxiliaryFile], [SkippedFile]) {
        var auxiliaryFiles: [AuxiliaryFile] = []
        var skippedFiles: [SkippedFile] = []
        let written: Set<String> = [Configuration.fileName, Manifest.fileName]
        for name in names where !weights.contains(name) && !written.contains(name) {
            let path = Path.join(folder, name)
            if FileSelection.indices.contains(name) && weights.count > 1 { continue }
            if let reason = FileSelection.reasonToLeave(name) {
                skippedFiles.append(SkippedFile(name: name, reason: reason))
                continue
            }
            switch FileSystem.kind(of: path) {
            case .file:
                auxiliaryFiles.append(AuxiliaryFile(name: name, content: .file(try InputFile(path: path))))
            case .folder where FileSelection.folders.contains(name):
                auxiliaryFiles += try files(in: path, named: name)
            case .folder: skippedFiles.append(SkippedFile(name: name, reason: "a folder"))
            case .other: skippedFiles.append(SkippedFile(name: name, reason: "no plain file"))
            case nil: skippedFiles.append(SkippedFile(name: name, reason: "a link that leads nowhere"))
            }
        }
        return (auxiliaryFiles, skippedFiles)
    }

    /// The files of a folder that belongs to the model, and of the folders in it.
    private static func files(in path: String, named name: String) throws(UserFacingError) -> [AuxiliaryFile]
    {
        var auxiliaryFiles: [AuxiliaryFile] = []
        for inner in try FileSystem.names(path) where !inner.hasPrefix(".") {
            let (place, known) = (Path.join(path, inner), Path.join(name, inner))
            switch FileSystem.kind(of: place) {
            case .file:
                auxiliaryFiles.append(AuxiliaryFile(name: known, content: .file(try InputFile(path: place))))
            case .folder where known.split(separator: "/").count < 8:
                auxiliaryFiles += try files(in: place, named: known)
            default: break
            }
        }
        return auxiliaryFiles
    }
}
