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
