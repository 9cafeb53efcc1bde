/// Why an HDF5 file was refused.
public enum HDF5Error: UserFacingError, Equatable {
    /// The file can't be read.
    case file(FileError)
    /// The file is damaged: what is wrong, and at which byte.
    case damaged(file: String, path: String, reason: String)
    /// A link that leads elsewhere, which no weights file needs.
    case link(file: String, path: String, kind: String)
    /// A group that contains itself, or is reached in two ways.
    case cycle(file: String, path: String, first: String)
    /// Groups inside groups beyond any use.
    case tooDeep(file: String, path: String)
    /// Something that is neither a group nor numbers.
    case kind(file: String, path: String, found: String)
    /// Numbers that lie outside the file.
    case storage(file: String, path: String, found: String)
    /// Elements that are no numbers of a known kind.
    case type(file: String, path: String, found: String)
    /// A shape that can't be right.
    case shape(file: String, path: String, found: String, expected: String)
    /// The data is packed by a method that is not there.
    case filter(file: String, path: String, name: String)
    /// An attribute is missing or not what the layout asks for.
    case attribute(file: String, path: String, name: String, reason: String)
    /// Weights that the file lists and does not hold.
    case missing(file: String, path: String, listed: String)

    /// One sentence with the file, the object and what was found.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .damaged(let file, let path, let reason):
            "\(file)\(Self.at(path)) can't be read (\(reason)); the file is damaged or cut off, download or save it again"
        case .link(let file, let path, let kind):
            "\(file)\(Self.at(path)) is \(kind) link, and only what lies in the file itself is read; save the weights without links"
        case .cycle(let file, let path, let first):
            "\(file)\(Self.at(path)) is the same group as \(first.isEmpty ? "/" : first), and a group may be in one place only"
        case .tooDeep(let file, let path):
            "\(file)\(Self.at(path)) lies more than \(HDF5ObjectTree.deepest) groups deep; this is no file of weights"
        case .kind(let file, let path, let found):
            "\(file)\(Self.at(path)) is \(found), and only groups and datasets of numbers are read"
        case .storage(let file, let path, let found):
            "\(file)\(Self.at(path)) is \(found), and only what lies in the file itself is read; save it as a plain dataset"
        case .type(let file, let path, let found):
            "\(file)\(Self.at(path)) holds \(found), and only integers, truth values, float16, bfloat16, float32 and float64 are read"
        case .shape(let file, let path, let found, let expected):
            "\(file)\(Self.at(path)) has \(found), and \(expected)"
        case .filter(let file, let path, let name):
            "\(file)\(Self.at(path)) is packed by \(name), which is not available here; save it with gzip or unpacked"
        case .attribute(let file, let path, let name, let reason):
            "\(file)\(Self.at(path)): attribute \(name) \(reason)"
        case .missing(let file, let path, let listed):
            "\(file) has no dataset \(path), which \(listed) lists"
        }
    }

    /// The input is at fault, unless the system refused to read.
    public var fault: Fault {
        if case .file(let error) = self { return error.fault }
        return .input
    }

    private static func at(_ path: String) -> String { path.isEmpty ? "" : ": \(path)" }
}
