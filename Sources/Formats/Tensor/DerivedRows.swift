internal import Synchronization

/// Rows made of another tensor's rows, when they are read.
///
/// Each row follows from the rule alone, whichever others are made with it, so parts can be read in any order.
struct DerivedRows {
    /// The tensor whose rows they are made of.
    let base: TensorExpression
    /// How.
    let rule: RowRule
    /// How many numbers a row has.
    let width: Int
    /// What earlier reads of the same rows have found.
    private let cache: ReadCache

    init(of base: TensorExpression, _ rule: RowRule, _ cache: ReadCache?) {
        self.base = base
        self.rule = rule
        self.cache = cache ?? ReadCache()
        width = base.elementCount / max(base.shape.first ?? 1, 1)
    }

    /// All rows' numbers in neighbouring columns.
    struct Band: Sendable {
        /// Which columns.
        let columns: Range<Int>
        /// The rows, one behind the other.
        let bytes: [UInt8]
        /// How many finite numbers became infinite.
        let overflows: Int
    }

    /// How many bytes a band has at most, or one column more than that.
    private static let bandSize = 8 << 20

    /// The band that a column is in; its numbers follow from the same columns of the base alone.
    func band(of column: Int, _ onWork: WorkObserver) throws(UserFacingError) -> Band {
        let height = max(1, rule.count * base.type.bits / 8)
        let span = max(1, min(width, Self.bandSize / height))
        let columns = column / span * span..<min(width, (column / span + 1) * span)
        if let known = cache.lastBand.withLock({ $0 }), known.columns == columns { return known }
        let narrow = DerivedRows(of: try base.transposed().rows(columns).transposed(), rule, nil)
        var bytes = [UInt8](repeating: 0, count: columns.count * height)
        var all = bytes.mutableSpan
        var room = unsafe all.mutableBytes
        let overflows = try narrow.read(0..<room.byteCount, into: &room, onWork)
        let band = Band(columns: columns, bytes: bytes, overflows: overflows)
        cache.lastBand.withLock { $0 = band }
        return band
    }

    /// How many bytes the numbers of rows have that are made at a time.
    private static let doublesSize = 2 << 20

    /// Fills `destination` with some bytes of the rows.
    ///
    /// - Returns: how many finite numbers became infinite in the base's type.
    func read(
        _ bytes: Range<Int>, into destination: inout MutableRawSpan, _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        if bytes.isEmpty { return 0 }
        let stride = width * base.type.bits / 8
        let rows = bytes.lowerBound / stride..<(bytes.upperBound + stride - 1) / stride
        if case .gathered(let sources) = rule {
            return try gather(sources, bytes, stride: stride, into: &destination, onWork)
        }
        var overflows = 0
        let height = max(1, Self.doublesSize / max(width * 8, 1))
        for first in Swift.stride(from: rows.lowerBound, to: rows.upperBound, by: height) {
            let some = first..<min(first + height, rows.upperBound)
            let numbers = try make(some, onWork)
            var converted = [UInt8](repeating: 0, count: some.count * stride)
            var span = converted.mutableSpan
            var room = unsafe span.mutableBytes
            overflows += unsafe FloatConversion.convert(numbers.span.bytes, .f64, to: &room, base.type)
            let wanted = bytes.clamped(to: some.lowerBound * stride..<some.upperBound * stride)
            var target = destination._mutatingExtracting(
                wanted.lowerBound - bytes.lowerBound..<wanted.upperBound - bytes.lowerBound)
            let start = wanted.lowerBound - some.lowerBound * stride
            unsafe target.withUnsafeMutableBytes { target in
                unsafe converted.withUnsafeBytes { source in
                    unsafe target.copyMemory(from: .init(rebasing: source[start..<start + wanted.count]))
                }
            }
        }
        return overflows
    }

    private func gather(
        _ sources: [Int32], _ bytes: Range<Int>, stride: Int, into destination: inout MutableRawSpan,
        _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        var place = bytes.lowerBound
        var overflows = 0
        while place < bytes.upperBound {
            let inRow = place % stride
            let count = min(stride - inRow, bytes.upperBound - place)
            let start = base.byteOffset(ofRow: Int(sources[place / stride])) + inRow
            var room = destination._mutatingExtracting(
                place - bytes.lowerBound..<place - bytes.lowerBound + count)
            overflows += try base.read(start..<start + count, into: &room, onWork: onWork)
            place += count
        }
        return overflows
    }

