/// The heap in which a group has the names of its links (III.D).
struct HDF5LocalHeap {
    private let data: HDF5Cursor
    private let size: Int

    /// Reads the heap at an address, and checks its list of free blocks.
    init(at address: Int, in reader: inout HDF5Reader) throws(UserFacingError) {
        let name = "a heap of names"
        try reader.visit(address, name)
        let sizes = reader.superblock.sizes
        var prefix = try reader.bytes(at: address, count: 8 + 2 * sizes.length + sizes.address, name)
        try prefix.expect("HEAP", version: 0)
        _ = try prefix.take(3)
        size = try prefix.length()
        let free = try prefix.word(sizes.length)
        data = try reader.bytes(at: prefix.address(), count: size, name)
        try checkFree(from: free)
    }

    /// Follows the free blocks, each of which says where the next is; 1 ends the list.
    private func checkFree(from first: UInt64) throws(UserFacingError) {
        var (next, left) = (first, size / (2 * data.sizes.length))
        while next != 1 {
            guard let place = Int(exactly: next), place <= size, left > 0 else {
                throw data.damaged("has free blocks beyond its end, or in a circle")
            }
            var block = data
            _ = try block.take(place)
            next = try block.word(data.sizes.length)
            guard try block.length() <= size - place else {
                throw data.damaged("has a free block beyond its end")
            }
            left -= 1
        }
    }

    /// The name at an offset, which ends inside the heap.
    func name(at offset: Int) throws(UserFacingError) -> String {
        var rest = data
        _ = try rest.take(offset)
        return try rest.text()
    }
}

extension HDF5Reader {
    /// The most bytes of a global heap.
    private static let largestHeap = 64 << 20

    /// The string that an element leads to: its length, the address of a global heap (III.E), its number there.
    mutating func string(_ element: inout HDF5Cursor) throws(UserFacingError) -> String {
        let (count, address, number) = (
            try element.number(4), try element.optionalAddress(), try element.number(4)
        )
        guard count > 0 else { return "" }
        guard let address else { throw element.damaged("leads nowhere") }
        if collections[address] == nil { collections[address] = try objects(at: address) }
        guard var object = collections[address]?[number], object.left >= count else {
            throw element.damaged(
                "leads to string \(number) of \(count) bytes, which is not at byte \(address)")
        }
        // Any number of elements may lead to one string.
        try spend(count, "a string")
        return String(decoding: try object.take(count).prefix { $0 != 0 }, as: UTF8.self)
    }

