internal import CHDF5

/// An HDF5 file whose groups and datasets have been read and checked.
struct HDF5File: Sendable {
    /// The file, open.
    let file: SourceFile
    /// The attributes of each group by its path; the root's path is empty.
    let groups: [(path: String, attributes: [HDF5Attribute])]
    /// The datasets, in the order of their paths.
    let datasets: [HDF5Dataset]
    private let reader: HDF5Reader

    /// Whether a file is HDF5, going by its first bytes.
    static func isHDF5(_ file: SourceFile) throws(FileError) -> Bool {
        try HDF5Superblock.place(in: file) != nil
    }

    /// Opens a file, and checks all that is in it.
    ///
    /// - Throws: ``HDF5Error`` for whatever can't be read or leads out of the file.
    init(_ file: SourceFile) throws(HDF5Error) {
        self.file = file
        // The open file itself, whatever its name leads to by now.
        let path = "/proc/self/fd/\(file.descriptor)"
        (groups, datasets, reader) = try HDF5Library.locked {
            () throws(HDF5Error) -> ([(path: String, attributes: [HDF5Attribute])], [HDF5Dataset], HDF5Reader)
            in
            let checker = try Self.checked(file)
            guard let access = HDF5Handle(CHDF5FileAccess()),
                let opened = unsafe HDF5Handle(H5Fopen(path, CHDF5ReadOnly(), access.id))
            else {
                throw .library(
                    file: file.path, path: "", doing: "opened as HDF5", reason: HDF5Library.takeError())
            }
            let walk = try HDF5Walk(opened, checker: checker)
            return (walk.groups, walk.datasets, HDF5Reader(opened, file: file))
        }
    }

    private static func checked(_ file: SourceFile) throws(HDF5Error) -> HDF5Checker {
        do { return try HDF5Checker(file) } catch {
            throw error.error(file: file.path, path: "", doing: "opened as HDF5")
        }
    }

    /// A dataset as a tensor of this name.
    func tensor(_ dataset: HDF5Dataset, named name: String) -> any TensorStorage {
        if let range = dataset.range,
            let stored = try? StoredTensor(name: name, type: dataset.type, shape: dataset.shape, range: range)
        {
            return stored
        }
        return HDF5Tensor(
            name: name, type: dataset.type, shape: dataset.shape, address: dataset.address, reader: reader,
            path: dataset.path, chunks: dataset.chunks)
    }
}
