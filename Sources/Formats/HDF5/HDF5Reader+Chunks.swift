internal import CHDF5

extension HDF5Reader {
    /// Copies a box of a dataset out of its chunks.
    func readChunks(
        _ box: HDF5Block, of tensor: HDF5Tensor, _ chunks: HDF5Chunks, _ open: inout Open,
        into room: UnsafeMutableRawBufferPointer
    ) throws(HDF5Error) {
        let size = chunks.fill.count
        for origin in chunks.covering(box) {
            let chunk = try unpacked(at: origin, of: tensor, chunks, &open)
            for run in chunks.runs(of: box, in: origin) {
                let part = chunk[run.source * size..<(run.source + run.count) * size]
                unsafe UnsafeMutableRawBufferPointer(
                    rebasing: room[run.target * size..<(run.target + run.count) * size]
                ).copyBytes(from: part)
            }
        }
    }

    /// The bytes of a chunk, kept for the next box.
    private func unpacked(
        at origin: [Int], of tensor: HDF5Tensor, _ chunks: HDF5Chunks, _ open: inout Open
    ) throws(HDF5Error) -> [UInt8] {
        if let known = open.cache[origin] { return known }
        guard let dataset = open.dataset.take() else { return [] }
        let id = dataset.handle.id
        open.dataset = consume dataset
        let (stored, mask) = try stored(at: origin, of: id, path: tensor.path)
        let isEdge = zip(zip(origin, chunks.sides), tensor.shape).contains { $0.0 + $0.1 > $1 }
        guard let bytes = chunks.unpack(stored, mask: mask, isEdge: isEdge) else {
            throw .library(
                file: file.path, path: tensor.path, doing: "unpacked",
                reason: "the chunk at \(origin) does not have \(chunks.byteCount) bytes, or not these")
        }
        open.cache.keep(bytes, at: origin)
        return bytes
    }

    /// The bytes of a chunk as the library finds them in the file, and which filters were left out; no bytes for a
    /// chunk that was never written.
    private func stored(
        at origin: [Int], of dataset: hid_t, path: String
    ) throws(HDF5Error) -> ([UInt8]?, UInt32) {
        let place = origin.map { hsize_t($0) }
        var (count, mask) = (hsize_t(0), UInt32(0))
        guard unsafe H5Dget_chunk_info_by_coord(dataset, place, &mask, nil, &count) >= 0 else {
            throw Self.failure(file.path, path)
        }
        guard count > 0 else { return (nil, 0) }
        guard count <= file.size else {
            throw .library(
                file: file.path, path: path, doing: "read",
                reason: "the chunk at \(origin) has \(count) bytes, the file \(file.size)")
        }
        var bytes = [UInt8](repeating: 0, count: Int(count))
        let status = unsafe bytes.withUnsafeMutableBytes {
            unsafe H5Dread_chunk(dataset, CHDF5Default(), place, &mask, $0.baseAddress)
        }
        guard status >= 0 else { throw Self.failure(file.path, path) }
        return (bytes, mask)
    }
}

/// Unpacked chunks of one dataset: a band of rows lies in several.
struct HDF5ChunkCache {
    private var chunks: [[Int]: [UInt8]] = [:]
    private var byteCount = 0

    /// How many bytes are kept, or one chunk that is larger.
    private static let largest = 32 << 20

    subscript(origin: [Int]) -> [UInt8]? { chunks[origin] }

    mutating func keep(_ bytes: [UInt8], at origin: [Int]) {
        if byteCount + bytes.count > Self.largest { removeAll() }
        chunks[origin] = bytes
        byteCount += bytes.count
    }

    mutating func removeAll() { (chunks, byteCount) = ([:], 0) }
}
