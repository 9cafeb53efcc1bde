/// Why a manifest could not be read or followed.
public enum ManifestError: Diagnosis, Equatable {
    /// The file is no JSON, or can't be read.
    case json(JSONError)
    /// It was written by a newer version of this project.
    case version(file: String, found: Int)
    /// A part of it is not what it should be.
    case malformed(file: String, key: String, found: String, expected: String)
    /// A recipe names a file that is not among the sources.
    case unknownSource(tensor: String, file: Int)
    /// A source file can't be opened.
    indirect case source(CheckpointError)
    /// A source file is another than the one the result was made from.
    case changed(file: String, found: Int, expected: Int)
    /// A source does not hold a tensor that the recipe names.
    case missing(file: String, tensor: String)
    /// A recipe can't be followed.
    case recipe(tensor: String, TensorError)

    /// One sentence on what is wrong.
    public var description: String {
        switch self {
        case .json(let error): error.description
        case .version(let file, let found):
            "\(file) has format \(found), and this program knows \(Manifest.formatVersion); use a newer one"
        case .malformed(let file, let key, let found, let expected):
            "\(file): '\(key)' has \(found) where \(expected) is expected"
        case .unknownSource(let tensor, let file):
            "the manifest says that tensor '\(tensor)' comes from source \(file), which it does not list"
        case .source(let error): error.description
        case .changed(let file, let found, let expected):
            "\(file) has \(found) bytes, and the file the result was made from had \(expected): it is another file"
        case .missing(let file, let tensor):
            "\(file) holds no tensor '\(tensor)', from which the manifest says the result was made"
        case .recipe(let tensor, let error):
            "the manifest's recipe of tensor '\(tensor)' can't be followed: \(error)"
        }
    }

    /// The input is at fault.
    public var fault: Fault { .input }
}
