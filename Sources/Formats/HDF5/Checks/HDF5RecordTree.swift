/// A tree of records (version 2), by which links, attributes, large objects or chunks are found.
///
/// Source: HDF5 file format specification 3.0, III.A.2, "Disk Format: Level 1A2 - Version 2 B-trees".
struct HDF5RecordTree {
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

    /// Checks the tree at an address; every record is visited, by its bytes.
    ///
    /// - Parameters:
    ///   - address: where its header is.
    ///   - kind: the number of its kind.
    ///   - recordSize: how many bytes records of this kind have.
    ///   - checker: what reads the file.
    ///   - visit: what to do with each record.
    /// - Throws: ``HDF5Refusal`` when it is damaged.
    init(
        at address: Int, kind: Int, recordSize: Int, in checker: inout HDF5Checker,
        _ visit: (inout HDF5Checker, inout HDF5Cursor) throws(HDF5Refusal) -> Void
    ) throws(HDF5Refusal) {
        try checker.visit(address, Self.name)
        let sizes = checker.superblock.sizes
        let size = 18 + sizes.address + sizes.length
        var whole = try checker.bytes(at: address, count: size + 4, Self.name)
        var header = try whole.summed(size)
        try header.expect("BTHD", version: 0)
        let isOfKind = try header.number(1) == kind
        nodeSize = try header.number(4)
        (self.kind, self.recordSize) = (kind, recordSize)
        guard isOfKind, try header.number(2) == recordSize, nodeSize <= checker.file.size else {
            throw .damaged("\(Self.name) has nodes of \(nodeSize) bytes, or records of another kind")
        }
        let depth = try header.number(2)
        _ = try header.take(2)
        try addLevels(depth, sizes: sizes)
        let root = try header.optionalAddress()
        let rootCount = try header.number(2)
        let total = try header.length()
        var found = 0
        if let root {
            try check(at: root, count: rootCount, level: depth, in: &checker) {
                checker, record throws(HDF5Refusal) in
                found += 1
                try visit(&checker, &record)
            }
        }
        // The library makes room for the total, and takes for filled in what it made room for.
        guard found == total else { throw .damaged("\(Self.name) has \(found) records, and says \(total)") }
    }

    /// Computes how much fits into the nodes of each level, as the library does.
    private mutating func addLevels(_ depth: Int, sizes: HDF5Sizes) throws(HDF5Refusal) {
        let most = (nodeSize - Self.overhead) / recordSize
        guard most > 0, depth < 32 else { throw .damaged("\(Self.name) is \(depth) levels deep") }
        levels.append(Level(most: most, mostBelow: most, pointerSize: 0))
        for level in 0..<depth {
            let below = levels[level]
            let pointerSize =
                sizes.address + Self.width(most) + (level == 0 ? 0 : Self.width(below.mostBelow))
            let count = (nodeSize - Self.overhead - pointerSize) / (recordSize + pointerSize)
            let (product, overflow) = (count + 1).multipliedReportingOverflow(by: below.mostBelow)
            guard count > 0, !overflow, product <= Int.max - count else {
                throw .damaged("\(Self.name) has nodes of \(nodeSize) bytes on \(depth) levels")
            }
            levels.append(Level(most: count, mostBelow: product + count, pointerSize: pointerSize))
        }
    }

    /// How many bytes numbers up to a limit take.
    private static func width(_ limit: Int) -> Int { (63 - limit.leadingZeroBitCount) / 8 + 1 }

    private func check(
        at address: Int, count: Int, level: Int, in checker: inout HDF5Checker,
        _ visit: (inout HDF5Checker, inout HDF5Cursor) throws(HDF5Refusal) -> Void
    ) throws(HDF5Refusal) {
        try checker.visit(address, Self.name)
        guard count <= levels[level].most else {
            throw .damaged("\(Self.name) has \(count) records in a node")
        }
        let size = 6 + count * recordSize + (level > 0 ? (count + 1) * levels[level].pointerSize : 0)
        var whole = try checker.bytes(at: address, count: nodeSize, Self.name)
        var node = try whole.summed(size)
        try node.expect(level == 0 ? "BTLF" : "BTIN", version: 0)
        guard try node.number(1) == kind else { throw .damaged("\(Self.name) has nodes of another kind") }
        for _ in 0..<count {
            var record = try node.part(recordSize, Self.name)
            try visit(&checker, &record)
        }
        guard level > 0 else { return }
        for _ in 0...count {
            var pointer = try node.part(levels[level].pointerSize, Self.name)
            let child = try pointer.address()
            let records = try pointer.number(Self.width(levels[0].most))
            try check(at: child, count: records, level: level - 1, in: &checker, visit)
        }
    }
}
