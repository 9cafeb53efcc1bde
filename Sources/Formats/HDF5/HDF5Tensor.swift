internal import CHDF5
internal import Synchronization

/// A dataset that has to be unpacked or turned around while it is read, a part at a time.
struct HDF5Tensor: TensorStorage {
    let name: String
    let type: ElementType
    let shape: [Int]
    /// Where the dataset's header lies in the file.
    let address: Int
    /// What reads it.
    let reader: HDF5Reader
    /// The dataset's place in the file's tree.
    let path: String
    /// How it is cut into chunks; nil when it is in one piece.
    let chunks: HDF5Chunks?

    var fileRange: FileRange? { nil }

    var fingerprint: String? { "\(reader.file.identity) \(path)" }

    var origin: TensorOrigin? { TensorOrigin(file: reader.file, offset: address) }

    func read(_ bytes: Range<Int>, into destination: inout MutableRawSpan) throws(TensorError) {
        guard let size = type.byteSize else { preconditionFailure("datasets have whole bytes") }
        do {
            try reader.read(
                self, elements: bytes.lowerBound / size..<bytes.upperBound / size, size: size,
                into: &destination)
        } catch .file(let error) {
            throw .file(error)
        } catch {
            throw .damaged(name: name, reason: error.description)
        }
    }
}

/// An open HDF5 file of which parts of datasets are read; the last dataset stays open.
final class HDF5Reader: Sendable {
    /// The file.
    let file: SourceFile
    private let open: Mutex<Open>

    struct Open: ~Copyable {
        let file: HDF5Handle
        var dataset: Dataset?
        /// Unpacked chunks, which are read without the library.
        var cache = HDF5ChunkCache()
    }

    struct Dataset: ~Copyable {
        let path: String
        let handle: HDF5Handle
        let space: HDF5Handle
        /// The dataset's type in this machine's byte order.
        let memory: HDF5Handle
    }

    /// Reads datasets of a file that the library has open.
    init(_ handle: consuming HDF5Handle, file: SourceFile) {
        self.file = file
        open = Mutex(Open(file: handle, dataset: nil))
    }

    /// Fills `destination` with some elements of a dataset, counted in the order of its last axis first.
    func read(
        _ tensor: HDF5Tensor, elements: Range<Int>, size: Int, into destination: inout MutableRawSpan
    ) throws(HDF5Error) {
        let path = tensor.path
        let failure = unsafe destination.withUnsafeMutableBytes { target -> HDF5Error? in
            HDF5Library.locked {
                open.withLock { open -> HDF5Error? in
                    do throws(HDF5Error) {
                        if tensor.chunks == nil { try Self.select(tensor, &open, file: file.path) }
                        for block in HDF5Block.covering(elements, shape: tensor.shape) {
                            let place = (block.start - elements.lowerBound) * size
                            let room = unsafe UnsafeMutableRawBufferPointer(
                                rebasing: target[place..<place + block.count * size])
                            if let chunks = tensor.chunks {
                                try unsafe readChunks(block, of: tensor, chunks, &open, into: room)
                            } else {
                                try unsafe Self.read(block, &open, path: path, file: file.path, into: room)
                            }
                        }
                        return nil
                    } catch {
                        return error
                    }
                }
            }
        }
        if let failure { throw failure }
    }

    /// Opens a dataset, unless it is the one that is open.
    private static func select(
        _ tensor: HDF5Tensor, _ open: inout Open, file: String
    ) throws(HDF5Error) {
        let path = tensor.path
        if open.dataset?.path == path { return }
        open.dataset = nil
        guard let handle = HDF5Handle(H5Oopen_by_addr(open.file.id, haddr_t(tensor.address))),
            let space = HDF5Handle(H5Dget_space(handle.id)),
            let stored = HDF5Handle(H5Dget_type(handle.id)),
            let memory = HDF5Handle(H5Tcopy(stored.id))
        else { throw failure(file, path) }
        let kind = H5Tget_class(memory.id)
        if kind == H5T_INTEGER || kind == H5T_FLOAT {
            guard H5Tset_order(memory.id, H5T_ORDER_LE) >= 0 else { throw failure(file, path) }
        }
        open.dataset = Dataset(path: path, handle: handle, space: space, memory: memory)
    }

    private static func read(
        _ block: HDF5Block, _ open: inout Open, path: String, file: String,
        into room: UnsafeMutableRawBufferPointer
    ) throws(HDF5Error) {
        guard let dataset = open.dataset.take() else { return }
        var status: herr_t = -1
        let first = block.origin.map { hsize_t($0) }
        let counts = block.counts.map { hsize_t($0) }
        if counts.isEmpty {
            status = unsafe H5Dread(
                dataset.handle.id, dataset.memory.id, CHDF5All(), CHDF5All(), CHDF5Default(),
                room.baseAddress)
        } else if unsafe H5Sselect_hyperslab(dataset.space.id, H5S_SELECT_SET, first, nil, counts, nil) >= 0,
            let target = unsafe HDF5Handle(H5Screate_simple(Int32(counts.count), counts, nil))
        {
            status = unsafe H5Dread(
                dataset.handle.id, dataset.memory.id, target.id, dataset.space.id, CHDF5Default(),
                room.baseAddress)
        }
        open.dataset = consume dataset
        if status < 0 { throw failure(file, path) }
    }

    static func failure(_ file: String, _ path: String) -> HDF5Error {
        .library(file: file, path: path, doing: "read", reason: HDF5Library.takeError())
    }
}
