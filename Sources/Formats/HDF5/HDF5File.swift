/// An HDF5 file whose groups and datasets have been read.
struct HDF5File: Sendable {
    /// The file, open.
    let file: InputFile
    /// The attributes of each group by its path; the root's path is empty.
    let groups: [(path: String, attributes: [HDF5Attribute])]
    /// The datasets, in the order of their paths.
    let datasets: [HDF5Dataset]
    private let cache = HDF5ChunkCache()

    /// Whether a file is HDF5, going by its first bytes.
    static func isHDF5(_ file: InputFile) throws(UserFacingError) -> Bool {
        try HDF5Superblock.place(in: file) != nil
    }

    /// Reads all that is in a file but the numbers.
    ///
    /// - Throws: ``UserFacingError`` for whatever can't be read or leads out of the file.
    init(_ file: InputFile) throws(UserFacingError) {
        self.file = file
        let tree = try HDF5ObjectTree(file)
        (groups, datasets) = (tree.groups, tree.datasets)
    }

    /// A dataset as a tensor of this name.
    func tensor(_ dataset: HDF5Dataset, named name: String) -> any TensorStorage {
        if let range = dataset.range(in: file),
            let stored = try? StoredTensor(name: name, type: dataset.type, shape: dataset.shape, range: range)
        {
            return stored
        }
        return HDF5Tensor(name: name, dataset: dataset, file: file, cache: cache)
    }
}
