/// Small whole numbers, as runs of one value and as groups of eight in as many bits as they need.
///
/// Source: Encodings.md of Apache Parquet's format, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".
struct ParquetRuns {
    private let bytes: [UInt8]
    private let end: Int
    private let width: Int
    private var position: Int
    /// How many values of the run are still to come, its value, and the next bit where its values differ.
    private var (left, value, bit) = (0, 0, 0)
    private var isPacked = false

    /// Numbers of `width` bits between two places of `bytes`.
    init(_ bytes: [UInt8], in range: Range<Int>, width: Int) {
        (self.bytes, self.width) = (bytes, width)
        (position, end) = (range.lowerBound, range.upperBound)
    }

    /// The next number.
    mutating func next() throws(ParquetFault) -> Int {
        // Some programs write no runs where there is only one value.
        guard width > 0 else { return 0 }
        while left == 0 { try readRun() }
        left -= 1
        guard isPacked else { return value }
        defer { bit += width }
        return Int(bytes.bits(at: bit, width: width))
    }

    private mutating func readRun() throws(ParquetFault) {
        guard position < end else { throw .damaged("a page has fewer levels or indices than values") }
        guard let head = bytes.varint(at: &position, end: end), head <= UInt64(UInt32.max) else {
            throw .damaged("a run of levels or indices has no length")
        }
        isPacked = head & 1 == 1
        left = Int(head >> 1) * (isPacked ? 8 : 1)
        let size = isPacked ? Int(head >> 1) * width : (width + 7) / 8
        guard size <= end - position else { throw .damaged("a run of levels or indices is cut off") }
        if isPacked {
            bit = position * 8
        } else {
            value = (0..<size).reduce(0) { $0 | Int(bytes[position + $1]) << (8 * $1) }
        }
        position += size
    }
}
