/// Where a dataset's elements are in the file: a data layout message (IV.A.2.i), versions 1 to 4.
enum HDF5DataLayout: Sendable {
    /// In one piece from this byte of the file on, be that in the header itself; nil when they were never written.
    case contiguous(Int?)
    /// In chunks.
    case chunked(HDF5Chunks)

    /// Reads where a dataset's elements are, and the index of its chunks.
    init(
        _ message: HDF5Cursor, type: HDF5Datatype, space: HDF5Dataspace, filters: [HDF5Filter],
        in reader: inout HDF5Reader
    ) throws(UserFacingError) {
        guard let count = space.count, let bytes = ElementType.elementCount(shape: [count, type.size]) else {
            throw .hdf5Shape("a shape whose bytes can't be counted", expected: "no file holds that much")
        }
        var body = message
        let version = try body.version(1...4)
        var rank = version < 3 ? try body.number(1) : 0
        let kind = try body.number(1)
        if version < 3 { _ = try body.take(5) }
        let flags = kind == 2 && version == 4 ? try body.number(1) : 0
        if kind == 2, version > 2 { rank = try body.number(1) }
        let width = kind == 2 && version == 4 ? try body.number(1) : 4
        guard rank <= 33, (1...8).contains(width) else {
            throw body.damaged("has chunks of \(rank) dimensions")
        }
        let address = kind == 1 || kind == 2 && version < 4 ? try body.optionalAddress() : nil
        let sides = try body.numbers(rank, of: width)
        switch kind {
        case 0:
            let size = try body.number(version < 3 ? 4 : 2)
            try Self.check(size, bytes, space)
            self = .contiguous(body.offset)
            _ = try body.take(size)
        case 1:
            if version > 2 { try Self.check(try body.length(), bytes, space) }
            let base = reader.superblock.base
            if let address, bytes > 0, address > reader.file.size - base - bytes {
                throw .hdf5Shape(
                    "\(bytes) bytes from byte \(address) on",
                    expected: "the file ends at \(reader.file.size); it is cut off, download it again")
            }
            self = .contiguous(bytes > 0 ? address.map { base + $0 } : nil)
        case 2:
            var chunks = try HDF5Chunks(
                sides: sides, bytes: bytes, type: type, space: space, filters: filters,
                isEdgePlain: flags & 1 != 0)
            if version < 4 {
                try chunks.readTree(at: address, in: &reader)
            } else {
                try chunks.readIndex(&body, flags: flags, in: &reader)
            }
            self = .chunked(chunks)
        case 3: throw .hdf5Storage("a virtual dataset, made of others")
        default: throw body.damaged("has the unknown layout \(kind)")
        }
    }

    private static func check(_ size: Int, _ bytes: Int, _ space: HDF5Dataspace) throws(UserFacingError) {
        guard size == bytes else {
            throw .damagedHDF5(
                "a dataset of \(space.shape ?? []) has \(size) bytes, and its elements take \(bytes)")
        }
    }

    /// How many bytes are stored of a dataset that takes so many.
    func storedByteCount(of bytes: Int) -> Int {
        switch self {
        case .contiguous(let start): start == nil ? 0 : bytes
        case .chunked(let chunks): chunks.storedByteCount
        }
    }
}

// MARK: - The index of chunks

/// Source: HDF5 file format specification 3.0, VII, "Chunk Indexing".
extension HDF5Chunks {
    private static let name = "an index of chunks"

    /// Whether chunks are packed, so that their sizes stand in the index.
    private var isPacked: Bool { !filters.isEmpty }

    /// Reads the tree that versions up to 3 of the layout have.
    fileprivate mutating func readTree(
        at address: Int?, in reader: inout HDF5Reader
    ) throws(UserFacingError) {
        guard let address else { return }
        let most = 2 * reader.superblock.settings.chunks
        // The chunk's size, which of its filters were left out, and where it begins on each axis.
        let keySize = 8 + 8 * (sides.count + 1)
        for (key, child) in try reader.tree(at: address, kind: 1, most: most, keySize: keySize) {
            var key = key
            let (count, mask) = (try key.number(4), UInt32(truncatingIfNeeded: try key.word(4)))
            var scaled: [Int] = []
            for side in sides {
                let start = try key.number(8)
                guard start.isMultiple(of: side) else { throw key.damaged("begins a chunk inside another") }
                scaled.append(start / side)
            }
            try add(scaled, address: child, count: count, mask: mask, in: reader)
        }
    }