    /// The objects of the global heap at an address, by their numbers.
    private mutating func objects(at address: Int) throws(UserFacingError) -> [Int: HDF5Cursor] {
        let name = "a global heap"
        let headerSize = 8 + superblock.sizes.length
        var header = try bytes(at: address, count: headerSize, name)
        try header.expect("GCOL", version: 1)
        _ = try header.take(3)
        let size = try header.length()
        guard size >= headerSize, size <= Self.largestHeap else { throw header.damaged("has \(size) bytes") }
        var rest = try bytes(at: address + headerSize, count: size - headerSize, name)
        var objects: [Int: HDF5Cursor] = [:]
        while rest.left >= headerSize {
            let number = try rest.number(2)
            // Object 0 is the room that is left.
            guard number > 0 else { break }
            _ = try rest.take(6)
            let count = try rest.length()
            objects[number] = try rest.part(count, "a string")
            _ = try rest.take(min(rest.left, (8 - count % 8) % 8))
        }
        return objects
    }
}

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

    private static let name = "a fractal heap"

    /// Reads and checks the heap at an address, whose objects are named in so many bytes.
    init(at address: Int, identifierSize: Int, in reader: inout HDF5Reader) throws(UserFacingError) {
        try reader.visit(address, Self.name)
        let sizes = reader.superblock.sizes
        let size = 22 + 12 * sizes.length + 3 * sizes.address
        var whole = try reader.bytes(at: address, count: size + 4, Self.name)
        var header = try whole.summed(size)
        try header.expect("FRHP", version: 0)
        let found = try header.number(2)
        guard try header.number(2) == 0 else { throw .hdf5Storage("described in a heap that is packed") }
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
        else { throw header.damaged("has blocks of sizes that do not fit together") }
        if let largeTree { try readLarge(at: largeTree, in: &reader) }
    }

    /// The exponent of how many bytes the first row takes.
    private var firstRowBits: Int { startSize.trailingZeroBitCount + width.trailingZeroBitCount }

    /// How many rows there are at most whose blocks hold objects themselves.
    private var directRows: Int { largestDirect.trailingZeroBitCount - startSize.trailingZeroBitCount + 2 }

    private mutating func readLarge(at tree: Int, in reader: inout HDF5Reader) throws(UserFacingError) {
        let sizes = reader.superblock.sizes
        let tree = try HDF5BTree(
            at: tree, kind: 1, recordSize: sizes.address + 2 * sizes.length, in: &reader)
        for var record in tree.records {
            let place = (try record.address(), try record.length())
            large[try record.word(sizes.length)] = place
        }
    }

    /// The object that an identifier names.
    mutating func object(
        _ identifier: HDF5Cursor, in reader: inout HDF5Reader
    ) throws(UserFacingError) -> HDF5Cursor {
        var identifier = identifier
        let flags = try identifier.number(1)
        switch flags >> 4 {
        case 0:
            let offset = try identifier.number(offsetSize)
            return try managed(at: offset, count: identifier.number(lengthSize), in: &reader)
        case 1:
            let sizes = reader.superblock.sizes
            guard sizes.address + sizes.length > identifierSize - 1 else {
                return try reader.bytes(at: identifier.address(), count: identifier.length(), Self.name)
            }
            let number = try identifier.word(min(identifierSize - 1, 8))
            guard let place = large[number] else {
                throw .damagedHDF5("\(Self.name) has no object \(number)")
            }
            return try reader.bytes(at: place.address, count: place.count, Self.name)
        default: throw .damagedHDF5("\(Self.name) has an object of the unknown kind \(flags)")
        }
    }

    /// An object in a block.
    private mutating func managed(
        at offset: Int, count: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) -> HDF5Cursor {
        guard let root else { throw .damagedHDF5("\(Self.name) has an object and no blocks") }
        var block = (address: root, start: 0, size: startSize)
        if rows > 0 { block = try locate(offset, in: root, start: 0, rows: rows, &reader) }
        let overhead = 5 + reader.superblock.sizes.address + offsetSize + (isSummed ? 4 : 0)
        let place = offset - block.start
        guard place >= overhead, place <= block.size, count <= block.size - place else {
            throw .damagedHDF5("\(Self.name) has an object beyond its block")
        }
        var bytes = try read("FHDB", at: block.address, start: block.start, count: block.size, &reader)
        try reader.spend(count, Self.name)
        _ = try bytes.take(place)
        return try bytes.part(count, "an object of a heap")
    }

    /// The block in which an offset is, found through the blocks that list others.
    private mutating func locate(
        _ offset: Int, in address: Int, start: Int, rows: Int, _ reader: inout HDF5Reader
    ) throws(UserFacingError) -> (address: Int, start: Int, size: Int) {
        let sizes = reader.superblock.sizes
        let prefix = 5 + sizes.address + offsetSize
        var list = try read(
            "FHIB", at: address, start: start, count: prefix + rows * width * sizes.address, &reader)
        let inside = offset - start
        let exponent = 63 - max(1, inside >> firstRowBits).leadingZeroBitCount
        let row = inside >> firstRowBits == 0 ? 0 : exponent + 1
        guard row < rows else { throw .damagedHDF5("\(Self.name) has an object beyond its rows") }
        let size = row == 0 ? startSize : startSize << (row - 1)
        let rowStart = row == 0 ? 0 : 1 << (firstRowBits + row - 1)
        let column = (inside - rowStart) / size
        _ = try list.take(prefix + (row * width + column) * sizes.address)
        let child = (address: try list.address(), start: start + rowStart + column * size, size: size)
        guard row >= directRows else { return child }
        let childRows = size.trailingZeroBitCount - firstRowBits + 1
        guard childRows > 0, childRows < rows else { throw .damagedHDF5("\(Self.name) has too many rows") }
        return try locate(offset, in: child.address, start: child.start, rows: childRows, &reader)
    }

    /// Compares the checksum of a block of objects, which stands inside it and counts as zero.
    private func checkSum(of block: HDF5Cursor) throws(UserFacingError) {
        var rest = block
        let start = Array(try rest.take(5 + block.sizes.address + offsetSize))
        let stored = try rest.number(4)
        let sum = HDF5Checksum.lookup3(start + [0, 0, 0, 0] + Array(try rest.take(rest.left)))
        guard sum == stored else { throw .damagedHDF5("\(Self.name) has another checksum than its bytes") }
    }

    /// A block that says of itself what is known of it.
    private mutating func read(
        _ mark: String, at place: Int, start: Int, count: Int, _ reader: inout HDF5Reader
    ) throws(UserFacingError) -> HDF5Cursor {
        if let known = blocks[place], known.left == count { return known }
        try reader.visit(place, Self.name)
        var block = try reader.bytes(at: place, count: count + (mark == "FHIB" ? 4 : 0), Self.name)
        if mark == "FHIB" { block = try block.summed(count) } else if isSummed { try checkSum(of: block) }
        var prefix = block
        try prefix.expect(mark, version: 0)
        guard try prefix.address() == address, try prefix.number(offsetSize) == start else {
            throw .damagedHDF5("\(Self.name) has a block of another place at byte \(place)")
        }
        blocks[place] = block
        return block
    }
}
