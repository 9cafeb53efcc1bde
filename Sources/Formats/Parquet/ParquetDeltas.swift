/// Whole numbers as differences from one to the next, in blocks that say how many bits theirs need.
///
/// Source: Encodings.md of Apache Parquet's format, "Delta Encoding (DELTA_BINARY_PACKED = 5)".
struct ParquetDeltas {
    /// How many numbers are still to come.
    private(set) var left: Int
    private let bytes: [UInt8]
    private let partCount: Int
    private let partSize: Int
    private var position: Int
    private var value: Int64
    private var isFirst = true
    /// The least difference of the block, where the bits of its parts are told, and the next part.
    private var (least, widths, part): (Int64, Int, Int)
    /// How many numbers of the part are still to come, the bits of each, and the next one's first.
    private var (leftOfPart, width, bit) = (0, 0, 0)

    /// Begins at a place of `bytes`.
    init(_ bytes: [UInt8], from start: Int) throws(ParquetFault) {
        var position = start
        func number() throws(ParquetFault) -> Int {
            guard let value = bytes.varint(at: &position, end: bytes.count), value <= UInt64(Int32.max) else {
                throw .damaged("a page has no head of differences")
            }
            return Int(value)
        }
        let blockSize = try number()
        partCount = try number()
        left = try number()
        guard partCount > 0, blockSize > 0, blockSize % 128 == 0, blockSize % partCount == 0,
            (blockSize / partCount) % 32 == 0
        else { throw .damaged("a page has blocks of \(blockSize) differences in \(partCount) parts") }
        partSize = blockSize / partCount
        guard let first = bytes.varint(at: &position, end: bytes.count) else { throw .cutOff }
        value = Self.signed(first)
        (self.bytes, self.position) = (bytes, position)
        (least, widths, part) = (0, 0, partCount)
    }

    /// The next number.
    mutating func next() throws(ParquetFault) -> Int64 {
        guard left > 0 else { throw .damaged("a page has fewer differences than values") }
        left -= 1
        if isFirst {
            isFirst = false
            return value
        }
        if leftOfPart == 0 { try readPart() }
        leftOfPart -= 1
        value &+= least &+ Int64(bitPattern: bytes.bits(at: bit, width: width))
        bit += width
        return value
    }

    /// Where the bytes behind all numbers begin.
    func end() throws(ParquetFault) -> Int {
        var rest = self
        var count = left - (isFirst ? 1 : 0) - leftOfPart
        while count > 0 {
            try rest.readPart()
            count -= partSize
        }
        return rest.position
    }

    private mutating func readPart() throws(ParquetFault) {
        if part == partCount {
            guard let first = bytes.varint(at: &position, end: bytes.count),
                bytes.count - position >= partCount
            else { throw .cutOff }
            (least, widths, part) = (Self.signed(first), position, 0)
            position += partCount
        }
        width = Int(bytes[widths + part])
        guard width <= 64 else { throw .damaged("a page has differences of \(width) bits") }
        let size = partSize / 8 * width
        guard size <= bytes.count - position else { throw .cutOff }
        (bit, leftOfPart) = (position * 8, partSize)
        position += size
        part += 1
    }

    private static func signed(_ value: UInt64) -> Int64 {
        Int64(truncatingIfNeeded: value >> 1) ^ -Int64(value & 1)
    }
}
