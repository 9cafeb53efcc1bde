// Why an HDF5 file was refused.
extension UserFacingError {
    /// The file is damaged: what is wrong, and at which byte.
    package static func damagedHDF5(_ reason: String) -> Self {
        Self(
            .malformed,
            "it can't be read (\(reason)); the file is damaged or cut off, download or save it again")
    }

    /// A link that leads elsewhere, which no weights file needs.
    package static func hdf5Link(_ kind: String) -> Self {
        Self(
            .unsupported,
            "it is \(kind) link, and only what lies in the file itself is read; save the weights without links"
        )
    }

    /// A group that contains itself, or is reached in two ways.
    package static func groupCycle(first: String) -> Self {
        Self(
            .malformed,
            "it is the same group as \(first.isEmpty ? "/" : first), and a group may be in one place only")
    }

    /// Groups inside groups beyond any use.
    package static var tooDeep: Self {
        Self(
            .unsupported,
            "it lies more than \(HDF5ObjectTree.deepest) groups deep; this is no file of weights")
    }

    /// Something that is neither a group nor numbers.
    package static func hdf5Kind(_ found: String) -> Self {
        Self(
            .unsupported,
            "it is \(found), and only groups and datasets of numbers are read")
    }

    /// Numbers that lie outside the file.
    package static func hdf5Storage(_ found: String) -> Self {
        Self(
            .unsupported,
            "it is \(found), and only what lies in the file itself is read; save it as a plain dataset")
    }

    /// Elements that are no numbers of a known kind.
    package static func hdf5Type(_ found: String) -> Self {
        Self(
            .unsupported,
            "it holds \(found), and only integers, truth values, float16, bfloat16, float32 and float64 are read"
        )
    }

    /// A shape that can't be right.
    package static func hdf5Shape(_ found: String, expected: String) -> Self {
        Self(
            .unsupported,
            "it has \(found), and \(expected)")
    }

    /// The data is packed by a method that is not there.
    package static func hdf5Filter(_ name: String) -> Self {
        Self(
            .unsupported,
            "it is packed by \(name), which is not available here; save it with gzip or unpacked")
    }

    /// An attribute is missing or not what the layout asks for.
    package static func hdf5Attribute(_ name: String, reason: String) -> Self {
        Self(
            .malformed,
            "attribute \(name) \(reason)")
    }

    /// Weights that the file lists and does not hold.
    package static func missingDataset(file: String, path: String, listed: String) -> Self {
        Self(
            .inconsistent,
            "\(file) has no dataset \(path), which \(listed) lists")
    }

    /// The same error, told where it is; what the system refused says so itself.
    func at(_ path: String, of file: InputFile) -> Self {
        switch kind {
        case .unreadable, .system: self
        default: within("\(file.path): \(path.isEmpty ? "/" : path)")
        }
    }
}
