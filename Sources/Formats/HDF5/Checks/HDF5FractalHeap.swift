/// A heap in which a group's links or an object's attributes are when there are many: blocks in rows that double.
///
/// Source: HDF5 file format specification 3.0, III.G, "Disk Format: Level 1G - Fractal Heap".
struct HDF5FractalHeap {
    private let address: Int
    private let identifierSize: Int
    private let isSummed: Bool
    private let offsetSize: Int
    private let lengthSize: Int
    private let width: Int
    private let startSize: Int
    private let largestDirect: Int
    private let root: Int?
    private let rows: Int
    /// Where objects are that are too large for a block, by their numbers.
    private var large: [UInt64: (address: Int, count: Int)] = [:]
    /// The blocks that have been read, by where they are.
    private var blocks: [Int: HDF5Cursor] = [:]

    private static let name = "a heap"

    /// Reads and checks the heap at an address, whose objects are named in so many bytes.
    init(at address: Int, identifierSize: Int, in checker: inout HDF5Checker) throws(HDF5Refusal) {
        try checker.visit(address, Self.name)
        let sizes = checker.superblock.sizes
        let size = 22 + 12 * sizes.length + 3 * sizes.address
        var whole = try checker.bytes(at: address, count: size + 4, Self.name)
        var header = try whole.summed(size)
        try header.expect("FRHP", version: 0)
        let found = try header.number(2)
        guard try header.number(2) == 0 else { throw .storage("described in a heap that is packed") }
        isSummed = try header.number(1) & 2 != 0
        let largestObject = try header.number(4)
        _ = try header.length()
        let largeTree = try header.optionalAddress()
        _ = try header.take(sizes.length + sizes.address + 8 * sizes.length)
        width = try header.number(2)
        startSize = try header.length()
        largestDirect = try header.length()
        let bits = try header.number(2)
        _ = try header.take(2)
        root = try header.optionalAddress()
        rows = try header.number(2)
        (self.address, self.identifierSize) = (address, identifierSize)
        offsetSize = (bits + 7) / 8
        lengthSize = min(
            (largestDirect.trailingZeroBitCount + 7) / 8,
            (63 - max(1, largestObject).leadingZeroBitCount) / 8 + 1)
        let isPower = [width, startSize, largestDirect].allSatisfy { $0 > 0 && $0 & ($0 - 1) == 0 }
        guard isPower, found == identifierSize, 1 + offsetSize + lengthSize <= identifierSize, bits <= 62,
            startSize <= largestDirect, largestDirect <= 1 << 31, largestObject <= largestDirect,
            rows <= bits - firstRowBits + 1, firstRowBits <= bits
        else { throw .damaged("\(Self.name) has blocks of sizes that do not fit together") }
        if let largeTree { try readLarge(at: largeTree, in: &checker) }
    }

    /// The exponent of how many bytes the first row takes.
    private var firstRowBits: Int { startSize.trailingZeroBitCount + width.trailingZeroBitCount }

    /// How many rows there are at most whose blocks hold objects themselves.
    private var directRows: Int { largestDirect.trailingZeroBitCount - startSize.trailingZeroBitCount + 2 }

    private mutating func readLarge(at tree: Int, in checker: inout HDF5Checker) throws(HDF5Refusal) {
        let sizes = checker.superblock.sizes
        var large: [UInt64: (address: Int, count: Int)] = [:]
        _ = try HDF5RecordTree(
            at: tree, kind: 1, recordSize: sizes.address + 2 * sizes.length, in: &checker
        ) { _, record throws(HDF5Refusal) in
            let place = (try record.address(), try record.length())
            large[try record.word(sizes.length)] = place
        }
        self.large = large
    }

    /// The object that an identifier names.
    mutating func object(
        _ identifier: HDF5Cursor, in checker: inout HDF5Checker
    ) throws(HDF5Refusal) -> HDF5Cursor {
        var identifier = identifier
        let flags = try identifier.number(1)
        switch flags >> 4 {
        case 0:
            let offset = try identifier.number(offsetSize)
            return try managed(at: offset, count: identifier.number(lengthSize), in: &checker)
        case 1:
            let sizes = checker.superblock.sizes
            guard sizes.address + sizes.length > identifierSize - 1 else {
                return try checker.bytes(at: identifier.address(), count: identifier.length(), Self.name)
            }
            let number = try identifier.word(min(identifierSize - 1, 8))
            guard let place = large[number] else { throw .damaged("\(Self.name) has no object \(number)") }
            return try checker.bytes(at: place.address, count: place.count, Self.name)
        default: throw .damaged("\(Self.name) has an object of the unknown kind \(flags)")
        }
    }

