/// Where the chunks of a dataset lie in the file.
///
/// They are found without the library: where an index is damaged, its ways to ask for a chunk's size and for its
/// bytes disagree, and it writes as many bytes as it finds.
struct HDF5StoredChunks: Sendable {
    /// A chunk as it lies in the file.
    struct Chunk: Sendable {
        /// Where it begins in the file.
        let offset: Int
        /// How many bytes it has, packed.
        let count: Int
        /// A bit for each filter that was left out.
        let mask: UInt32
    }

    private var chunks: [[Int]: Chunk] = [:]
    /// How many bytes all of them have.
    private(set) var byteCount = 0

    /// The chunk that begins at an element; nil when it was never written.
    subscript(origin: [Int]) -> Chunk? { chunks[origin] }

    /// Adds the chunk that begins at an element.
    mutating func add(_ chunk: Chunk, at origin: [Int]) throws(HDF5Refusal) {
        let (sum, overflow) = byteCount.addingReportingOverflow(chunk.count)
        guard !overflow, chunks.updateValue(chunk, forKey: origin) == nil else {
            throw .damaged("an index has two chunks that begin at \(origin)")
        }
        byteCount = sum
    }
}

extension HDF5ChunkIndex {
    /// Notes where a chunk is; one beyond the dataset's edge is of no use.
    ///
    /// - Parameters:
    ///   - scaled: how many chunks lie before it on each axis.
    ///   - address: where it is; nil when it was never written.
    ///   - count: how many bytes it has there.
    ///   - mask: a bit for each filter that was left out.
    ///   - checker: what has the file.
    /// - Throws: ``HDF5Refusal`` when it reaches beyond the file.
    func add(
        _ scaled: [Int], address: Int?, count: Int, mask: UInt32, to checker: inout HDF5Checker
    ) throws(HDF5Refusal) {
        guard let address else { return }
        var origin: [Int] = []
        for ((index, side), length) in zip(zip(scaled, sides), extent.shape) {
            guard length > 0, index <= (length - 1) / side else { return }
            origin.append(index * side)
        }
        let base = checker.superblock.base
        let size = checker.file.size - base
        guard address <= size, count <= size - address, count > 0 else {
            throw .damaged("the chunk at \(origin) has \(count) bytes from \(address) on, the file \(size)")
        }
        let chunk = HDF5StoredChunks.Chunk(offset: base + address, count: count, mask: mask)
        try checker.found.chunks.add(chunk, at: origin)
    }

    /// How many bytes an unpacked chunk has.
    var byteCount: Int { sides.reduce(1, *) }

    /// How many chunks there may be on each axis; nil when that is without limit.
    var grid: [Int]? {
        let counts = zip(extent.largest, sides).map { largest, side in
            largest.map { $0 / side + ($0 % side == 0 ? 0 : 1) }
        }
        let known = counts.compactMap(\.self)
        return known.count == counts.count && ElementType.elementCount(shape: known) != nil ? known : nil
    }

    /// How many chunks lie before one on each axis, which is the so-manieth of a grid.
    static func scaled(_ number: Int, in grid: [Int]) -> [Int] {
        var (rest, scaled) = (number, grid)
        for axis in grid.indices.reversed() {
            scaled[axis] = rest % grid[axis]
            rest /= grid[axis]
        }
        return scaled
    }
}
