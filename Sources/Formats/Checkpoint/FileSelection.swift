/// Which files of a model's folder come along into a result.
///
/// What is no weights, no hidden file and no trace of training belongs to the model.
enum FileSelection {
    /// Suffixes of files that hold weights, and whose format that is.
    private static let formats: [String: String] = [
        "safetensors": "safetensors", "bin": "PyTorch", "pt": "PyTorch", "pth": "PyTorch", "pkl": "pickle",
        "ckpt": "a checkpoint of a trainer", "h5": "HDF5", "hdf5": "HDF5", "keras": "Keras",
        "msgpack": "Flax",
        "gguf": "GGUF", "ggml": "GGML", "onnx": "ONNX", "onnx_data": "ONNX", "tflite": "TensorFlow Lite",
        "npz": "NumPy", "npy": "NumPy", "mlmodel": "Core ML", "nemo": "NeMo",
        "distcp": "PyTorch, distributed",
        "ot": "Rust", "pdparams": "Paddle", "pdiparams": "Paddle", "engine": "TensorRT",
    ]

    /// Files that a training run leaves behind, and what their names begin with.
    private static let traces: Set<String> = [
        "trainer_state.json", "training_args.json", "optimizer.json", "training_args.bin", "scaler.pt",
        "all_results.json", "train_results.json", "eval_results.json", "trainer_log.jsonl",
    ]
    private static let beginningsOfTraces = [
        "events.out.tfevents", "optimizer.", "scheduler.", "rng_state", "training_loss",
    ]

    /// Ends of the names of copies that an editor or a person has put aside, and of downloads that are not done.
    private static let backups = [
        "~", ".bak", ".backup", ".orig", ".old", ".save", ".tmp", ".swp", ".rej", ".lock", ".incomplete",
        ".part",
    ]

    /// What an adapter of peft consists of.
    static let adapterConfiguration = "adapter_config.json"

    /// Files that say which of several weights files holds what; the writer makes its own.
    static let indices: Set<String> = [
        SafetensorsIndex.fileName, KerasShardIndex.fileName, TensorFlowIndex.fileName,
    ]

    /// Folders whose files belong to the model, as `transformers` and KerasHub write them.
    static let folders: Set<String> = ["additional_chat_templates", "assets"]

    /// Whether the name is that of weights.
    static func isWeights(_ name: String) -> Bool { formats[Path.suffix(name)] != nil }

    /// Whether the name is that of an adapter's weights or configuration.
    static func isAdapter(_ name: String) -> Bool {
        name == adapterConfiguration || name.hasPrefix("adapter_model.") || name.hasPrefix("adapter_model-")
    }

    /// The name with the format in brackets.
    static func withFormat(_ name: String) -> String {
        formats[Path.suffix(name)].map { "\(name) (\($0))" } ?? name
    }

    /// Why a file does not come along; nil when it does.
    static func reasonToLeave(_ name: String) -> String? {
        if name.hasPrefix(".") { return "hidden" }
        if isAdapter(name) { return "an adapter, which is not part of the model" }
        if backups.contains(where: name.hasSuffix)
            || backups.contains(where: { name.contains($0 + ".") && $0 == ".bak" })
        {
            return "a backup or a half copy"
        }
        if traces.contains(name) || beginningsOfTraces.contains(where: name.hasPrefix) {
            return "a trace of training"
        }
        if name.hasSuffix(".index.json") || indices.contains(name) {
            return "an index of weights that are not written"
        }
        if let format = formats[Path.suffix(name)] {
            return "other weights than those that were opened (\(format)), which do not follow"
        }
        return nil
    }

    /// The folders that a model of sentence-transformers has for what comes after its layers.
    ///
    /// Source: sentence-transformers, `modules.json`: a list of modules, each with its `path` inside the model's folder.
    static func moduleFolders(in folder: String, names: [String]) -> Set<String> {
        guard names.contains("modules.json"),
            let modules = try? JSON.read(path: Path.join(folder, "modules.json")).array
        else { return [] }
        return Set(
            modules.compactMap { $0["path"]?.string?.split(separator: "/").first.map(String.init) }
                .filter { !$0.isEmpty && !$0.hasPrefix(".") })
    }
}

extension Checkpoint {
    /// The files of a folder that come along, opened, and what stays behind.
    static func auxiliaryFiles(
        in folder: String, names: [String], weights: Set<String>
    ) throws(UserFacingError) -> ([AuxiliaryFile], [SkippedFile]) {
        var auxiliaryFiles: [AuxiliaryFile] = []
        var skippedFiles: [SkippedFile] = []
        let folders = FileSelection.folders.union(FileSelection.moduleFolders(in: folder, names: names))
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
            case .folder where folders.contains(name):
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
