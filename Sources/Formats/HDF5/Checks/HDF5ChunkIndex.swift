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
        try checker.checkTree(at: address, kind: 1, most: most, keySize: 8 + 8 * sides.count) {
            checker, key, child throws(HDF5Refusal) in
            guard let child else { return }
            let (count, mask) = (try key.number(4), UInt32(truncatingIfNeeded: try key.word(4)))
            var scaled: [Int] = []
            for side in sides.dropLast() {
                let start = try key.number(8)
                guard start.isMultiple(of: side) else { throw .damaged("a chunk begins inside another") }
                scaled.append(start / side)
            }
            try add(scaled, address: child, count: count, mask: mask, to: &checker)
        }
    }

    /// Checks the index that version 4 of the layout names, whose message ends with it.
    func check(
        _ body: inout HDF5Cursor, flags: Int, in checker: inout HDF5Checker
    ) throws(HDF5Refusal) {
        switch try body.number(1) {
        case 1:
            guard isPacked == (flags & 2 != 0) else {
                throw .damaged("\(Self.name) does not say whether its chunk is packed")
            }
            let count = isPacked ? try body.length() : byteCount
            let mask = isPacked ? UInt32(truncatingIfNeeded: try body.word(4)) : 0
            try add(
                sides.dropLast().map { _ in 0 }, address: body.optionalAddress(), count: count, mask: mask,
                to: &checker)
        case 2: try addAll(from: body.optionalAddress(), to: &checker)
        case 3:
            let pageBits = try body.number(1)
            if let address = try body.optionalAddress() {
                try checkArray(at: address, pageBits: pageBits, in: &checker)
            }
        case 4: throw .storage("stored so that it can grow along one axis")
        case 5:
            _ = try body.take(6)
            guard let address = try body.optionalAddress() else { return }
            try checkRecords(at: address, in: &checker)
        case let kind: throw .damaged("\(Self.name) is of the unknown kind \(kind)")
        }
    }

    /// Chunks that follow each other without an index.
    private func addAll(from address: Int?, to checker: inout HDF5Checker) throws(HDF5Refusal) {
        guard let address else { return }
        let most = checker.file.size / byteCount
        guard !isPacked, let grid, let count = ElementType.elementCount(shape: grid), count <= most else {
            throw .damaged("\(Self.name) is not there, and its chunks are packed or more than fit")
        }
        for number in 0..<count {
            try add(
                Self.scaled(number, in: grid), address: address + number * byteCount, count: byteCount,
                mask: 0, to: &checker)
        }
    }

    /// Checks a tree in which each record is a chunk (VII.E).
    private func checkRecords(at address: Int, in checker: inout HDF5Checker) throws(HDF5Refusal) {
        let size = elementSize(checker.superblock.sizes)
        _ = try HDF5RecordTree(
            at: address, kind: isPacked ? 11 : 10, recordSize: size + 8 * extent.shape.count, in: &checker
        ) { checker, record throws(HDF5Refusal) in
            let (address, count, mask) = try chunk(&record, size: size)
            var scaled: [Int] = []
            for _ in extent.shape { scaled.append(try record.number(8)) }
            try add(scaled, address: address, count: count, mask: mask, to: &checker)
        }
    }

    /// Reads what an index says of a chunk.
    private func chunk(
        _ bytes: inout HDF5Cursor, size: Int
    ) throws(HDF5Refusal) -> (address: Int?, count: Int, mask: UInt32) {
        let address = try bytes.optionalAddress()
        guard isPacked else { return (address, byteCount, 0) }
        let count = try bytes.number(size - bytes.sizes.address - 4)
        return (address, count, UInt32(truncatingIfNeeded: try bytes.word(4)))
    }

    /// What the index says of each chunk: where it is, and of packed ones how large, and which filters are left out.
    private func elementSize(_ sizes: HDF5Sizes) -> Int {
        sizes.address + (isPacked ? min(8, 1 + (71 - byteCount.leadingZeroBitCount) / 8) + 4 : 0)
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
        guard let grid, kind == (isPacked ? 1 : 0), size == elementSize(sizes), isPaged == pageBits,
            pageBits < 32,
            count == ElementType.elementCount(shape: grid), count > 0, count <= checker.file.size / size
        else { throw .damaged("\(Self.name) has \(count) elements of \(size) bytes") }
        guard let block = try header.optionalAddress() else { return }
        try checkBlock(
            at: block, of: address, grid: grid, size: size, perPage: 1 << pageBits, in: &checker)
    }

    /// Checks the block that has an array's elements, or pages of them.
    private func checkBlock(
        at block: Int, of header: Int, grid: [Int], size: Int, perPage: Int, in checker: inout HDF5Checker
    ) throws(HDF5Refusal) {
        try checker.visit(block, Self.name)
        let count = grid.reduce(1, *)
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
                var elements = try whole.summed(bytes)
                try addChunks(&elements, from: page * perPage, grid: grid, size: size, to: &checker)
            }
        }
        try addChunks(&data, from: 0, grid: grid, size: size, to: &checker)
    }

    private func addChunks(
        _ elements: inout HDF5Cursor, from first: Int, grid: [Int], size: Int, to checker: inout HDF5Checker
    ) throws(HDF5Refusal) {
        var number = first
        while elements.left >= size {
            let (address, count, mask) = try chunk(&elements, size: size)
            try add(
                Self.scaled(number, in: grid), address: address, count: count, mask: mask, to: &checker)
            number += 1
        }
    }
}
