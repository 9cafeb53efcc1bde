/// Why a model could not be opened.
public enum CheckpointError: UserFacingError, Equatable {
    /// A file can't be read.
    case file(FileError)
    /// A safetensors file is not valid.
    case safetensors(SafetensorsError)
    /// An HDF5 file is not valid.
    case hdf5(HDF5Error)
    /// A JSON file is not valid.
    case json(JSONError)
    /// A configuration is not valid.
    case configuration(ConfigurationError)
    /// A manifest is not valid.
    case manifest(ManifestError)
    /// Nothing is there.
    case missing(path: String)
    /// There is a file, but of no kind that can be opened.
    case unknownFile(path: String)
    /// There is a folder, but no model in it; what lies there that may have been meant.
    case noModel(folder: String, found: [String])
    /// Several files and no index that says which belong together.
    case noIndex(folder: String, files: [String])
    /// The index is not one.
    case index(path: String, reason: String)
    /// A file that the index names is not there.
    case shardMissing(index: String, shard: String, tensors: Int)
    /// The file that should hold a tensor does not.
    case tensorMissing(index: String, tensor: String, shard: String)
    /// A tensor lies in another file than the index says.
    case tensorElsewhere(index: String, tensor: String, promised: String, found: String)
    /// Two files hold a tensor of one name.
    case tensorTwice(index: String, tensor: String, first: String, second: String)
    /// A file holds a tensor that the index does not name.
    case tensorUnnamed(index: String, tensor: String, shard: String)
    /// Two names differ in nothing but their Unicode form.
    case sameName(path: String, tensor: String)

    /// One sentence on what is wrong, and what to do.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .safetensors(let error): error.description
        case .hdf5(let error): error.description
        case .json(let error): error.description
        case .configuration(let error): error.description
        case .manifest(let error): error.description
        case .missing(let path):
            "\(path) does not exist; name a model's folder, or a .safetensors or HDF5 file"
        case .unknownFile(let path):
            "\(path) is no .safetensors or HDF5 file; name one, or a folder that holds a model"
        case .noModel(let folder, let found):
            "\(folder) holds no model: neither model.safetensors nor \(SafetensorsIndex.fileName), \(KerasShardIndex.wholeName) or another HDF5 file is there"
                + (found.isEmpty
                    ? ""
                    : ", only \(list(found)), which can't be opened; convert the model to safetensors first")
        case .noIndex(let folder, let files):
            "\(folder) holds \(files.count) files of weights (\(list(files))) but no index (\(SafetensorsIndex.fileName), \(KerasShardIndex.fileName)) that says which belong together; the download may be incomplete"
        case .index(let path, let reason): "\(path) is no index of a model: \(reason)"
        case .shardMissing(let index, let shard, let tensors):
            "\(index) says that \(tensors) tensor\(tensors == 1 ? " is" : "s are") in \(shard), which is not there; download it"
        case .tensorMissing(let index, let tensor, let shard):
            "\(index) says that tensor '\(tensor)' is in \(shard), which does not hold it; index and file are of different models"
        case .tensorElsewhere(let index, let tensor, let promised, let found):
            "\(index) says that tensor '\(tensor)' is in \(promised), but it is in \(found); correct the index"
        case .tensorTwice(let index, let tensor, let first, let second):
            "tensor '\(tensor)' is both in \(first) and in \(second), which \(index) names; remove one of the two"
        case .tensorUnnamed(let index, let tensor, let shard):
            "\(shard) holds tensor '\(tensor)', which \(index) does not name; index and file are of different models"
        case .sameName(let path, let tensor):
            "\(path) has two tensors called '\(tensor)' but for their Unicode form"
        }
    }

    /// The input is at fault, unless the system refused to read.
    public var fault: Fault {
        switch self {
        case .file(let error): error.fault
        case .safetensors(let error): error.fault
        case .hdf5(let error): error.fault
        default: .input
        }
    }

    private func list(_ names: [String]) -> String {
        names.prefix(3).joined(separator: ", ") + (names.count > 3 ? ", …" : "")
    }
}
