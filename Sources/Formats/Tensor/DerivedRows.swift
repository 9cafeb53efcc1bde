internal import CKernels
internal import Dispatch
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
    private let cache: RowCache

    init(of base: TensorExpression, _ rule: RowRule, _ cache: RowCache?) {
        self.base = base
        self.rule = rule
        self.cache = cache ?? RowCache()
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
    func band(of column: Int) throws(UserFacingError) -> Band {
        let height = max(1, rule.count * base.type.bits / 8)
        let span = max(1, min(width, Self.bandSize / height))
        let columns = column / span * span..<min(width, (column / span + 1) * span)
        if let known = cache.lastBand.withLock({ $0 }), known.columns == columns { return known }
        let narrow = DerivedRows(of: try base.transposed().rows(columns).transposed(), rule, nil)
        var bytes = [UInt8](repeating: 0, count: columns.count * height)
        var all = bytes.mutableSpan
        var room = unsafe all.mutableBytes
        let overflows = try narrow.read(0..<room.byteCount, into: &room)
        let band = Band(columns: columns, bytes: bytes, overflows: overflows)
        cache.lastBand.withLock { $0 = band }
        return band
    }

    /// How many bytes of rows are read at a time where all rows are needed.
    private static let blockSize = 4 << 20

    /// Fills `destination` with some bytes of the rows.
    ///
    /// - Returns: how many finite numbers became infinite in the base's type.
    func read(_ bytes: Range<Int>, into destination: inout MutableRawSpan) throws(UserFacingError) -> Int {
        if bytes.isEmpty { return 0 }
        let stride = width * base.type.bits / 8
        let rows = bytes.lowerBound / stride..<(bytes.upperBound + stride - 1) / stride
        if case .gathered(let sources) = rule {
            return try gather(sources, bytes, stride: stride, into: &destination)
        }
        let numbers = try make(rows)
        var converted = [UInt8](repeating: 0, count: rows.count * stride)
        var span = converted.mutableSpan
        var room = unsafe span.mutableBytes
        let overflows = unsafe FloatConversion.convert(numbers.span.bytes, .f64, to: &room, base.type)
        let start = bytes.lowerBound - rows.lowerBound * stride
        unsafe destination.withUnsafeMutableBytes { target in
            unsafe converted.withUnsafeBytes { source in
                unsafe target.copyMemory(from: .init(rebasing: source[start..<start + bytes.count]))
            }
        }
        return overflows
    }

    private func gather(
        _ sources: [Int32], _ bytes: Range<Int>, stride: Int, into destination: inout MutableRawSpan
    ) throws(UserFacingError) -> Int {
        var place = bytes.lowerBound
        var overflows = 0
        while place < bytes.upperBound {
            let inRow = place % stride
            let count = min(stride - inRow, bytes.upperBound - place)
            let start = base.byteOffset(ofRow: Int(sources[place / stride])) + inRow
            var room = destination._mutatingExtracting(
                place - bytes.lowerBound..<place - bytes.lowerBound + count)
            overflows += try base.read(start..<start + count, into: &room)
            place += count
        }
        return overflows
    }

    /// Some of the rows, in double precision.
    private func make(_ rows: Range<Int>) throws(UserFacingError) -> [Double] {
        var result = [Double](repeating: 0, count: rows.count * width)
        switch rule {
        case .gathered: break
        case .combined(let combinations): try combine(combinations, rows, &result)
        case .mean(let range, _):
            let mean = try mean(of: range)
            for row in 0..<rows.count {
                for column in 0..<width { result[row * width + column] = mean[column] }
            }
        case .sampled(let sample): try draw(sample, rows, &result)
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
        _ sample: RowSample, _ rows: Range<Int>, _ result: inout [Double]
    ) throws(UserFacingError) {
        let mean = try mean(of: sample.range)
        let scale = (sample.variance / Double(sample.range.count)).squareRoot()
        let centre = mean.map { Float($0) }
        let size = max(1, (rows.count + 15) / 16)
        let shares = stride(from: rows.lowerBound, to: rows.upperBound, by: size).map { first in
            NoiseShare(rows: first..<min(first + size, rows.upperBound), width: width, seed: sample.seed)
        }
        try forEachBlock(of: sample.range) { first, count, numbers in
            var centred = Array(numbers[..<(count * width)])
            for row in 0..<count {
                for column in 0..<width { centred[row * width + column] -= centre[column] }
            }
            let block = centred
            DispatchQueue.concurrentPerform(iterations: shares.count) { share in
                shares[share].add(block, first: first, count: count)
            }
        }
        for share in shares {
            let sums = share.sums.withLock { $0 }
            for place in sums.indices {
                let index = (share.rows.lowerBound - rows.lowerBound) * width + place
                result[index] = mean[place % width] + scale * Double(sums[place])
            }
        }
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
        of range: Range<Int>, _ visit: (_ first: Int, _ count: Int, _ numbers: [Float]) -> Void
    ) throws(UserFacingError) {
        let height = max(1, Self.blockSize / max(width * 4, 1))
        var numbers = [Float](repeating: 0, count: min(height, range.count) * width)
        var first = range.lowerBound
        while first < range.upperBound {
            let count = min(height, range.upperBound - first)
            var span = numbers.mutableSpan
            var room = span._mutatingExtracting(0..<count * width)
            try base.floats(first * width..<(first + count) * width, into: &room)
            visit(first - range.lowerBound, count, numbers)
            first += count
        }
    }
}

/// What reading some derived rows finds out that the next read of the same rows needs again.
final class RowCache: Sendable {
    /// The mean of rows, once it is known.
    fileprivate let mean = Mutex<[Double]?>(nil)
    /// The last band that was made: a reader of columns wants more of it next.
    fileprivate let lastBand = Mutex<DerivedRows.Band?>(nil)
}

/// Some of the rows that are drawn, as one thread sums them; each row's sum is the same whoever has it.
private final class NoiseShare: Sendable {
    let rows: Range<Int>
    let sums: Mutex<[Float]>
    private let width: Int
    private let seed: UInt64

    init(rows: Range<Int>, width: Int, seed: UInt64) {
        self.rows = rows
        self.width = width
        self.seed = seed
        sums = Mutex([Float](repeating: 0, count: rows.count * width))
    }

    /// Adds zᵢ (xᵢ − mean) for some source rows, from which the mean has been taken.
    func add(_ centred: [Float], first: Int, count: Int) {
        var normals: [Float] = []
        normals.reserveCapacity(rows.count * count)
        for row in rows {
            for source in first..<first + count {
                normals.append(Float(CounterNoise.normal(seed, UInt64(row), UInt64(source))))
            }
        }
        precondition(centred.count >= count * width)
        sums.withLock { sums in
            unsafe ck_add_products(&sums, normals, centred, rows.count, count, width)
        }
    }
}
