/// Reading a transposed tensor without having all of it in memory.
///
/// A band of the result's rows is a band of the original's columns, so a reader that asks for large parts reads long
/// runs. Tensors that are transposed twice with rows added in between, as a head that has a column for each token is
/// when it grows, are read as they lie.
extension TensorExpression {
    func readTransposed(
        _ original: TensorExpression, _ bytes: Range<Int>, into destination: inout MutableRawSpan,
        _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        guard let size = type.byteSize else { throw .cannotTranspose(original.summary) }
        let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
        var overflows = 0
        var element = bytes.lowerBound / size
        let end = bytes.upperBound / size
        while element < end {
            let block = Block(element: element, end: end, height: height, width: width)
            let place = element * size - bytes.lowerBound
            var room = destination._mutatingExtracting(place..<place + block.count * size)
            overflows += try original.readTransposedBlock(
                block, into: &room, Target(width: block.columns.count, first: 0), onWork)
            element += block.count
        }
        return overflows
    }

    /// A rectangle of one matrix of a transposed tensor.
    private struct Block {
        /// Which matrix, where there are more than two axes.
        let matrix: Int
        let rows: Range<Int>
        var columns: Range<Int>
        var count: Int { rows.count * columns.count }

        /// The largest that begins at `element`, does not go beyond `end`, and lies in memory without a gap: whole rows,
        /// or a part of one.
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

        /// The same rows of other columns.
        func with(_ columns: Range<Int>) -> Block {
            var block = self
            block.columns = columns
            return block
        }
    }

    /// Where a rectangle goes: into rows of so many elements, from this column on.
    private struct Target {
        let width: Int
        var first: Int
    }

    /// Fills `destination` with a rectangle of what this tensor, a matrix or several, is when it is transposed.
    private func readTransposedBlock(
        _ block: Block, into destination: inout MutableRawSpan, _ target: Target,
        _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        guard case .made(let operation, let operands) = node else {
            return try gather(block, into: &destination, target, onWork)
        }
        switch operation {
        case .transposed: return try operands[0].readRows(block, into: &destination, target, onWork)
        case .joined where shape.count == 2:
            var (overflows, start) = (0, 0)
            for part in operands {
                let height = part.shape[0]
                let wanted = block.columns.clamped(to: start..<start + height)
                if !wanted.isEmpty {
                    let place = Target(
                        width: target.width,
                        first: target.first + wanted.lowerBound - block.columns.lowerBound)
                    let columns = wanted.lowerBound - start..<wanted.upperBound - start
                    overflows += try part.readTransposedBlock(
                        block.with(columns), into: &destination, place, onWork)
                }
                start += height
            }
            return overflows
        case .rows(let range) where shape.count == 2:
            let columns =
                block.columns.lowerBound + range.lowerBound..<block.columns.upperBound + range.lowerBound
            return try operands[0].readTransposedBlock(
                block.with(columns), into: &destination, target, onWork)
        case .derived(let rule) where shape.count == 2:
            return try readTransposedBlock(
                DerivedRows(of: operands[0], rule, cache), block, into: &destination, target, onWork)
        case .cast where shape.count == 2:
            return try readTransposedCast(operands[0], block, into: &destination, target, onWork)
        default: return try gather(block, into: &destination, target, onWork)
        }
    }

    /// The rectangle's rows as they lie in this tensor.
    private func readRows(
        _ block: Block, into destination: inout MutableRawSpan, _ target: Target,
        _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        guard let size = type.byteSize else { throw .cannotTranspose(summary) }
        let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
        var overflows = 0
        for row in block.rows {
            let start = ((block.matrix * height + row) * width + block.columns.lowerBound) * size
            let place = ((row - block.rows.lowerBound) * target.width + target.first) * size
            let count = block.columns.count * size
            var room = destination._mutatingExtracting(place..<place + count)
            overflows += try read(start..<start + count, into: &room, onWork: onWork)
        }
        return overflows
    }

    /// Rows that follow from others number by number: only those numbers are made, all rows at once.
    private func readTransposedBlock(
        _ made: DerivedRows, _ block: Block, into destination: inout MutableRawSpan, _ target: Target,
        _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        guard let size = type.byteSize else { throw .cannotTranspose(summary) }
        if case .gathered(let sources) = made.rule {
            return try pick(
                sources[block.columns], of: made.base.transposed(), rows: block.rows, into: &destination,
                target, onWork)
        }
        var overflows = 0
        var row = block.rows.lowerBound
        while row < block.rows.upperBound {
            let band = try made.band(of: row, onWork)
            let end = min(band.columns.upperBound, block.rows.upperBound)
            let start = (row - block.rows.lowerBound) * target.width * size
            var room = destination._mutatingExtracting(start..<destination.byteCount)
            let first = block.columns.lowerBound * band.columns.count + row - band.columns.lowerBound
            unsafe scatter(
                band.bytes.span.bytes, Runs(first: first, stride: band.columns.count, length: end - row),
                count: block.columns.count, size: size, into: &room, at: target.first, width: target.width)
            // Whoever reads everything reads each band's first number once.
            if row == band.columns.lowerBound && block.columns.lowerBound == 0 { overflows += band.overflows }
            row = end
        }
        return overflows
    }