    /// Reads the index that version 4 of the layout names, whose message ends with it.
    fileprivate mutating func readIndex(
        _ body: inout HDF5Cursor, flags: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) {
        switch try body.number(1) {
        case 1:
            guard isPacked == (flags & 2 != 0) else {
                throw body.damaged("does not say whether its chunk is packed")
            }
            let count = isPacked ? try body.length() : byteCount
            let mask = isPacked ? UInt32(truncatingIfNeeded: try body.word(4)) : 0
            try add(
                sides.map { _ in 0 }, address: body.optionalAddress(), count: count, mask: mask, in: reader)
        case 2: try addAll(from: body.optionalAddress(), in: reader)
        case 3:
            let pageBits = try body.number(1)
            if let address = try body.optionalAddress() {
                try readArray(at: address, pageBits: pageBits, in: &reader)
            }
        case 4: throw .hdf5Storage("stored so that it can grow along one axis")
        case 5:
            _ = try body.take(6)
            if let address = try body.optionalAddress() { try readRecords(at: address, in: &reader) }
        case let kind: throw body.damaged("has an index of chunks of the unknown kind \(kind)")
        }
    }

    /// Chunks that follow each other without an index.
    private mutating func addAll(from address: Int?, in reader: HDF5Reader) throws(UserFacingError) {
        guard let address else { return }
        let most = reader.file.size / byteCount
        guard !isPacked, let grid, let count = ElementType.elementCount(shape: grid), count <= most,
            address <= reader.file.size
        else {
            throw .damagedHDF5("\(Self.name) is not there, and its chunks are packed or more than fit")
        }
        for number in 0..<count {
            try add(
                Self.scaled(number, in: grid), address: address + number * byteCount, count: byteCount,
                mask: 0, in: reader)
        }
    }

    /// Reads a tree in which each record is a chunk (VII.E).
    private mutating func readRecords(
        at address: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) {
        let size = elementSize(reader.superblock.sizes)
        let tree = try HDF5BTree(
            at: address, kind: isPacked ? 11 : 10, recordSize: size + 8 * sides.count, in: &reader)
        for var record in tree.records {
            let (address, count, mask) = try chunk(&record, size: size)
            try add(
                record.numbers(sides.count, of: 8), address: address, count: count, mask: mask, in: reader)
        }
    }

    /// Reads what an index says of a chunk.
    private func chunk(
        _ bytes: inout HDF5Cursor, size: Int
    ) throws(UserFacingError) -> (address: Int?, count: Int, mask: UInt32) {
        let address = try bytes.optionalAddress()
        guard isPacked else { return (address, byteCount, 0) }
        let count = try bytes.number(size - bytes.sizes.address - 4)
        return (address, count, UInt32(truncatingIfNeeded: try bytes.word(4)))
    }

    /// How much an index says of each chunk: where it is, and of packed ones how large, and which filters are left out.
    private func elementSize(_ sizes: HDF5Sizes) -> Int {
        sizes.address + (isPacked ? min(8, 1 + (71 - byteCount.leadingZeroBitCount) / 8) + 4 : 0)
    }

    /// Reads an array of all chunks (VII.C).
    private mutating func readArray(
        at address: Int, pageBits: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) {
        try reader.visit(address, Self.name)
        let sizes = reader.superblock.sizes
        let headerSize = 8 + sizes.length + sizes.address
        var whole = try reader.bytes(at: address, count: headerSize + 4, Self.name)
        var header = try whole.summed(headerSize)
        try header.expect("FAHD", version: 0)
        let (kind, size) = (try header.number(1), try header.number(1))
        let isPaged = try header.number(1)
        let count = try header.length()
        guard let grid, kind == (isPacked ? 1 : 0), size == elementSize(sizes), isPaged == pageBits,
            pageBits < 32,
            count == ElementType.elementCount(shape: grid), count > 0, count <= reader.file.size / size
        else { throw header.damaged("has \(count) elements of \(size) bytes") }
        guard let block = try header.optionalAddress() else { return }
        try readBlock(
            at: block, of: address, grid: grid, size: size, perPage: 1 << pageBits, in: &reader)
    }