    /// An object in a block.
    private mutating func managed(
        at offset: Int, count: Int, in checker: inout HDF5Checker
    ) throws(HDF5Refusal) -> HDF5Cursor {
        guard let root else { throw .damaged("\(Self.name) has an object and no blocks") }
        var block = (address: root, start: 0, size: startSize)
        if rows > 0 { block = try locate(offset, in: root, start: 0, rows: rows, &checker) }
        let overhead = 5 + checker.superblock.sizes.address + offsetSize + (isSummed ? 4 : 0)
        let place = offset - block.start
        guard place >= overhead, place <= block.size, count <= block.size - place else {
            throw .damaged("\(Self.name) has an object beyond its block")
        }
        var bytes = try read("FHDB", at: block.address, start: block.start, count: block.size, &checker)
        try checker.spend(count, Self.name)
        _ = try bytes.take(place)
        return try bytes.part(count, "an object of a heap")
    }

    /// The block in which an offset is, found through the blocks that list others.
    private mutating func locate(
        _ offset: Int, in address: Int, start: Int, rows: Int, _ checker: inout HDF5Checker
    ) throws(HDF5Refusal) -> (address: Int, start: Int, size: Int) {
        let sizes = checker.superblock.sizes
        let prefix = 5 + sizes.address + offsetSize
        var list = try read(
            "FHIB", at: address, start: start, count: prefix + rows * width * sizes.address, &checker)
        let inside = offset - start
        let exponent = 63 - max(1, inside >> firstRowBits).leadingZeroBitCount
        let row = inside >> firstRowBits == 0 ? 0 : exponent + 1
        guard row < rows else { throw .damaged("\(Self.name) has an object beyond its rows") }
        let size = row == 0 ? startSize : startSize << (row - 1)
        let rowStart = row == 0 ? 0 : 1 << (firstRowBits + row - 1)
        let column = (inside - rowStart) / size
        _ = try list.take(prefix + (row * width + column) * sizes.address)
        let child = (address: try list.address(), start: start + rowStart + column * size, size: size)
        guard row >= directRows else { return child }
        let childRows = size.trailingZeroBitCount - firstRowBits + 1
        guard childRows > 0, childRows < rows else { throw .damaged("\(Self.name) has too many rows") }
        return try locate(offset, in: child.address, start: child.start, rows: childRows, &checker)
    }

    /// Compares the checksum of a block of objects, which stands inside it and counts as zero.
    private func checkSum(of block: HDF5Cursor) throws(HDF5Refusal) {
        var rest = block
        let start = Array(try rest.take(5 + block.sizes.address + offsetSize))
        let stored = try rest.number(4)
        let sum = HDF5Checksum.lookup3(start + [0, 0, 0, 0] + Array(try rest.take(rest.left)))
        guard sum == stored else { throw .damaged("\(Self.name) has another checksum than its bytes") }
    }

    /// A block that says of itself what is known of it.
    private mutating func read(
        _ mark: String, at place: Int, start: Int, count: Int, _ checker: inout HDF5Checker
    ) throws(HDF5Refusal) -> HDF5Cursor {
        if let known = blocks[place], known.left == count { return known }
        try checker.visit(place, Self.name)
        var block = try checker.bytes(at: place, count: count + (mark == "FHIB" ? 4 : 0), Self.name)
        if mark == "FHIB" { block = try block.summed(count) } else if isSummed { try checkSum(of: block) }
        var prefix = block
        try prefix.expect(mark, version: 0)
        guard try prefix.address() == address, try prefix.number(offsetSize) == start else {
            throw .damaged("\(Self.name) has a block of another place at byte \(place)")
        }
        blocks[place] = block
        return block
    }
}
