internal import CHDF5

/// A dataset's header, checked: what its elements are, and where they lie.
struct HDF5Dataset: Sendable {
    /// Where it is in the file's tree, as in `layers/dense/vars/0`.
    let path: String
    /// The type of its elements.
    let type: ElementType
    /// Its dimensions, outermost first; empty for a scalar.
    let shape: [Int]
    /// Its bytes where they lie in the file as they are; nil when they have to be unpacked or turned around.
    let range: FileRange?
    /// How it is cut into chunks; nil when it is in one piece.
    let chunks: HDF5Chunks?
    /// Where its header lies.
    let address: Int
    /// Its attributes without the one that marks bfloat16.
    let attributes: [HDF5Attribute]

    /// How much larger than what is stored for them numbers can be: zlib's limit, and then some.
    private static let largestExpansion = 2_000
    /// Datasets up to this many bytes may have nothing stored.
    private static let smallest = 1 << 20

    /// Checks an open dataset.
    init(
        _ dataset: borrowing HDF5Handle, path: String, file: SourceFile, address: Int,
        contents: HDF5Contents, heap: inout HDF5Heap
    ) throws(HDF5Error) {
        func failure(_ doing: String) -> HDF5Error {
            .library(file: file.path, path: path, doing: doing, reason: HDF5Library.takeError())
        }
        guard let created = HDF5Handle(H5Dget_create_plist(dataset.id)),
            let space = HDF5Handle(H5Dget_space(dataset.id)),
            let stored = HDF5Handle(H5Dget_type(dataset.id))
        else { throw failure("opened") }
        let attributes = try HDF5Attribute.all(
            contents.attributes, of: dataset, at: path, file: file.path, heap: &heap)
        let kind = HDF5Type(stored, attributes: attributes)
        guard let type = kind.type else { throw .type(file: file.path, path: path, found: kind.words) }
        guard H5Sget_simple_extent_type(space.id) != H5S_NULL else {
            throw .shape(file: file.path, path: path, found: "no shape", expected: "a tensor needs one")
        }
        guard let shape = HDF5Walk.shape(of: space), let bytes = type.byteCount(shape: shape) else {
            throw .shape(
                file: file.path, path: path, found: "a shape whose bytes can't be counted",
                expected: "no file holds that much")
        }
        let layout = try Self.layout(created, path: path, file: file)
        chunks = try HDF5Chunks(
            created, type: stored, isBigEndian: !kind.isLittleEndian, bytes: bytes, stored: contents.chunks,
            path: path, file: file)
        let storage = chunks?.stored.byteCount ?? Int(clamping: H5Dget_storage_size(dataset.id))
        let (most, overflow) = storage.multipliedReportingOverflow(by: Self.largestExpansion)
        guard bytes <= Self.smallest || overflow || bytes <= most, storage <= file.size else {
            throw .shape(
                file: file.path, path: path, found: "shape \(shape), \(bytes) bytes",
                expected: "only \(storage) are stored")
        }
        self.path = path
        self.type = type
        self.shape = shape
        self.address = address
        self.attributes =
            type == .bf16 ? attributes.filter { $0.name != HDF5Type.markName } : attributes
        let offset = H5Dget_offset(dataset.id)
        guard layout == H5D_CONTIGUOUS, kind.isLittleEndian, offset != CHDF5Undefined(), bytes > 0 else {
            range = nil
            return
        }
        guard storage == bytes, let start = Int(exactly: offset), start <= file.size,
            bytes <= file.size - start
        else {
            throw .shape(
                file: file.path, path: path, found: "\(bytes) bytes from byte \(offset) on",
                expected: "the file ends at \(file.size); it is cut off, download it again")
        }
        range = FileRange(file: file, offset: start, count: bytes)
    }

    /// How the data is laid out, having checked that it can be read.
    private static func layout(
        _ created: borrowing HDF5Handle, path: String, file: SourceFile
    ) throws(HDF5Error) -> H5D_layout_t {
        let layout = H5Pget_layout(created.id)
        if layout == H5D_VIRTUAL {
            throw .storage(file: file.path, path: path, found: "a virtual dataset, made of others")
        }
        if H5Pget_external_count(created.id) != 0 {
            throw .storage(file: file.path, path: path, found: "kept in external files")
        }
        guard layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED || layout == H5D_COMPACT else {
            throw .storage(file: file.path, path: path, found: "laid out in a way that is not known")
        }
        return layout
    }
}