    /// Reads the block that has an array's elements, or pages of them.
    private mutating func readBlock(
        at block: Int, of header: Int, grid: [Int], size: Int, perPage: Int, in reader: inout HDF5Reader
    ) throws(UserFacingError) {
        try reader.visit(block, Self.name)
        let count = grid.reduce(1, *)
        let pages = count > perPage ? (count + perPage - 1) / perPage : 0
        let prefix = 6 + reader.superblock.sizes.address + (pages + 7) / 8
        let first = pages > 0 ? 0 : count
        let rest = pages > 0 ? count * size + 4 * pages : 0
        var whole = try reader.bytes(at: block, count: prefix + first * size + 4 + rest, Self.name)
        var data = try whole.summed(prefix + first * size)
        try data.expect("FADB", version: 0)
        guard try data.number(1) == (isPacked ? 1 : 0), try data.address() == header else {
            throw data.damaged("is a block of another index")
        }
        // A bit for each page that was written; the others have no checksum.
        let isWritten = Array(try data.take((pages + 7) / 8))
        for page in 0..<pages {
            let bytes = min(perPage, count - page * perPage) * size
            if isWritten[page / 8] & 0x80 >> UInt8(page % 8) == 0 {
                _ = try whole.take(bytes + 4)
            } else {
                try addChunks(whole.summed(bytes), from: page * perPage, grid: grid, size: size, in: reader)
            }
        }
        try addChunks(data, from: 0, grid: grid, size: size, in: reader)
    }

    private mutating func addChunks(
        _ elements: HDF5Cursor, from first: Int, grid: [Int], size: Int, in reader: HDF5Reader
    ) throws(UserFacingError) {
        var (elements, number) = (elements, first)
        while elements.left >= size {
            let (address, count, mask) = try chunk(&elements, size: size)
            try add(
                Self.scaled(number, in: grid), address: address, count: count, mask: mask, in: reader)
            number += 1
        }
    }

    /// Notes where a chunk is; one beyond the dataset's edge is of no use.
    ///
    /// - Parameters:
    ///   - scaled: how many chunks lie before it on each axis.
    ///   - address: where it is; nil when it was never written.
    ///   - count: how many bytes it has there.
    ///   - mask: a bit for each filter that was left out.
    ///   - reader: what has the file.
    /// - Throws: ``UserFacingError`` when it reaches beyond the file, or is there twice.
    private mutating func add(
        _ scaled: [Int], address: Int?, count: Int, mask: UInt32, in reader: HDF5Reader
    ) throws(UserFacingError) {
        guard let address else { return }
        for ((index, side), length) in zip(zip(scaled, sides), shape) {
            guard length > 0, index <= (length - 1) / side else { return }
        }
        let origin = zip(scaled, sides).map(*)
        let base = reader.superblock.base
        let size = reader.file.size - base
        guard address <= size, count <= size - address, count > 0 else {
            throw .damagedHDF5(
                "the chunk at \(origin) has \(count) bytes from \(address) on, the file \(size)")
        }
        guard insert(Chunk(offset: base + address, count: count, mask: mask), at: origin) else {
            throw .damagedHDF5("an index has two chunks that begin at \(origin)")
        }
    }

    /// How many chunks there may be on each axis; nil when that is without limit.
    private var grid: [Int]? {
        let counts = zip(maximum, sides).map { maximum, side in
            maximum.map { $0 / side + ($0 % side == 0 ? 0 : 1) }
        }
        let known = counts.compactMap(\.self)
        return known.count == counts.count && ElementType.elementCount(shape: known) != nil ? known : nil
    }

    /// How many chunks lie before one on each axis, by its number in a grid.
    private static func scaled(_ number: Int, in grid: [Int]) -> [Int] {
        var (rest, scaled) = (number, grid)
        for axis in grid.indices.reversed() {
            scaled[axis] = rest % grid[axis]
            rest /= grid[axis]
        }
        return scaled
    }
}
