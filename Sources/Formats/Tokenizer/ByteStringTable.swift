/// A set of byte strings, numbered in the order they were added; looked up without making a `String`.
struct ByteStringTable: Sendable {
    /// All strings, one after another.
    private var bytes: [UInt8] = []
    /// Where each string ends in `bytes`, after a leading 0.
    private var ends: [Int] = [0]
    /// The upper half of each string's hash, to skip most comparisons.
    private var marks: [UInt32] = []
    /// Open addressing with linear probing: a string's number, or -1; the count is a power of two.
    private var slots: [Int32]

    /// A table with room for `capacity` strings before it grows.
    init(capacity: Int = 16) {
        slots = Array(repeating: -1, count: slotCount(for: capacity))
        marks.reserveCapacity(capacity)
        ends.reserveCapacity(capacity + 1)
    }

    /// The number of strings.
    var count: Int { marks.count }

    /// The bytes that all strings take together.
    var byteCount: Int { bytes.count }

    /// Removes all strings, keeping the storage.
    mutating func removeAll() {
        bytes.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        ends.append(0)
        marks.removeAll(keepingCapacity: true)
        for index in slots.indices { slots[index] = -1 }
    }

    /// What `body` makes of the string of a number.
    func withString<Result, Failure: Error>(
        _ index: Int, _ body: (Span<UInt8>) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(bytes.span.extracting(ends[index]..<ends[index + 1]))
    }

    /// The number of `string`, or nil when it isn't in the table.
    func index(of string: Span<UInt8>) -> Int? {
        let hash = hash(of: string)
        return find(string, hash).index
    }

    /// Adds a string that may already be there, and gives its number.
    @discardableResult
    mutating func insert(_ string: Span<UInt8>) -> Int {
        if (count + 1) * 2 > slots.count { grow() }
        let hash = hash(of: string)
        let (index, slot) = find(string, hash)
        if let index { return index }
        slots[slot] = Int32(count)
        marks.append(UInt32(hash >> 32))
        bytes.append(string)
        ends.append(bytes.count)
        return count - 1
    }

    /// The string's number, and the slot where it is or would be.
    private func find(_ string: Span<UInt8>, _ hash: UInt64) -> (index: Int?, slot: Int) {
        let mask = slots.count - 1
        let mark = UInt32(hash >> 32)
        var slot = Int(truncatingIfNeeded: hash) & mask
        while true {
            let index = Int(slots[slot])
            if index < 0 { return (nil, slot) }
            if marks[index] == mark, isEqual(string, to: index) { return (index, slot) }
            slot = (slot + 1) & mask
        }
    }

    private func isEqual(_ string: Span<UInt8>, to index: Int) -> Bool {
        let start = ends[index]
        return ends[index + 1] - start == string.count && bytes.span.hasBytes(string, at: start)
    }

    private mutating func grow() {
        slots = Array(repeating: -1, count: slots.count * 2)
        let mask = slots.count - 1
        for index in 0..<count {
            var slot = Int(truncatingIfNeeded: hash(of: bytes.span.extracting(ends[index]..<ends[index + 1])))
            while slots[slot & mask] >= 0 { slot &+= 1 }
            slots[slot & mask] = Int32(index)
        }
    }
}

/// The power of two that keeps `capacity` strings at most half full.
private func slotCount(for capacity: Int) -> Int {
    var count = 16
    while count < capacity * 2 { count *= 2 }
    return count
}

/// Eight bytes at a time: multiply, fold the halves.
private func hash(of string: Span<UInt8>) -> UInt64 {
    var hash = UInt64(truncatingIfNeeded: string.count) &* 0x9E37_79B9_7F4A_7C15
    var index = 0
    let raw = unsafe string.bytes
    while index + 8 <= string.count {
        let eight = unsafe raw.unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self)
        hash = mix(hash ^ eight)
        index += 8
    }
    var rest: UInt64 = 0
    while index < string.count {
        rest = rest << 8 | UInt64(string[index])
        index += 1
    }
    return mix(hash ^ rest)
}

@inline(__always)
private func mix(_ value: UInt64) -> UInt64 {
    let product = value.multipliedFullWidth(by: 0xD6E8_FEB8_6659_FD93)
    return product.high ^ product.low
}
