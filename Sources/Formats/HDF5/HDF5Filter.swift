internal import CHDF5

/// How the bytes of a chunk were packed, and how to unpack them.
///
/// The library unpacks, too, and does not ask whether a chunk comes out as large as it has to be: it reads beyond
/// the end of one that is too small. So chunks are read and unpacked without it.
enum HDF5Filter: Sendable, Equatable {
    /// gzip's method.
    case deflate
    /// The first bytes of all elements, then their second bytes, and so on.
    case shuffle(size: Int)
    /// A checksum at the end.
    case fletcher32

    /// A filter by the library's number for it; nil for one that is not known.
    init?(_ number: H5Z_filter_t, options: [UInt32], size: Int) {
        switch number {
        case 1: self = .deflate
        case 2: self = .shuffle(size: options.first.map { Int($0) } ?? size)
        case 3: self = .fletcher32
        default: return nil
        }
    }

    /// Undoes the filter.
    ///
    /// - Parameters:
    ///   - bytes: what it made.
    ///   - most: how many bytes it was given at most.
    /// - Returns: what it was given; nil when it can't have made these bytes of so many.
    func undo(_ bytes: [UInt8], most: Int) -> [UInt8]? {
        switch self {
        case .deflate: Self.inflate(bytes, most: most)
        case .shuffle(let size): Self.unshuffle(bytes, size: size)
        case .fletcher32: Self.checked(bytes)
        }
    }

    private static func inflate(_ bytes: [UInt8], most: Int) -> [UInt8]? {
        var count = -1
        let whole = unsafe [UInt8](unsafeUninitializedCapacity: most) { room, initialized in
            unsafe bytes.withUnsafeBufferPointer { packed in
                count = unsafe CHDF5Inflate(packed.baseAddress, packed.count, room.baseAddress, room.count)
            }
            initialized = max(0, count)
        }
        return count < 0 ? nil : whole
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
        // The library before 1.6.3 turned the bytes of each half around.
        let turned = sum.byteSwapped << 16 | sum.byteSwapped >> 16
        return stored == sum || stored == turned ? Array(data) : nil
    }

    /// Fletcher's checksum of big-endian words of 16 bits, as the library computes it (H5checksum.c).
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
