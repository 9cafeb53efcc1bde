import Formats

/// A file whose bytes are changed, mostly where it says how it is built.
struct HDF5Mutation {
    private let original: [UInt8]
    /// Where its structures begin.
    private let places: [Int]
    /// What has a checksum behind it, so that a change would be found by that alone.
    private let sums: [Range<Int>]

    private static let marks = [
        "TREE", "SNOD", "HEAP", "GCOL", "OHDR", "OCHK", "FRHP", "FHDB", "FHIB", "BTHD", "BTLF", "BTIN",
        "FAHD",
        "FADB",
    ]

    /// Numbers that sizes and addresses are changed to.
    private static let words: [UInt64] = [
        0, 1, 2, 7, 8, 16, 127, 128, 255, 256, 0x7FFF, 0xFFFF, 0x10000, 0x7FFF_FFFF, 0xFFFF_FFFF, 1 << 32,
        1 << 62, 1 << 63, .max - 8, .max,
    ]

    init(_ original: [UInt8]) {
        self.original = original
        var (places, sums) = ([8], [Range<Int>]())
        for place in 0..<original.count - 4 where (65...90).contains(original[place]) {
            guard let mark = Self.marks.first(where: { original[place..<place + 4].elementsEqual($0.utf8) })
            else { continue }
            places.append(place)
            if mark == "SNOD" { places += Self.headers(at: place, in: original) }
            if let size = Self.summed(mark, at: place, in: original) { sums.append(place..<place + size) }
        }
        if original[8] >= 2 { sums.append(0..<44) }
        (self.places, self.sums) = (places, sums)
    }

    /// How many checksums there are.
    var checksumCount: Int { sums.count }

    /// The headers that a node of symbols names; those of version 1 have no mark.
    private static func headers(at place: Int, in bytes: [UInt8]) -> [Int] {
        (0..<Int(bytes[place + 6])).map { Int(word(at: place + 8 + 40 * $0 + 8, size: 8, in: bytes)) }
            .filter { $0 < bytes.count }
    }

    /// How many bytes lie before a structure's checksum; nil where none is found.
    private static func summed(_ mark: String, at place: Int, in bytes: [UInt8]) -> Int? {
        var sizes = 0..<0
        switch mark {
        case "OHDR":
            let flags = bytes[place + 5]
            let skipped = 6 + (flags & 0x20 != 0 ? 16 : 0) + (flags & 0x10 != 0 ? 4 : 0)
            let width = 1 << Int(flags & 3)
            let size = skipped + width + Int(word(at: place + skipped, size: width, in: bytes))
            sizes = size..<size + 1
        case "BTHD": sizes = 34..<35
        case "FRHP": sizes = 142..<143
        case "BTLF", "BTIN", "FAHD", "FADB", "OCHK", "FHIB": sizes = 8..<600
        default: return nil
        }
        return sizes.first {
            place + $0 + 4 <= bytes.count
                && lookup3(bytes[place..<place + $0]) == UInt32(word(at: place + $0, size: 4, in: bytes))
        }
    }

    /// The file with one to eight bytes, or a number, or a run of bytes changed, and right checksums.
    func changed(_ dice: inout SplitMix64) -> [UInt8] {
        var bytes = original
        switch Int.random(in: 0..<8, using: &dice) {
        case 0: bytes[place(&dice)] ^= 1 << UInt8.random(in: 0..<8, using: &dice)
        case 1...3:
            for _ in 0..<Int.random(in: 1...8, using: &dice) {
                bytes[place(&dice)] = UInt8.random(in: 0...255, using: &dice)
            }
        case 4...6:
            let size = 1 << Int.random(in: 0...3, using: &dice)
            let place = min(place(&dice) / size * size, bytes.count - size)
            let old = Self.word(at: place, size: size, in: bytes)
            let changes = Self.words + [old &+ 1, old &- 1, old << 1, old >> 1, UInt64(places[0])]
            let new = changes[Int.random(in: changes.indices, using: &dice)]
            for index in 0..<size { bytes[place + index] = UInt8(truncatingIfNeeded: new >> (8 * index)) }
        default:
            let place = place(&dice)
            let count = min(1 << Int.random(in: 1...8, using: &dice), bytes.count - place)
            let value: UInt8 = Bool.random(using: &dice) ? 0 : 255
            bytes.replaceSubrange(place..<place + count, with: repeatElement(value, count: count))
        }
        for range in sums {
            let sum = Self.lookup3(bytes[range])
            for index in 0..<4 {
                bytes[range.upperBound + index] = UInt8(truncatingIfNeeded: sum >> (8 * index))
            }
        }
        return bytes
    }

    private func place(_ dice: inout SplitMix64) -> Int {
        let start = places[Int.random(in: places.indices, using: &dice)]
        let reach = 1 << Int.random(in: 3...9, using: &dice)
        return min(start + Int.random(in: 0..<reach, using: &dice), original.count - 1)
    }

    private static func word(at place: Int, size: Int, in bytes: [UInt8]) -> UInt64 {
        bytes[place..<place + size].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The checksum of HDF5's headers: Bob Jenkins's lookup3.
    static func lookup3(_ bytes: ArraySlice<UInt8>) -> UInt32 {
        func turn(_ word: UInt32, _ k: UInt32) -> UInt32 { word << k | word >> (32 - k) }
        var s = [UInt32](repeating: 0xDEAD_BEEF &+ UInt32(bytes.count), count: 3)
        var rest = bytes
        while !rest.isEmpty {
            for (index, byte) in rest.prefix(12).enumerated() {
                s[index / 4] &+= UInt32(byte) << (UInt32(index) % 4 * 8)
            }
            let isLast = rest.count <= 12
            rest = rest.dropFirst(12)
            if isLast {
                for (x, y, k) in [
                    (2, 1, 14), (0, 2, 11), (1, 0, 25), (2, 1, 16), (0, 2, 4), (1, 0, 14), (2, 1, 24),
                ] as [(Int, Int, UInt32)] { s[x] = (s[x] ^ s[y]) &- turn(s[y], k) }
            } else {
                for (step, k) in ([4, 6, 8, 16, 19, 4] as [UInt32]).enumerated() {
                    let (x, y, z) = (step % 3, (step + 1) % 3, (step + 2) % 3)
                    s[x] = (s[x] &- s[z]) ^ turn(s[z], k)
                    s[z] &+= s[y]
                }
            }
        }
        return s[2]
    }
}