    /// Some of the rows, in double precision.
    private func make(_ rows: Range<Int>, _ onWork: WorkObserver) throws(UserFacingError) -> [Double] {
        var result = [Double](repeating: 0, count: rows.count * width)
        switch rule {
        case .gathered: break
        case .combined(let combinations): try combine(combinations, rows, &result)
        case .mean(let range, _):
            let mean = try mean(of: range)
            for row in 0..<rows.count {
                for column in 0..<width { result[row * width + column] = mean[column] }
            }
        case .sampled(let sample): try draw(sample, rows, &result, onWork)
        }
        return result
    }

    private func combine(
        _ combinations: RowCombinations, _ rows: Range<Int>, _ result: inout [Double]
    ) throws(UserFacingError) {
        var source = [Float](repeating: 0, count: width)
        for (index, row) in rows.enumerated() {
            for place in combinations.places(of: row) {
                let start = Int(combinations.rows[place]) * width
                var room = source.mutableSpan
                try base.floats(start..<start + width, into: &room)
                let weight = Double(combinations.weights[place])
                for column in 0..<width { result[index * width + column] += weight * Double(source[column]) }
            }
        }
    }

    /// Draws rows as mean + √(variance/n) Σ zᵢ (xᵢ − mean) over the n rows xᵢ, which has the covariance of the rows
    /// times the variance without ever having that matrix; zᵢ are standard normal.
    private func draw(
        _ sample: RowSample, _ rows: Range<Int>, _ result: inout [Double], _ onWork: WorkObserver
    ) throws(UserFacingError) {
        let mean = try mean(of: sample.range)
        let scale = (sample.variance / Double(sample.range.count)).squareRoot()
        var row = rows.lowerBound
        while row < rows.upperBound {
            let draws = try draws(around: row, sample, mean, onWork)
            while row < min(rows.upperBound, draws.rows.upperBound) {
                let start = (row - rows.lowerBound) * width
                draws.draw(row, mean: mean, scale: scale, into: &result[start..<start + width])
                row += 1
            }
        }
        // Rows are read in order, mostly, so that nobody wants the last ones again.
        if rows.upperBound == sample.count { cache.lastDraws.withLock { $0 = nil } }
    }

    /// The sums of a row and others that are made with it.
    private func draws(
        around row: Int, _ sample: RowSample, _ mean: [Double], _ onWork: WorkObserver
    ) throws(UserFacingError) -> RowDraws {
        if let known = cache.lastDraws.withLock({ $0 }), known.rows.contains(row) { return known }
        cache.lastDraws.withLock { $0 = nil }
        let draws = RowDraws(around: row, of: sample.count, width: width, seed: sample.seed)
        let center = mean.map { Float($0) }
        try forEachBlock(of: sample.range) { (first, count, numbers) throws(UserFacingError) in
            draws.add(numbers, first: first, count: count, minus: center)
            try onWork(RowSample.work(rows: draws.rows.count, sources: count, width: width))
        }
        cache.lastDraws.withLock { $0 = draws }
        return draws
    }

    /// The mean of a range of rows.
    private func mean(of range: Range<Int>) throws(UserFacingError) -> [Double] {
        if let known = cache.mean.withLock({ $0 }) { return known }
        var sum = [Double](repeating: 0, count: width)
        try forEachBlock(of: range) { _, count, numbers in
            for row in 0..<count {
                for column in 0..<width { sum[column] += Double(numbers[row * width + column]) }
            }
        }
        let result = sum.map { $0 / Double(range.count) }
        cache.mean.withLock { $0 = result }
        return result
    }

    /// Reads a range of rows in bounded memory.
    private func forEachBlock(
        of range: Range<Int>,
        _ visit: (_ first: Int, _ count: Int, _ numbers: [Float]) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        let height = RowDraws.blockHeight(width: width)
        var numbers = [Float](repeating: 0, count: min(height, range.count) * width)
        var first = range.lowerBound
        while first < range.upperBound {
            let count = min(height, range.upperBound - first)
            var span = numbers.mutableSpan
            var room = span._mutatingExtracting(0..<count * width)
            try base.floats(first * width..<(first + count) * width, into: &room)
            try visit(first - range.lowerBound, count, numbers)
            first += count
        }
    }
}

/// What reading some of a tensor finds out of whole tensors, and the next read needs again.
final class ReadCache: Sendable {
    /// The weights of both ends of an arc.
    let arc = Mutex<[Float]?>(nil)
    /// What is kept of task vectors.
    let thinning = Mutex<[Thinning]?>(nil)
    /// The mean of rows, once it is known.
    fileprivate let mean = Mutex<[Double]?>(nil)
    /// The last rows that were drawn: they are drawn many at a time.
    fileprivate let lastDraws = Mutex<RowDraws?>(nil)
    /// The last band that was made: a reader of columns wants more of it next.
    fileprivate let lastBand = Mutex<DerivedRows.Band?>(nil)
}
