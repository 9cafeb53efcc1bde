/// How the bytes of a chunk were packed, and how to unpack them.
enum HDF5Filter: Sendable, Equatable {
    /// gzip's method.
    case deflate
    /// The first bytes of all elements, then their second bytes, and so on.
    case shuffle(size: Int)
    /// A checksum at the end.
    case fletcher32

    /// What stands for a filter that the file does not name.
    private static let names = [4: "szip", 5: "nbit", 6: "scaleoffset"]

    /// Reads a list of filters (IV.A.2.l), versions 1 and 2, for elements of so many bytes.
    static func pipeline(_ message: HDF5Cursor, elementSize: Int) throws(UserFacingError) -> [HDF5Filter] {
        var body = message
        let version = try body.version(1...2)
        let count = try body.number(1)
        guard count <= 32 else { throw body.damaged("has \(count) filters") }
        if version == 1 { _ = try body.take(6) }
        var filters: [HDF5Filter] = []
        for _ in 0..<count {
            let number = try body.number(2)
            let nameSize = version == 1 || number >= 256 ? try body.number(2) : 0
            _ = try body.take(2)
            let optionCount = try body.number(2)
            guard version == 2 || nameSize.isMultiple(of: 8) else {
                throw body.damaged("has a filter's name of \(nameSize) bytes")
            }
            var name = names[number] ?? ""
            if nameSize > 0 {
                var text = try body.part(nameSize, "a filter's name")
                name = try text.text()
            }
            let options = try body.numbers(optionCount, of: 4)
            _ = try body.take(version == 1 && optionCount % 2 == 1 ? 4 : 0)
            switch number {
            case 1: filters.append(.deflate)
            case 2: filters.append(.shuffle(size: options.first ?? elementSize))
            case 3: filters.append(.fletcher32)
            default: throw .hdf5Filter("filter \(number)" + (name.isEmpty ? "" : " (\(name))"))
            }
        }
        guard filters.count(where: { $0 == .deflate }) < 2 else { throw .hdf5Filter("gzip more than once") }
        return filters
    }

    /// Undoes the filter.
    ///
    /// - Parameters:
    ///   - bytes: what it made.
    ///   - most: how many bytes it was given at most.
    /// - Returns: what it was given; nil when it can't have made these bytes of so many.
    func undo(_ bytes: [UInt8], most: Int) -> [UInt8]? {
        switch self {
        case .deflate: Deflate.unpacked(bytes, most: most)
        case .shuffle(let size): Self.unshuffle(bytes, size: size)
        case .fletcher32: Self.checked(bytes)
        }
    }

    private static func unshuffle(_ bytes: [UInt8], size: Int) -> [UInt8]? {
        guard size > 0 else { return nil }
        let count = bytes.count / size
        guard size > 1, count > 1 else { return bytes }
        // What does not fill an element stays at the end.
        var whole = bytes
        for part in 0..<size {
            let start = part * count
            for index in 0..<count { whole[index * size + part] = bytes[start + index] }
        }
        return whole
    }

    private static func checked(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.count >= 4 else { return nil }
        let stored = bytes.suffix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        let data = bytes.dropLast(4)
        let sum = fletcher(data)
        // libhdf5 before 1.6.3 turned the bytes of each half around.
        let turned = sum.byteSwapped << 16 | sum.byteSwapped >> 16
        return stored == sum || stored == turned ? Array(data) : nil
    }

    /// Fletcher's checksum of big-endian words of 16 bits, as libhdf5 computes it (H5checksum.c).
    static func fletcher(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        var (first, second) = (UInt32(0), UInt32(0))
        func fold(_ sum: UInt32) -> UInt32 { (sum & 0xFFFF) + (sum >> 16) }
        var place = bytes.startIndex
        while place < bytes.endIndex {
            // As many words as 32 bits can add up.
            let end = min(bytes.endIndex, place + 720)
            while place < end {
                let low = place + 1 < bytes.endIndex ? bytes[place + 1] : 0
                first += UInt32(bytes[place]) << 8 | UInt32(low)
                second += first
                place += 2
            }
            (first, second) = (fold(first), fold(second))
        }
        return fold(second) << 16 | fold(first)
    }
}
