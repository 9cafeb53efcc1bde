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

    var fileRange: FileRange? { nil }

    var fingerprint: String? { "\(reader.file.identity) \(path)" }

    var origin: TensorOrigin? { TensorOrigin(file: reader.file, offset: address) }

    func read(_ bytes: Range<Int>, into destination: inout MutableRawSpan) throws(TensorError) {
        guard let size = type.byteSize else { preconditionFailure("datasets have whole bytes") }
        do {
            try reader.read(
                path, shape: shape, elements: bytes.lowerBound / size..<bytes.upperBound / size, size: size,
                into: &destination)
        } catch {
            throw .production(name: name, reason: error.description)
        }
    }
}

/// An open HDF5 file of which parts of datasets are read; the last dataset stays open.
final class HDF5Reader: Sendable {
    /// The file.
    let file: SourceFile
    private let open: Mutex<Open>

    private struct Open: ~Copyable {
        let file: HDF5Handle
        var dataset: Dataset?
    }

    private struct Dataset: ~Copyable {
        let path: String
        let handle: HDF5Handle
        let space: HDF5Handle
        /// The dataset's type in this machine's byte order.
        let memory: HDF5Handle
    }

    /// How many bytes of unpacked chunks are kept: a band of rows lies in several.
    private static let cacheSize = 32 << 20

    /// Reads datasets of a file that the library has open.
    init(_ handle: consuming HDF5Handle, file: SourceFile) {
        self.file = file
        open = Mutex(Open(file: handle, dataset: nil))
    }

    /// Fills `destination` with some elements of a dataset, counted in the order of its last axis first.
    func read(
        _ path: String, shape: [Int], elements: Range<Int>, size: Int, into destination: inout MutableRawSpan
    ) throws(HDF5Error) {
        let failure = unsafe destination.withUnsafeMutableBytes { target -> HDF5Error? in
            HDF5Library.locked {
                open.withLock { open -> HDF5Error? in
                    do throws(HDF5Error) {
                        try Self.select(path, &open, file: file.path)
                        for block in HDF5Block.covering(elements, shape: shape) {
                            let place = (block.start - elements.lowerBound) * size
                            let room = unsafe UnsafeMutableRawBufferPointer(
                                rebasing: target[place..<place + block.count * size])
                            try unsafe Self.read(block, &open, path: path, file: file.path, into: room)
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
        _ path: String, _ open: inout Open, file: String
    ) throws(HDF5Error) {
        if open.dataset?.path == path { return }
        open.dataset = nil
        guard let access = HDF5Handle(CHDF5DatasetAccess(cacheSize)),
            let handle = unsafe HDF5Handle(H5Dopen2(open.file.id, path, access.id)),
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

    private static func failure(_ file: String, _ path: String) -> HDF5Error {
        .library(file: file, path: path, doing: "read", reason: HDF5Library.takeError())
    }
}

/// A box of a dataset whose elements follow each other without a gap.
struct HDF5Block: Equatable {
    /// Its first element, counted from the dataset's start.
    let start: Int
    /// How many elements it has.
    let count: Int
    /// Where it begins on each axis.
    let origin: [Int]
    /// How far it reaches on each axis.
    let counts: [Int]

    /// As few boxes as hold a run of elements.
    static func covering(_ elements: Range<Int>, shape: [Int]) -> [HDF5Block] {
        if shape.isEmpty {
            return elements.isEmpty ? [] : [HDF5Block(start: 0, count: 1, origin: [], counts: [])]
        }
        var strides = [Int](repeating: 1, count: shape.count)
        for axis in strides.indices.dropLast().reversed() {
            strides[axis] = strides[axis + 1] * shape[axis + 1]
        }
        var blocks: [HDF5Block] = []
        var start = elements.lowerBound
        while start < elements.upperBound {
            let origin = shape.indices.map { start / strides[$0] % shape[$0] }
            let left = elements.upperBound - start
            let axis = strides.firstIndex { start.isMultiple(of: $0) && $0 <= left } ?? shape.count - 1
            let rows = min(left / strides[axis], shape[axis] - origin[axis])
            let counts = shape.indices.map { $0 < axis ? 1 : $0 == axis ? rows : shape[$0] }
            blocks.append(
                HDF5Block(start: start, count: rows * strides[axis], origin: origin, counts: counts))
            start += rows * strides[axis]
        }
        return blocks
    }
}
