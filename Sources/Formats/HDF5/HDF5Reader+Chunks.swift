extension HDF5Reader {
    /// Copies a box of a dataset out of its chunks.
    func readChunks(
        _ box: HDF5Block, of tensor: HDF5Tensor, _ chunks: HDF5Chunks, _ open: inout Open,
        into room: UnsafeMutableRawBufferPointer
    ) throws(HDF5Error) {
        let size = chunks.fill.count
        open.cache.select(tensor.path)
        for origin in chunks.covering(box) {
            let runs = chunks.runs(of: box, in: origin)
            guard let first = runs.first, let last = runs.last else { continue }
            let wanted = first.source * size..<(last.source + last.count) * size
            let bytes = try part(wanted, at: origin, of: tensor, chunks, &open)
            for run in runs {
                let start = run.source * size - wanted.lowerBound
                unsafe UnsafeMutableRawBufferPointer(
                    rebasing: room[run.target * size..<(run.target + run.count) * size]
                ).copyBytes(
                    from: bytes[bytes.startIndex + start..<bytes.startIndex + start + run.count * size])
            }
        }
    }

    /// A part of a chunk's bytes: straight from the file where they lie there as they are.
    private func part(
        _ wanted: Range<Int>, at origin: [Int], of tensor: HDF5Tensor, _ chunks: HDF5Chunks,
        _ open: inout Open
    ) throws(HDF5Error) -> ArraySlice<UInt8> {
        guard chunks.filters.isEmpty, !chunks.isBigEndian, let stored = chunks.stored[origin],
            stored.count == chunks.byteCount
        else { return try unpacked(at: origin, of: tensor, chunks, &open)[wanted] }
        do {
            return try file.bytes(at: stored.offset + wanted.lowerBound, count: wanted.count)[...]
        } catch {
            throw .file(error)
        }
    }

    /// The bytes of a chunk, kept for the next box.
    private func unpacked(
        at origin: [Int], of tensor: HDF5Tensor, _ chunks: HDF5Chunks, _ open: inout Open
    ) throws(HDF5Error) -> [UInt8] {
        if let known = open.cache[origin] { return known }
        open.cache.makeRoom(for: chunks.byteCount)
        let stored = chunks.stored[origin]
        let packed: [UInt8]?
        do {
            packed = try stored.map { chunk throws(FileError) in
                try file.bytes(at: chunk.offset, count: chunk.count)
            }
        } catch {
            throw .file(error)
        }
        let isEdge = zip(zip(origin, chunks.sides), tensor.shape).contains { $0.0 + $0.1 > $1 }
        guard let bytes = chunks.unpack(packed, mask: stored?.mask ?? 0, isEdge: isEdge) else {
            throw .library(
                file: file.path, path: tensor.path, doing: "unpacked",
                reason: "the chunk at \(origin) does not have \(chunks.byteCount) bytes, or not these")
        }
        open.cache.keep(bytes, at: origin)
        return bytes
    }
}

/// Unpacked chunks of one dataset: a band of rows lies in several.
struct HDF5ChunkCache {
    private var chunks: [[Int]: [UInt8]] = [:]
    private var byteCount = 0
    private var path: String?

    /// How many bytes are kept, or one chunk that is larger.
    private static let largest = 32 << 20

    subscript(origin: [Int]) -> [UInt8]? { chunks[origin] }

    /// Forgets what is kept of another dataset than this.
    mutating func select(_ path: String) {
        if self.path != path { removeAll() }
        self.path = path
    }

    /// Forgets what is kept, where so many bytes more would be too many.
    mutating func makeRoom(for count: Int) {
        if byteCount + count > Self.largest { removeAll() }
    }

    mutating func keep(_ bytes: [UInt8], at origin: [Int]) {
        chunks[origin] = bytes
        byteCount += bytes.count
    }

    private mutating func removeAll() { (chunks, byteCount) = ([:], 0) }
}