    /// Some columns of a matrix in this order, each of its rows being read as a whole.
    private func pick(
        _ columns: ArraySlice<Int32>, of matrix: TensorExpression, rows: Range<Int>,
        into destination: inout MutableRawSpan, _ target: Target,
        _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        guard let size = type.byteSize else { throw .cannotTranspose(summary) }
        let stride = matrix.shape[1] * size
        var scratch = [UInt8](repeating: 0, count: stride)
        var overflows = 0
        for row in rows {
            var span = scratch.mutableSpan
            var whole = unsafe span.mutableBytes
            overflows += try matrix.read(
                row * stride..<(row + 1) * stride, into: &whole, onWork: onWork)
            let start = ((row - rows.lowerBound) * target.width + target.first) * size
            unsafe destination.withUnsafeMutableBytes { target in
                unsafe scratch.withUnsafeBytes { source in
                    for (index, column) in columns.enumerated() {
                        let place = Int(column) * size
                        unsafe UnsafeMutableRawBufferPointer(
                            rebasing: target[start + index * size..<start + (index + 1) * size]
                        ).copyMemory(from: .init(rebasing: source[place..<place + size]))
                    }
                }
            }
        }
        return overflows
    }

    private func readTransposedCast(
        _ original: TensorExpression, _ block: Block, into destination: inout MutableRawSpan,
        _ target: Target, _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        guard let from = original.type.byteSize, let to = type.byteSize else {
            throw .cannotCast(original.summary, to: type)
        }
        var scratch = [UInt8](repeating: 0, count: block.count * from)
        var span = scratch.mutableSpan
        var room = unsafe span.mutableBytes
        let width = block.columns.count
        var overflows = try original.readTransposedBlock(
            block, into: &room, Target(width: width, first: 0), onWork)
        for row in 0..<block.rows.count {
            let place = (row * target.width + target.first) * to
            var part = destination._mutatingExtracting(place..<place + width * to)
            overflows += FloatConversion.convert(
                room.bytes.extracting(row * width * from..<(row + 1) * width * from), original.type,
                to: &part, type)
        }
        return overflows
    }

    /// Each of this tensor's rows gives one run of neighbouring elements, which becomes a column.
    private func gather(
        _ block: Block, into destination: inout MutableRawSpan, _ target: Target,
        _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        guard let size = type.byteSize else { throw .cannotTranspose(summary) }
        let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
        let run = block.rows.count * size
        // How many bytes of the original are gathered before they are spread over the result's rows.
        let batch = max(1, min(block.columns.count, (1 << 18) / run))
        var scratch = [UInt8](repeating: 0, count: batch * run)
        var overflows = 0
        var column = block.columns.lowerBound
        while column < block.columns.upperBound {
            let count = min(batch, block.columns.upperBound - column)
            for index in 0..<count {
                let start = ((block.matrix * height + column + index) * width + block.rows.lowerBound) * size
                var span = scratch.mutableSpan
                var all = unsafe span.mutableBytes
                var room = all._mutatingExtracting(index * run..<(index + 1) * run)
                overflows += try read(start..<start + run, into: &room, onWork: onWork)
            }
            unsafe scatter(
                scratch.span.bytes, Runs(first: 0, stride: block.rows.count, length: block.rows.count),
                count: count, size: size, into: &destination,
                at: target.first + column - block.columns.lowerBound, width: target.width)
            column += count
        }
        return overflows
    }
}

/// Runs of elements: where the first begins, how far each is from the one before, and how long all are.
private struct Runs {
    let first: Int
    let stride: Int
    let length: Int
}

/// Writes runs of elements as neighbouring columns, from column `column` on, of rows that are `width` elements wide.
private func scatter(
    _ source: RawSpan, _ runs: Runs, count: Int, size: Int, into destination: inout MutableRawSpan,
    at column: Int, width: Int
) {
    switch size {
    case 1: scatter(UInt8.self, source, runs, count, into: &destination, column, width)
    case 2: scatter(UInt16.self, source, runs, count, into: &destination, column, width)
    case 4: scatter(UInt32.self, source, runs, count, into: &destination, column, width)
    default: scatter(UInt64.self, source, runs, count, into: &destination, column, width)
    }
}

private func scatter<Element: BitwiseCopyable>(
    _ type: Element.Type, _ source: RawSpan, _ runs: Runs, _ count: Int,
    into destination: inout MutableRawSpan, _ column: Int, _ width: Int
) {
    let size = MemoryLayout<Element>.size
    if count == 0 || runs.length == 0 { return }
    precondition(source.byteCount >= (runs.first + (count - 1) * runs.stride + runs.length) * size)
    precondition(column + count <= width)
    precondition(destination.byteCount >= ((runs.length - 1) * width + column + count) * size)
    unsafe destination.withUnsafeMutableBytes { target in
        unsafe source.withUnsafeBytes { origin in
            for row in 0..<runs.length {
                for run in 0..<count {
                    let element = unsafe origin.loadUnaligned(
                        fromByteOffset: (runs.first + run * runs.stride + row) * size, as: type)
                    unsafe target.storeBytes(
                        of: element, toByteOffset: (row * width + column + run) * size, as: type)
                }
            }
        }
    }
}
