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
