internal import CHDF5

/// How a dataset is cut into chunks, and how they are packed.
struct HDF5Chunks: Sendable {
    /// How many elements a chunk has on each axis.
    let sides: [Int]
    /// What was done to each chunk, in this order.
    let filters: [HDF5Filter]
    /// Whether chunks that reach over the dataset's edge are left unpacked.
    let isEdgePlain: Bool
    /// An element of what was never written.
    let fill: [UInt8]
    /// Whether elements have to be turned around.
    let isBigEndian: Bool
    /// Where they lie in the file.
    let stored: HDF5StoredChunks

    /// How many bytes an unpacked chunk has.
    var byteCount: Int { sides.reduce(fill.count, *) }

    /// The bytes of a chunk, its elements little-endian.
    ///
    /// - Parameters:
    ///   - stored: the chunk as it lies in the file; nil when it was never written.
    ///   - mask: a bit for each filter that was left out.
    ///   - isEdge: whether it reaches over the dataset's edge.
    /// - Returns: nil when it can't be unpacked to as many bytes as it has to have.
    func unpack(_ stored: [UInt8]?, mask: UInt32, isEdge: Bool) -> [UInt8]? {
        guard var bytes = stored else { return filled() }
        for (index, filter) in filters.enumerated().reversed() where !(isEdge && isEdgePlain) {
            guard mask & 1 << UInt32(index) == 0 else { continue }
            // Checksums that stand inside what this filter was given.
            let sums = filters.prefix(index).enumerated().count {
                $0.element == .fletcher32 && mask & 1 << UInt32($0.offset) == 0
            }
            guard let before = filter.undo(bytes, most: byteCount + 4 * sums) else { return nil }
            bytes = before
        }
        guard bytes.count == byteCount else { return nil }
        if isBigEndian { Self.turn(&bytes, size: fill.count) }
        return bytes
    }

    private func filled() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        if fill.contains(where: { $0 != 0 }) {
            for place in bytes.indices { bytes[place] = fill[place % fill.count] }
        }
        return bytes
    }

    private static func turn(_ bytes: inout [UInt8], size: Int) {
        for start in stride(from: 0, to: bytes.count, by: size) {
            for index in 0..<size / 2 { bytes.swapAt(start + index, start + size - 1 - index) }
        }
    }

    /// The chunks that a box of a dataset touches, by where they begin.
    func covering(_ box: HDF5Block) -> [[Int]] {
        var origins: [[Int]] = [[]]
        for (axis, side) in sides.enumerated() {
            let first = box.origin[axis] / side * side
            let starts = stride(from: first, to: box.origin[axis] + box.counts[axis], by: side)
            origins = origins.flatMap { origin in starts.map { origin + [$0] } }
        }
        return origins
    }

    /// Where the elements that a chunk and a box have in common lie in both, counted in elements: runs along the
    /// last axis.
    func runs(of box: HDF5Block, in origin: [Int]) -> [(source: Int, target: Int, count: Int)] {
        var runs = [(source: 0, target: 0, count: 1)]
        for axis in sides.indices {
            let low = max(box.origin[axis], origin[axis])
            let high = min(box.origin[axis] + box.counts[axis], origin[axis] + sides[axis])
            let isLast = axis == sides.count - 1
            runs = runs.flatMap { run in
                (isLast ? low..<low + 1 : low..<high).map { index in
                    (
                        source: run.source * sides[axis] + index - origin[axis],
                        target: run.target * box.counts[axis] + index - box.origin[axis],
                        count: isLast ? high - low : 1
                    )
                }
            }
        }
        return runs
    }
}

extension HDF5Chunks {
    /// How many elements may be packed together, where the dataset has fewer bytes.
    private static let largest = 1 << 24

    /// Reads a dataset's description of its chunks; nil when it has none.
    ///
    /// - Throws: ``HDF5Error`` for chunks that are too large, and for a filter that is not known.
    init?(
        _ created: borrowing HDF5Handle, type: borrowing HDF5Handle, isBigEndian: Bool, bytes: Int,
        stored: HDF5StoredChunks, path: String, file: SourceFile
    ) throws(HDF5Error) {
        guard H5Pget_layout(created.id) == H5D_CHUNKED else { return nil }
        var dimensions = [hsize_t](repeating: 0, count: 32)
        let rank = unsafe H5Pget_chunk(created.id, 32, &dimensions)
        sides = dimensions.prefix(Int(max(0, rank))).map { Int(clamping: $0) }
        let most = max(Self.largest, bytes)
        guard rank > 0, let elements = ElementType.elementCount(shape: sides), elements <= most else {
            throw .shape(
                file: file.path, path: path, found: "chunks of shape \(sides)",
                expected: "at most \(most) elements can be unpacked at once")
        }
        let size = H5Tget_size(type.id)
        var filters: [HDF5Filter] = []
        for index in 0..<max(0, H5Pget_nfilters(created.id)) {
            filters.append(
                try Self.filter(UInt32(index), created, size: size, path: path, file: file))
        }
        guard filters.count(where: { $0 == .deflate }) < 2 else {
            throw .filter(file: file.path, path: path, name: "gzip more than once")
        }
        self.filters = filters
        var (options, fill) = (UInt32(0), [UInt8](repeating: 0, count: size))
        var isFilled = H5D_FILL_VALUE_UNDEFINED
        guard unsafe H5Pget_chunk_opts(created.id, &options) >= 0,
            unsafe H5Pfill_value_defined(created.id, &isFilled) >= 0,
            unsafe isFilled == H5D_FILL_VALUE_UNDEFINED
                || H5Pget_fill_value(created.id, type.id, &fill) >= 0
        else {
            throw .library(
                file: file.path, path: path, doing: "asked for its chunks", reason: HDF5Library.takeError())
        }
        self.stored = stored
        isEdgePlain = options & 2 != 0
        (self.isBigEndian, self.fill) = (isBigEndian, isBigEndian ? fill.reversed() : fill)
    }

    private static func filter(
        _ index: UInt32, _ created: borrowing HDF5Handle, size: Int, path: String, file: SourceFile
    ) throws(HDF5Error) -> HDF5Filter {
        var (flags, settings, count) = (UInt32(0), UInt32(0), 8)
        var options = [UInt32](repeating: 0, count: count)
        var name = [CChar](repeating: 0, count: 64)
        let number = unsafe H5Pget_filter2(
            created.id, index, &flags, &count, &options, 64, &name, &settings)
        if let filter = HDF5Filter(number, options: Array(options.prefix(count)), size: size) {
            return filter
        }
        _ = HDF5Library.takeError()
        let words = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        throw .filter(
            file: file.path, path: path,
            name: words.isEmpty ? "filter \(number)" : "filter \(number) (\(words))")
    }
}
