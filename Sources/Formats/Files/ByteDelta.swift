/// A file as parts of another file and what stands between them: small where the two are alike.
///
/// A delta is a list of: how many new bytes there are, these bytes, how many bytes are copied, and where from, counted from
/// the end of the last copy. Numbers are LEB128, the last one signed (zigzag). It has no copy at its end when new bytes end it.
enum ByteDelta {
    /// How many bytes two places must share to be found.
    private static let block = 32

    /// What makes `target` of `base`.
    static func between(_ base: [UInt8], _ target: [UInt8]) -> [UInt8] {
        let blocks = BlockTable(base, block)
        var delta: [UInt8] = []
        var written = 0
        var last = 0
        var window = RollingHash(block)
        var filled = 0
        var place = 0
        while place < target.count {
            window.push(target[place], out: filled == block ? target[place - block] : nil)
            filled = min(filled + 1, block)
            place += 1
            guard filled == block, let found = blocks.place(of: window.value),
                let match = Self.match(base, found, target, place - block, after: written)
            else { continue }
            append(target[written..<match.target], to: &delta)
            append(UInt64(match.count), to: &delta)
            append(zigzag(match.base - last), to: &delta)
            last = match.base + match.count
            written = match.target + match.count
            (place, filled, window) = (written, 0, RollingHash(block))
        }
        if written < target.count { append(target[written...], to: &delta) }
        return delta
    }

    /// What a delta makes of `base`; nil when it is none of it, or makes more than `most` bytes.
    static func apply(_ delta: [UInt8], to base: [UInt8], most: Int) -> [UInt8]? {
        var result: [UInt8] = []
        var reader = NumberReader(delta)
        var last = 0
        while !reader.isAtEnd {
            guard let count = reader.size(), count <= most - result.count, let new = reader.bytes(count)
            else { return nil }
            result += new
            if reader.isAtEnd { break }
            guard let copied = reader.size(), let distance = reader.distance(),
                case let (start, overflow) = last.addingReportingOverflow(distance), !overflow, start >= 0,
                start <= base.count, copied <= base.count - start, copied <= most - result.count
            else { return nil }
            result += base[start..<start + copied]
            last = start + copied
        }
        return result
    }

    /// The bytes around two places that both share, those written already not among them.
    private static func match(
        _ base: [UInt8], _ found: Int, _ target: [UInt8], _ place: Int, after written: Int
    ) -> (base: Int, target: Int, count: Int)? {
        var (start, first) = (found, place)
        var count = 0
        while start + count < base.count, first + count < target.count,
            base[start + count] == target[first + count]
        {
            count += 1
        }
        guard count >= block else { return nil }
        while start > 0, first > written, base[start - 1] == target[first - 1] {
            (start, first, count) = (start - 1, first - 1, count + 1)
        }
        return (start, first, count)
    }

    // MARK: Numbers

    private static func append(_ bytes: ArraySlice<UInt8>, to delta: inout [UInt8]) {
        append(UInt64(bytes.count), to: &delta)
        delta += bytes
    }

    private static func append(_ number: UInt64, to delta: inout [UInt8]) {
        var rest = number
        while rest >= 0x80 {
            delta.append(UInt8(rest & 0x7F) | 0x80)
            rest >>= 7
        }
        delta.append(UInt8(rest))
    }

    private static func zigzag(_ number: Int) -> UInt64 {
        UInt64(bitPattern: Int64(number << 1 ^ number >> (Int.bitWidth - 1)))
    }

    private struct NumberReader {
        private let bytes: [UInt8]
        private var place = 0

        init(_ bytes: [UInt8]) { self.bytes = bytes }

        var isAtEnd: Bool { place == bytes.count }

        mutating func number() -> UInt64? {
            var number: UInt64 = 0
            for shift in stride(from: UInt64(0), to: 63, by: 7) {
                guard place < bytes.count else { return nil }
                number |= UInt64(bytes[place] & 0x7F) << shift
                place += 1
                if bytes[place - 1] < 0x80 { return number }
            }
            return nil
        }

        mutating func size() -> Int? { number().flatMap { Int(exactly: $0) } }

        mutating func distance() -> Int? {
            number().map { Int(Int64(bitPattern: $0 >> 1)) ^ -Int(Int64(bitPattern: $0 & 1)) }
        }

        mutating func bytes(_ count: Int) -> ArraySlice<UInt8>? {
            guard count <= bytes.count - place else { return nil }
            place += count
            return bytes[place - count..<place]
        }
    }
}

/// The hash of the last bytes that were pushed, as Rabin and Karp move it along.
private struct RollingHash {
    private static let factor: UInt64 = 0x9E37_79B9_7F4A_7C15
    private(set) var value: UInt64 = 0
    private let leaving: UInt64

    init(_ length: Int) {
        leaving = (0..<length).reduce(UInt64(1)) { power, _ in power &* Self.factor }
    }

    mutating func push(_ byte: UInt8, out: UInt8?) {
        value = value &* Self.factor &+ UInt64(byte) &+ 1
        if let out { value = value &- (UInt64(out) &+ 1) &* leaving }
    }
}

/// Where the whole blocks of a file are, by their hash; of equal ones the first.
private struct BlockTable {
    private var places: [Int32]
    private var hashes: [UInt64]

    init(_ bytes: [UInt8], _ block: Int) {
        var size = 16
        while size < bytes.count / block * 2 { size *= 2 }
        places = [Int32](repeating: -1, count: size)
        hashes = [UInt64](repeating: 0, count: size)
        for start in stride(from: 0, through: min(bytes.count, Int(Int32.max)) - block, by: block) {
            var hash = RollingHash(block)
            for place in start..<start + block { hash.push(bytes[place], out: nil) }
            var slot = slot(of: hash.value)
            while places[slot] >= 0 && hashes[slot] != hash.value { slot = (slot + 1) & (size - 1) }
            if places[slot] < 0 { (places[slot], hashes[slot]) = (Int32(start), hash.value) }
        }
    }

    func place(of hash: UInt64) -> Int? {
        var slot = slot(of: hash)
        while places[slot] >= 0 {
            if hashes[slot] == hash { return Int(places[slot]) }
            slot = (slot + 1) & (places.count - 1)
        }
        return nil
    }

    private func slot(of hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash ^ hash >> 29) & (places.count - 1)
    }
}
