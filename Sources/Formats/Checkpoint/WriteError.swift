/// Why a model could not be written.
public enum WriteError: UserFacingError, Equatable {
    /// A file could not be written or copied.
    case file(FileError)
    /// A tensor could not be read or computed.
    case tensor(name: String, TensorError)
    /// The output is there already.
    case exists(path: String)
    /// What should be replaced is no model's folder.
    case notAModel(path: String)
    /// The output would replace what it is made from.
    case isSource(path: String, source: String)
    /// The output would lie inside the folder that it is made from.
    case insideSource(path: String, source: String)
    /// The folder that is to hold the output is not there, or can't be written to.
    case noFolder(output: String, folder: String, obstacle: String)
    /// There is nothing to write.
    case empty
    /// A tensor has a name that the format keeps for itself.
    case reservedName(String)
    /// The library in whose terms it is written has no place for what the model became.
    case form(reason: String, fault: Fault)
    /// HDF5 has no such type.
    case type(name: String, ElementType)
    /// A name that leads into a tensor, or to one that is there already.
    case nameInsideTensor(String, tensor: String)
    /// libhdf5 refused something.
    case hdf5(doing: String, path: String, reason: String)
    /// The list of tensors is longer than the format allows.
    case headerTooLarge(file: String, bytes: Int)
    /// The disk has too little room.
    case space(path: String, needed: Int, available: Int)
    /// Another process writes the same output.
    case busy(path: String)
    /// It was stopped; the same command goes on from here.
    case interrupted(partial: String)

    /// One sentence on what is wrong, and what to do.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .tensor(let name, let error): "tensor '\(name)' can't be written: \(error)"
        case .exists(let path): "\(path) exists already; name another output, or replace it with --force"
        case .notAModel(let path):
            "\(path) is not replaced: it holds files but no model; remove it yourself, or name another output"
        case .isSource(let path, let source):
            "\(path) can't be the output: it is or holds \(source), from which the output is made; name another folder"
        case .insideSource(let path, let source):
            "\(path) can't be the output: it lies inside \(source), from which the output is made; name a folder elsewhere"
        case .noFolder(let output, let folder, let obstacle):
            "\(output) can't be written: \(folder) \(obstacle); name an output in a folder that you can write to"
        case .empty: "there is no tensor to write"
        case .reservedName(let name): "no tensor can be called '\(name)' in a file of this format"
        case .form(let reason, _): reason
        case .type(let name, let type):
            "tensor '\(name)' is \(type.rawValue), which HDF5 has no type for; write safetensors"
        case .nameInsideTensor(let name, let tensor):
            "tensors '\(name)' and '\(tensor)' can't be in one HDF5 file: one's name leads through the other's; write safetensors"
        case .hdf5(let doing, let path, let reason):
            "libhdf5 could not \(doing) \(path): \(reason); write safetensors"
        case .headerTooLarge(let file, let bytes):
            "\(file) would have a header of \(bytes) bytes, and the format allows \(SafetensorsHeader.largestHeader); write smaller shards"
        case .space(let path, let needed, let available):
            "the disk of \(path) has \(available) bytes left, and \(needed) are needed; free \(needed - available) bytes or name an output elsewhere"
        case .busy(let path): "another process is writing \(path); wait for it, or name another output"
        case .interrupted(let partial):
            "stopped; what is done is in \(partial), and the same command goes on from there"
        }
    }

    /// The run's, unless the request or the source is at fault.
    public var fault: Fault {
        switch self {
        case .file(let error): error.fault
        case .tensor(_, let error): error.fault
        case .form(_, let fault): fault
        case .space, .busy, .interrupted: .run
        case .exists, .notAModel, .isSource, .insideSource, .noFolder: .usage
        case .empty, .reservedName, .headerTooLarge, .type, .nameInsideTensor, .hdf5: .input
        }
    }
}
