/// A dataset's chunks: what one takes, and the index in which the library looks for them.
///
/// Source: HDF5 file format specification 3.0, IV.A.2.i, "The Data Layout Message", and VII, "Chunk Indexing".
struct HDF5ChunkIndex {
    /// How many elements a chunk has on each axis, and at the end how many bytes an element has.
    let sides: [Int]
    /// How far the dataset may grow on each axis.
    let extent: HDF5Extent
    /// Whether chunks are packed, so that their sizes stand in the index.
    let isPacked: Bool

    private static let name = "an index of chunks"

    /// Checks the sides of a chunk of a dataset.
    init(
        sides: [Int], type: HDF5Described, extent: HDF5Extent, isPacked: Bool
    ) throws(HDF5Refusal) {
        (self.sides, self.extent, self.isPacked) = (sides, extent, isPacked)
        guard sides.count > 1, sides.count == extent.shape.count + 1, sides.last == type.size,
            sides.allSatisfy({ $0 > 0 }), let bytes = ElementType.elementCount(shape: sides),
            bytes <= UInt32.max
        else {
            throw .damaged(
                "a dataset of \(extent.shape.count) dimensions has chunks of \(sides.dropLast()) elements")
        }
    }

    /// Checks the tree that versions up to 3 of the layout have.
    func checkTree(at address: Int?, in checker: inout HDF5Checker) throws(HDF5Refusal) {
        guard let address else { return }
        let most = 2 * checker.superblock.settings.chunks
        // The chunk's size, which of its filters were left out, and where it begins on each axis.
        try checker.checkTree(at: address, kind: 1, most: most, keySize: 8 + 8 * sides.count) { _, _, _ in }
    }

    /// Checks the index that version 4 of the layout names, whose message ends with it.
    func check(
        _ body: inout HDF5Cursor, flags: Int, in checker: inout HDF5Checker
    ) throws(HDF5Refusal) {
        switch try body.number(1) {
        case 1:
            if flags & 2 != 0 { _ = try body.take(checker.superblock.sizes.length + 4) }
            guard isPacked == (flags & 2 != 0) else {
                throw .damaged("\(Self.name) does not say whether its chunk is packed")
            }
            _ = try body.optionalAddress()
        case 2:
            guard !isPacked else {
                throw .damaged("\(Self.name) has no place for the sizes of packed chunks")
            }
            _ = try body.optionalAddress()
        case 3:
            let pageBits = try body.number(1)
            if let address = try body.optionalAddress() {
                try checkArray(at: address, pageBits: pageBits, in: &checker)
            }
        case 4: throw .storage("stored so that it can grow along one axis")
        case 5:
            _ = try body.take(6)
            guard let address = try body.optionalAddress() else { return }
            _ = try HDF5RecordTree(
                at: address, kind: isPacked ? 11 : 10,
                recordSize: elementSize(checker.superblock.sizes) + 8 * extent.shape.count, in: &checker
            ) { _, _ in }
        case let kind: throw .damaged("\(Self.name) is of the unknown kind \(kind)")
        }
    }

    /// What the index says of each chunk: where it is, and of packed ones how large, and which filters are left out.
    private func elementSize(_ sizes: HDF5Sizes) -> Int {
        let bytes = sides.reduce(1, *)
        return sizes.address + (isPacked ? min(8, 1 + (71 - bytes.leadingZeroBitCount) / 8) + 4 : 0)
    }

    /// Checks an array of all chunks (VII.C): its header, and that the whole of it is there.
    private func checkArray(
        at address: Int, pageBits: Int, in checker: inout HDF5Checker
    ) throws(HDF5Refusal) {
        try checker.visit(address, Self.name)
        let sizes = checker.superblock.sizes
        let headerSize = 8 + sizes.length + sizes.address
        var whole = try checker.bytes(at: address, count: headerSize + 4, Self.name)
        var header = try whole.summed(headerSize)
        try header.expect("FAHD", version: 0)
        let (kind, size) = (try header.number(1), try header.number(1))
        let isPaged = try header.number(1)
        let count = try header.length()
        var needed: Int? = 1
        for (largest, side) in zip(extent.largest, sides) {
            let chunks = largest.map { $0 / side + ($0 % side == 0 ? 0 : 1) }
            needed = needed.flatMap { left in chunks.flatMap { ElementType.elementCount(shape: [left, $0]) } }
        }
        guard kind == (isPacked ? 1 : 0), size == elementSize(sizes), isPaged == pageBits, pageBits < 32,
            count == needed, count > 0, count <= checker.file.size / size
        else { throw .damaged("\(Self.name) has \(count) elements of \(size) bytes") }
        guard let block = try header.optionalAddress() else { return }
        try checkBlock(
            at: block, of: address, count: count, size: size, perPage: 1 << pageBits, in: &checker)
    }

