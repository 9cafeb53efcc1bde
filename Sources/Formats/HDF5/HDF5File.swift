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

    /// Every HDF5 file begins with these bytes, or has them at byte 512, 1024, 2048 and so on.
    private static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

    /// Whether a file is HDF5, going by its first bytes.
    static func isHDF5(_ file: SourceFile) throws(FileError) -> Bool {
        var place = 0
        while place + signature.count <= file.size {
            if try file.bytes(at: place, count: signature.count) == signature { return true }
            place = max(512, place * 2)
        }
        return false
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
            guard let access = HDF5Handle(CHDF5FileAccess()),
                let opened = unsafe HDF5Handle(H5Fopen(path, CHDF5ReadOnly(), access.id)),
                let root = unsafe HDF5Handle(H5Gopen2(opened.id, "/", CHDF5Default())),
                let heap = Self.heap(of: opened, file: file)
            else {
                throw .library(
                    file: file.path, path: "", doing: "opened as HDF5", reason: HDF5Library.takeError())
            }
            let walk = try HDF5Walk(root, file: file, heap: heap)
            return (walk.groups, walk.datasets, HDF5Reader(opened, file: file))
        }
    }

    private static func heap(of opened: borrowing HDF5Handle, file: SourceFile) -> HDF5Heap? {
        var (addressSize, lengthSize, base) = (0, 0, hsize_t(0))
        guard let created = HDF5Handle(H5Fget_create_plist(opened.id)),
            unsafe H5Pget_sizes(created.id, &addressSize, &lengthSize) >= 0,
            unsafe H5Pget_userblock(created.id, &base) >= 0, let start = Int(exactly: base)
        else { return nil }
        return HDF5Heap(file: file, base: start, addressSize: addressSize, lengthSize: lengthSize)
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
            path: dataset.path)
    }
}
