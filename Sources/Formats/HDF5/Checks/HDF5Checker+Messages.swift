extension HDF5Checker {
    /// Checks all messages of an object's header, and what they lead to.
    mutating func check(_ header: HDF5Header) throws(HDF5Refusal) {
        for message in header.messages { try check(message) }
        for body in header.all(.attribute) { try checkAttribute(body) }
        for body in header.all(.link) { try checkLink(body) }
        try checkLinks(header.one(.links))
        try checkAttributes(header.one(.attributes))
        if let table = try header.one(.symbolTable) { try checkSymbols(table) }
        try checkDataset(header)
    }

    /// Checks a message by itself, where nothing depends on it.
    private func check(_ message: HDF5Header.Message) throws(HDF5Refusal) {
        var body = message.body
        switch message.kind {
        case .group:
            _ = try body.version(0...0)
            let flags = try body.number(1)
            _ = try body.take((flags & 1 != 0 ? 4 : 0) + (flags & 2 != 0 ? 4 : 0))
        case .references: _ = try body.take(5)
        case .time: _ = try body.take(8)
        case .oldTime: _ = try body.take(16)
        case .comment: try body.skipName()
        case .external: throw .storage("kept in external files")
        case .sharedTable, .treeSizes, .driver, .freeSpace, .cache:
            throw .storage("described by a message \(message.number) that belongs to the superblock")
        default: return
        }
    }

    /// Checks an attribute (IV.A.2.m), versions 1 to 3: its name ends, and its data is there.
    mutating func checkAttribute(_ message: HDF5Cursor) throws(HDF5Refusal) {
        var body = message
        let version = try body.version(1...3)
        let flags = try body.number(1)
        guard version == 1 || flags & 3 == 0 else {
            throw .storage("described by an attribute of a named type")
        }
        let sizes = (try body.number(2), try body.number(2), try body.number(2))
        if version == 3 { _ = try body.take(1) }
        func padded(_ count: Int) -> Int { version == 1 ? (count + 7) / 8 * 8 : count }
        let name = try body.take(padded(sizes.0)).prefix(sizes.0)
        guard let end = name.firstIndex(of: 0) else {
            throw .damaged("an attribute's name does not end where it should")
        }
        found.addAttribute(name[..<end])
        var type = try body.part(padded(sizes.1), "an attribute's type")
        var space = try body.part(padded(sizes.2), "an attribute's shape")
        let described = try HDF5Described(&type)
        let extent = try HDF5Extent(&space)
        guard let count = extent.count, count <= body.left / described.size else {
            throw .damaged(
                "an attribute has \(extent.shape) elements of \(described.size) bytes in \(body.left)")
        }
    }

    /// Checks the messages that make an object a dataset.
    private mutating func checkDataset(_ header: HDF5Header) throws(HDF5Refusal) {
        var type: HDF5Described?
        if var body = try header.one(.datatype) { type = try HDF5Described(&body) }
        var extent: HDF5Extent?
        if var body = try header.one(.dataspace) { extent = try HDF5Extent(&body) }
        if let fill = try header.one(.oldFill) {
            try checkFill(fill, version: nil, of: type)
        }
        if var fill = try header.one(.fill) {
            let version = try fill.version(1...3)
            try checkFill(fill, version: version, of: type)
        }
        let filters = try header.one(.filters).map { body throws(HDF5Refusal) in try checkFilters(body) }
        if let layout = try header.one(.layout) {
            guard let type, let extent else {
                throw .damaged("an object's header has data without a type or a shape")
            }
            try checkLayout(layout, type: type, extent: extent, isPacked: filters ?? 0 > 0)
        } else if type != nil, extent != nil {
            throw .damaged("a dataset's header does not say where the data is")
        }
    }

    /// Checks what a dataset is filled with (IV.A.2.e and f): one element, which lies nowhere else.
    private func checkFill(
        _ message: HDF5Cursor, version: Int?, of type: HDF5Described?
    ) throws(HDF5Refusal) {
        var body = message
        if version == 3 {
            guard try body.number(1) & 0x20 != 0 else { return }
        } else if let version {
            let isDefined = try body.take(3).last != 0
            guard isDefined || version == 1 && body.left >= 4 else { return }
        }
        let size = Int(Int32(truncatingIfNeeded: try body.number(4)))
        guard size > 0 else { return }
        _ = try body.take(size)
        guard let type, size == type.size, !type.isIndirect else {
            throw .damaged("a dataset is filled with \(size) bytes, and its type is another")
        }
    }

    /// Checks a list of filters (IV.A.2.l), and counts them.
    private func checkFilters(_ message: HDF5Cursor) throws(HDF5Refusal) -> Int {
        var body = message
        let version = try body.version(1...2)
        let count = try body.number(1)
        guard count <= 32 else { throw .damaged("\(body.name) has \(count) filters") }
        if version == 1 { _ = try body.take(6) }
        for _ in 0..<count {
            let number = try body.number(2)
            let nameSize = version == 1 || number >= 256 ? try body.number(2) : 0
            _ = try body.take(2)
            let values = try body.number(2)
            guard version == 2 || nameSize.isMultiple(of: 8) else {
                throw .damaged("\(body.name) has a filter's name of \(nameSize) bytes")
            }
            if nameSize > 0 {
                var name = try body.part(nameSize, "a filter's name")
                try name.skipName()
            }
            _ = try body.take(4 * values + (version == 1 && values % 2 == 1 ? 4 : 0))
        }
        return count
    }
}
