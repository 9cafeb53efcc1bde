/// How a dataset is cut into chunks, how they are packed, and where they lie in the file.
struct HDF5Chunks: Sendable {
    /// A chunk as it lies in the file.
    struct Chunk: Sendable {
        /// Where it begins in the file.
        let offset: Int
        /// How many bytes it has, packed.
        let count: Int
        /// A bit for each filter that was left out.
        let mask: UInt32
    }

    /// The dataset's dimensions.
    let shape: [Int]
    /// How far the dataset may grow on each axis; nil where that is without limit.
    let maximum: [Int?]
    /// How many elements a chunk has on each axis.
    let sides: [Int]
    /// How many bytes an element has.
    let elementSize: Int
    /// What was done to each chunk, in this order.
    let filters: [HDF5Filter]
    /// Whether chunks that reach over the dataset's edge are left unpacked.
    let isEdgePlain: Bool
    /// How many bytes all of them have in the file.
    private(set) var storedByteCount = 0
    /// The chunks by their numbers.
    private var chunks: [Int: Chunk] = [:]

    /// How many elements may be packed together, where the dataset has fewer bytes.
    private static let largest = 1 << 24

    /// Chunks of these sides, the last of which is how many bytes an element has, of which none is known yet.
    init(
        sides: [Int], bytes: Int, type: HDF5Datatype, space: HDF5Dataspace, filters: [HDF5Filter],
        isEdgePlain: Bool
    ) throws(UserFacingError) {
        let shape = space.shape ?? []
        guard sides.count > 1, sides.count == shape.count + 1, sides.last == type.size,
            sides.allSatisfy({ $0 > 0 }), let size = ElementType.elementCount(shape: sides),
            size <= UInt32.max
        else {
            throw .damagedHDF5(
                "a dataset of \(shape.count) dimensions has chunks of \(sides.dropLast()) elements")
        }
        let most = max(Self.largest, bytes)
        guard size / type.size <= most else {
            throw .hdf5Shape(
                "chunks of shape \(sides.dropLast())",
                expected: "at most \(most) elements can be unpacked at once")
        }
        (self.shape, maximum, self.sides) = (shape, space.maximum, sides.dropLast())
        (elementSize, self.filters, self.isEdgePlain) = (type.size, filters, isEdgePlain)
    }

    /// How many bytes an unpacked chunk has.
    var byteCount: Int { sides.reduce(elementSize, *) }

    /// The chunk of a number; nil when it was never written.
    subscript(number: Int) -> Chunk? { chunks[number] }

    /// The number of the chunk that begins at an element: chunks are counted along the last axis first.
    func number(of origin: [Int]) -> Int {
        zip(zip(origin, sides), shape).reduce(0) { number, axis in
            let ((start, side), length) = axis
            return number * ((length - 1) / side + 1) + start / side
        }
    }

    /// Adds the chunk that begins at an element; false where there is one.
    mutating func insert(_ chunk: Chunk, at origin: [Int]) -> Bool {
        storedByteCount += chunk.count
        return chunks.updateValue(chunk, forKey: number(of: origin)) == nil
    }

    /// The bytes of a chunk, as the file has them and unpacked.
    ///
    /// - Parameters:
    ///   - stored: the chunk as it lies in the file.
    ///   - mask: a bit for each filter that was left out.
    ///   - origin: the element at which it begins.
    /// - Returns: nil when it can't be unpacked to as many bytes as it has to have.
    func unpack(_ stored: [UInt8], mask: UInt32, at origin: [Int]) -> [UInt8]? {
        let isEdge = zip(zip(origin, sides), shape).contains { $0.0 + $0.1 > $1 }
        var bytes = stored
        for (index, filter) in filters.enumerated().reversed() where !(isEdge && isEdgePlain) {
            guard mask & 1 << UInt32(index) == 0 else { continue }
            // Checksums that stand inside what this filter was given.
            let sums = filters.prefix(index).enumerated().count {
                $0.element == .fletcher32 && mask & 1 << UInt32($0.offset) == 0
            }
            guard let before = filter.undo(bytes, most: byteCount + 4 * sums) else { return nil }
            bytes = before
        }
        return bytes.count == byteCount ? bytes : nil
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
