/// Reading a transposed tensor without having all of it in memory.
///
/// A band of the result's rows is a band of the original's columns: each of the original's rows gives one
/// run of neighbouring elements, so a reader that asks for large parts reads long runs.
extension TensorExpression {
    func readTransposed(
        _ original: TensorExpression, _ bytes: Range<Int>, into destination: inout MutableRawSpan
    ) throws(TensorError) -> Int {
        guard let size = type.byteSize else { throw .transpose(original.summary) }
        let width = shape[shape.count - 1]
        var overflows = 0
        var element = bytes.lowerBound / size
        let end = bytes.upperBound / size
        while element < end {
            let block = Block(element: element, end: end, height: shape[shape.count - 2], width: width)
            let place = element * size - bytes.lowerBound
            var room = destination._mutatingExtracting(place..<place + block.count * size)
            overflows += try read(block, of: original, size: size, into: &room)
            element += block.count
        }
        return overflows
    }

    /// A rectangle of one matrix of the result that lies in its memory without a gap: whole rows, or a part of one.
    private struct Block {
        /// Which matrix, where there are more than two axes.
        let matrix: Int
        let rows: Range<Int>
        let columns: Range<Int>
        var count: Int { rows.count * columns.count }

        /// The largest that begins at `element` and does not go beyond `end`.
        init(element: Int, end: Int, height: Int, width: Int) {
            matrix = element / (height * width)
            let row = element / width % height
            let column = element % width
            let available = end - element
            if column == 0 && available >= width {
                rows = row..<min(height, row + available / width)
                columns = 0..<width
            } else {
                rows = row..<row + 1
                columns = column..<min(width, column + available)
            }
        }
    }

    private func read(
        _ block: Block, of original: TensorExpression, size: Int, into destination: inout MutableRawSpan
    ) throws(TensorError) -> Int {
        let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
        let run = block.rows.count * size
        let batch = max(1, min(block.columns.count, Self.transposeScratch / run))
        var scratch = [UInt8](repeating: 0, count: batch * run)
        var overflows = 0
        var column = block.columns.lowerBound
        while column < block.columns.upperBound {
            let count = min(batch, block.columns.upperBound - column)
            for index in 0..<count {
                let start = ((block.matrix * width + column + index) * height + block.rows.lowerBound) * size
                var span = scratch.mutableSpan
                var all = unsafe span.mutableBytes
                var room = all._mutatingExtracting(index * run..<(index + 1) * run)
                overflows += try original.read(start..<start + run, into: &room)
            }
            unsafe scatter(
                scratch.span.bytes, runs: count, length: block.rows.count, size: size, into: &destination,
                at: column - block.columns.lowerBound, width: block.columns.count)
            column += count
        }
        return overflows
    }

    /// How many bytes of the original are gathered before they are spread over the result's rows.
    private static let transposeScratch = 1 << 18
}

/// Writes `runs` runs of `length` elements each as neighbouring columns, from column `first` on, of rows
/// that are `width` elements wide.
private func scatter(
    _ source: RawSpan, runs: Int, length: Int, size: Int, into destination: inout MutableRawSpan,
    at first: Int, width: Int
) {
    switch size {
    case 1: scatter(UInt8.self, source, runs, length, into: &destination, first, width)
    case 2: scatter(UInt16.self, source, runs, length, into: &destination, first, width)
    case 4: scatter(UInt32.self, source, runs, length, into: &destination, first, width)
    default: scatter(UInt64.self, source, runs, length, into: &destination, first, width)
    }
}

private func scatter<Element: BitwiseCopyable>(
    _ type: Element.Type, _ source: RawSpan, _ runs: Int, _ length: Int,
    into destination: inout MutableRawSpan, _ first: Int, _ width: Int
) {
    let size = MemoryLayout<Element>.size
    precondition(source.byteCount >= runs * length * size && first + runs <= width)
    precondition(destination.byteCount >= length * width * size)
    unsafe destination.withUnsafeMutableBytes { target in
        unsafe source.withUnsafeBytes { origin in
            for row in 0..<length {
                for run in 0..<runs {
                    let element = unsafe origin.loadUnaligned(
                        fromByteOffset: (run * length + row) * size, as: type)
                    unsafe target.storeBytes(
                        of: element, toByteOffset: (row * width + first + run) * size, as: type)
                }
            }
        }
    }
}
