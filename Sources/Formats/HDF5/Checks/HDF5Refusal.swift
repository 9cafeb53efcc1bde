/// Why a structure of a file is not shown to the library; the one who knows the object's path makes an
/// ``HDF5Error`` of it.
enum HDF5Refusal: Error, Equatable {
    /// It is damaged: what is wrong with it.
    case damaged(String)
    /// It is sound, and of a kind that is not read: what it is.
    case storage(String)
    /// The system could not read it.
    case file(FileError)

    /// The error, with the file, the object and what was to be done with it.
    func error(file: String, path: String, doing: String) -> HDF5Error {
        switch self {
        case .damaged(let reason):
            .library(file: file, path: path.isEmpty ? "/" : path, doing: doing, reason: reason)
        case .storage(let found): .storage(file: file, path: path.isEmpty ? "/" : path, found: found)
        case .file(let error): .file(error)
        }
    }
}
