extension HDF5Checker {
    /// Checks a link (IV.A.2.g): its name and where it leads are there.
    mutating func checkLink(_ message: HDF5Cursor) throws(HDF5Refusal) {
        var body = message
        _ = try body.version(1...1)
        let flags = try body.number(1)
        let kind = flags & 8 != 0 ? try body.number(1) : 0
        _ = try body.take((flags & 4 != 0 ? 8 : 0) + (flags & 0x10 != 0 ? 1 : 0))
        let size = try body.number(1 << (flags & 3))
        guard size > 0 else { throw .damaged("a link has no name") }
        let name = try body.take(size)
        if kind == 0 {
            found.add(name, kind: kind, address: try body.address())
        } else {
            found.add(name, kind: kind, address: nil)
            let count = try body.number(2)
            guard count > 0 else { throw .damaged("a link leads nowhere") }
            _ = try body.take(count)
        }
    }

    /// Checks a group whose links are in a tree of symbols, their names in a heap (IV.A.2.r).
    mutating func checkSymbols(_ message: HDF5Cursor) throws(HDF5Refusal) {
        var body = message
        let tree = try body.address()
        let heap = try HDF5LocalHeap(at: body.address(), in: &self)
        let leaf = 2 * superblock.settings.leaf
        try checkTree(
            at: tree, kind: 0, most: 2 * superblock.settings.group, keySize: superblock.sizes.length
        ) { checker, key, child throws(HDF5Refusal) in
            _ = try heap.name(at: key.length())
            if let child { try checker.checkSymbols(at: child, most: leaf, heap: heap) }
        }
    }

    /// Checks a leaf of symbols (III.B).
    private mutating func checkSymbols(
        at address: Int, most: Int, heap: HDF5LocalHeap
    ) throws(HDF5Refusal) {
        let name = "a node of symbols"
        try visit(address, name)
        var prefix = try bytes(at: address, count: 8, name)
        try prefix.expect("SNOD", version: 1)
        _ = try prefix.take(1)
        let count = try prefix.number(2)
        guard count <= most else { throw .damaged("\(name) has \(count) entries, and at most \(most) fit") }
        let size = superblock.sizes.length + superblock.sizes.address + 24
        var entries = try bytes(at: address + 8, count: count * size, name)
        for _ in 0..<count {
            let link = try heap.name(at: entries.length())
            try spend(link.count, name)
            let address = try entries.optionalAddress()
            let kind = try entries.number(4)
            _ = try entries.take(20)
            guard kind <= 2 else { throw .damaged("\(name) has an entry of kind \(kind)") }
            // The library keeps what a soft link leads to in the heap; no soft link is followed.
            found.add(link, kind: kind == 2 ? 1 : 0, address: address)
        }
    }

    /// Checks a tree (III.A.1): each node is reached once, each level lies below the one above it.
    ///
    /// - Parameters:
    ///   - address: where its root is.
    ///   - kind: 0 for groups, 1 for chunks.
    ///   - most: how many children a node has at most.
    ///   - keySize: how many bytes a key has.
    ///   - level: on which level the root has to be, if that is known.
    ///   - visit: what to do with every key, and with what lies beside it below the lowest level.
    /// - Throws: ``HDF5Refusal`` when it is damaged.
    mutating func checkTree(
        at address: Int, kind: Int, most: Int, keySize: Int, level: Int? = nil,
        _ visit: (inout HDF5Checker, inout HDF5Cursor, Int?) throws(HDF5Refusal) -> Void
    ) throws(HDF5Refusal) {
        let name = "a tree's node"
        try self.visit(address, name)
        let prefixSize = 8 + 2 * superblock.sizes.address
        var prefix = try bytes(at: address, count: prefixSize, name)
        guard try prefix.take(4).elementsEqual("TREE".utf8), try prefix.number(1) == kind else {
            throw .damaged("\(name) is not at byte \(address), where it should be")
        }
        let (found, count) = (try prefix.number(1), try prefix.number(2))
        guard level == nil || found == level, found < 64, count <= most else {
            throw .damaged("\(name) is of level \(found) and has \(count) children")
        }
        let size = count * (keySize + superblock.sizes.address) + keySize
        var entries = try bytes(at: address + prefixSize, count: size, name)
        for _ in 0..<count {
            var key = try entries.part(keySize, name)
            let child = try entries.address()
            try visit(&self, &key, found == 0 ? child : nil)
            if found > 0 {
                try checkTree(at: child, kind: kind, most: most, keySize: keySize, level: found - 1, visit)
            }
        }
        guard count > 0 else { return }
        var key = try entries.part(keySize, name)
        try visit(&self, &key, nil)
    }
}