    /// Checks the block that has an array's elements, or pages of them.
    private func checkBlock(
        at block: Int, of header: Int, count: Int, size: Int, perPage: Int, in checker: inout HDF5Checker
    ) throws(HDF5Refusal) {
        try checker.visit(block, Self.name)
        let pages = count > perPage ? (count + perPage - 1) / perPage : 0
        let prefix = 6 + checker.superblock.sizes.address + (pages + 7) / 8
        let first = pages > 0 ? 0 : count
        let rest = pages > 0 ? count * size + 4 * pages : 0
        var whole = try checker.bytes(at: block, count: prefix + first * size + 4 + rest, Self.name)
        var data = try whole.summed(prefix + first * size)
        try data.expect("FADB", version: 0)
        guard try data.number(1) == (isPacked ? 1 : 0), try data.address() == header else {
            throw .damaged("\(Self.name) has a block of another index")
        }
        // A bit for each page that was written; the others have no checksum.
        let isWritten = Array(try data.take((pages + 7) / 8))
        for page in 0..<pages {
            let bytes = min(perPage, count - page * perPage) * size
            if isWritten[page / 8] & 0x80 >> UInt8(page % 8) == 0 {
                _ = try whole.take(bytes + 4)
            } else {
                _ = try whole.summed(bytes)
            }
        }
    }
}

extension HDF5Checker {
    /// Checks where a dataset's data is (IV.A.2.i), versions 1 to 4, and the index of its chunks.
    mutating func checkLayout(
        _ message: HDF5Cursor, type: HDF5Described, extent: HDF5Extent, isPacked: Bool
    ) throws(HDF5Refusal) {
        var body = message
        let version = try body.version(1...4)
        if version < 3 {
            try checkOldLayout(&body, type: type, extent: extent, isPacked: isPacked)
            return
        }
        switch try body.number(1) {
        case 0: try checkCompact(&body, sizeWidth: 2, type: type, extent: extent)
        case 1:
            _ = try body.optionalAddress()
            try checkSize(try body.length(), type: type, extent: extent)
        case 2:
            let flags = version == 3 ? 0 : try body.number(1)
            let rank = try body.number(1)
            let width = version == 3 ? 4 : try body.number(1)
            guard rank <= 33, (1...8).contains(width) else {
                throw .damaged("\(body.name) has chunks of \(rank) dimensions")
            }
            let address = version == 3 ? try body.optionalAddress() : nil
            var sides: [Int] = []
            for _ in 0..<rank { sides.append(try body.number(width)) }
            let index = try HDF5ChunkIndex(sides: sides, type: type, extent: extent, isPacked: isPacked)
            if version == 3 {
                try index.checkTree(at: address, in: &self)
            } else {
                try index.check(&body, flags: flags, in: &self)
            }
        case 3: throw .storage("a virtual dataset, made of others")
        case let kind: throw .damaged("\(body.name) has the unknown layout \(kind)")
        }
    }

    /// Versions 1 and 2.
    private mutating func checkOldLayout(
        _ body: inout HDF5Cursor, type: HDF5Described, extent: HDF5Extent, isPacked: Bool
    ) throws(HDF5Refusal) {
        let (rank, kind) = (try body.number(1), try body.number(1))
        _ = try body.take(5)
        guard rank <= 33, kind <= 2 else { throw .damaged("\(body.name) has \(rank) dimensions") }
        let address = kind == 0 ? nil : try body.optionalAddress()
        var sides: [Int] = []
        for _ in 0..<rank { sides.append(try body.number(4)) }
        if kind == 0 { try checkCompact(&body, sizeWidth: 4, type: type, extent: extent) }
        guard kind == 2 else { return }
        let index = try HDF5ChunkIndex(sides: sides, type: type, extent: extent, isPacked: isPacked)
        try index.checkTree(at: address, in: &self)
    }

    /// Data in the header itself.
    private func checkCompact(
        _ body: inout HDF5Cursor, sizeWidth: Int, type: HDF5Described, extent: HDF5Extent
    ) throws(HDF5Refusal) {
        let size = try body.number(sizeWidth)
        _ = try body.take(size)
        try checkSize(size, type: type, extent: extent)
    }

    private func checkSize(
        _ size: Int, type: HDF5Described, extent: HDF5Extent
    ) throws(HDF5Refusal) {
        // What can't be counted is refused by its shape, with better words.
        guard let count = extent.count, let bytes = ElementType.elementCount(shape: [count, type.size]) else {
            return
        }
        guard size == bytes else {
            throw .damaged("a dataset of \(extent.shape) has \(size) bytes, and its elements take \(bytes)")
        }
    }
}
