extension HDF5Reader {
    /// What a tree of version 1 (III.A.1) has on its lowest level: keys, and the address that each leads to.
    ///
    /// Each node is reached once, and each level lies below the one above it.
    ///
    /// - Parameters:
    ///   - address: where its root is.
    ///   - kind: 0 for groups, 1 for chunks.
    ///   - most: how many children a node has at most.
    ///   - keySize: how many bytes a key has.
    ///   - level: on which level the root has to be, if that is known.
    /// - Returns: the keys and the addresses, in the tree's order.
    /// - Throws: ``UserFacingError`` when it is damaged.
    mutating func tree(
        at address: Int, kind: Int, most: Int, keySize: Int, level: Int? = nil
    ) throws(UserFacingError) -> [(key: HDF5Cursor, child: Int)] {
        let name = "a tree's node"
        try visit(address, name)
        let prefixSize = 8 + 2 * superblock.sizes.address
        var prefix = try bytes(at: address, count: prefixSize, name)
        guard try prefix.take(4).elementsEqual("TREE".utf8), try prefix.number(1) == kind else {
            throw .damagedHDF5("\(name) is not at byte \(address), where it should be")
        }
        let (found, count) = (try prefix.number(1), try prefix.number(2))
        guard level == nil || found == level, found < 64, count <= most else {
            throw prefix.damaged("is of level \(found) and has \(count) children")
        }
        let size = count * (keySize + superblock.sizes.address) + keySize
        var entries = try bytes(at: address + prefixSize, count: size, name)
        var children: [(key: HDF5Cursor, child: Int)] = []
        for _ in 0..<count {
            let (key, child) = (try entries.part(keySize, "a key of a tree"), try entries.address())
            if found == 0 {
                children.append((key, child))
            } else {
                children += try tree(at: child, kind: kind, most: most, keySize: keySize, level: found - 1)
            }
        }
        return children
    }
}

/// A tree of records (version 2), by which links, attributes, large objects or chunks are found.
///
/// Source: HDF5 file format specification 3.0, III.A.2, "Disk Format: Level 1A2 - Version 2 B-trees".
struct HDF5BTree {
    /// Its records, those of a node before those below it.
    private(set) var records: [HDF5Cursor] = []
    private let kind: Int
    private let recordSize: Int
    private let nodeSize: Int
    private var levels: [Level] = []

    /// What the nodes of a level may hold.
    private struct Level {
        /// Records in a node at most.
        let most: Int
        /// Records in a node and all below it at most.
        let mostBelow: Int
        /// How many bytes a pointer to a node of the level below takes.
        let pointerSize: Int
    }

    private static let name = "a tree of records"
    /// What each node has besides records and pointers.
    private static let overhead = 10

    /// Reads the tree of a kind at an address, whose records have so many bytes.
    init(
        at address: Int, kind: Int, recordSize: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) {
        try reader.visit(address, Self.name)
        let sizes = reader.superblock.sizes
        let size = 18 + sizes.address + sizes.length
        var whole = try reader.bytes(at: address, count: size + 4, Self.name)
        var header = try whole.summed(size)
        try header.expect("BTHD", version: 0)
        let isOfKind = try header.number(1) == kind
        nodeSize = try header.number(4)
        (self.kind, self.recordSize) = (kind, recordSize)
        guard isOfKind, try header.number(2) == recordSize, nodeSize <= reader.file.size else {
            throw header.damaged("has nodes of \(nodeSize) bytes, or records of another kind")
        }
        let depth = try header.number(2)
        _ = try header.take(2)
        try addLevels(depth, sizes: sizes)
        let root = try header.optionalAddress()
        let rootCount = try header.number(2)
        let total = try header.length()
        if let root { try read(at: root, count: rootCount, level: depth, in: &reader) }
        guard records.count == total else {
            throw header.damaged("has \(records.count) records, and says \(total)")
        }
    }

    /// Computes how much fits into the nodes of each level: that decides how many bytes numbers of records take.
    private mutating func addLevels(_ depth: Int, sizes: HDF5Sizes) throws(UserFacingError) {
        let most = (nodeSize - Self.overhead) / recordSize
        guard most > 0, depth < 32 else { throw .damagedHDF5("\(Self.name) is \(depth) levels deep") }
        levels.append(Level(most: most, mostBelow: most, pointerSize: 0))
        for level in 0..<depth {
            let below = levels[level]
            let pointerSize =
                sizes.address + Self.width(most) + (level == 0 ? 0 : Self.width(below.mostBelow))
            let count = (nodeSize - Self.overhead - pointerSize) / (recordSize + pointerSize)
            let (product, overflow) = (count + 1).multipliedReportingOverflow(by: below.mostBelow)
            guard count > 0, !overflow, product <= Int.max - count else {
                throw .damagedHDF5("\(Self.name) has nodes of \(nodeSize) bytes on \(depth) levels")
            }
            levels.append(Level(most: count, mostBelow: product + count, pointerSize: pointerSize))
        }
    }

    /// How many bytes numbers up to a limit take.
    private static func width(_ limit: Int) -> Int { (63 - limit.leadingZeroBitCount) / 8 + 1 }

    private mutating func read(
        at address: Int, count: Int, level: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) {
        try reader.visit(address, Self.name)
        guard count <= levels[level].most else {
            throw .damagedHDF5("\(Self.name) has \(count) records in a node")
        }
        let size = 6 + count * recordSize + (level > 0 ? (count + 1) * levels[level].pointerSize : 0)
        var whole = try reader.bytes(at: address, count: nodeSize, Self.name)
        var node = try whole.summed(size)
        try node.expect(level == 0 ? "BTLF" : "BTIN", version: 0)
        guard try node.number(1) == kind else { throw node.damaged("has nodes of another kind") }
        for _ in 0..<count { records.append(try node.part(recordSize, "a record of a tree")) }
        guard level > 0 else { return }
        for _ in 0...count {
            var pointer = try node.part(levels[level].pointerSize, Self.name)
            let child = try pointer.address()
            let records = try pointer.number(Self.width(levels[0].most))
            try read(at: child, count: records, level: level - 1, in: &reader)
        }
    }
}
