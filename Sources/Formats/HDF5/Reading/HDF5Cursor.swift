/// Bytes of a file's structure, taken number after number: little-endian, and never beyond their end.
struct HDF5Cursor {
    /// What they are, for the error.
    let name: String
    /// How many bytes addresses and lengths take.
    let sizes: HDF5Sizes
    /// Where in the file the first byte of `bytes`' array lies.
    private let origin: Int
    /// Where in the file the structure begins.
    private let start: Int
    private var bytes: ArraySlice<UInt8>

    /// Begins at the first of `bytes`, which lie at `offset` of the file.
    init(_ bytes: [UInt8], at offset: Int, _ name: String, sizes: HDF5Sizes) {
        self.init(bytes[...], origin: offset, name, sizes: sizes)
    }

    private init(_ bytes: ArraySlice<UInt8>, origin: Int, _ name: String, sizes: HDF5Sizes) {
        (self.bytes, self.origin, self.name, self.sizes) = (bytes, origin, name, sizes)
        start = origin + bytes.startIndex
    }

    /// How many bytes are left.
    var left: Int { bytes.count }

    /// Where the next byte lies in the file.
    var offset: Int { origin + bytes.startIndex }

    /// Says what is wrong with the structure, and where it is.
    func damaged(_ reason: String) -> UserFacingError {
        .damagedHDF5("\(name) at byte \(start) \(reason)")
    }

    /// The next bytes.
    mutating func take(_ count: Int) throws(UserFacingError) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count else { throw damaged("ends too early") }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }

    /// The next bytes by themselves.
    mutating func part(_ count: Int, _ name: String) throws(UserFacingError) -> HDF5Cursor {
        HDF5Cursor(try take(count), origin: origin, name, sizes: sizes)
    }

    /// The next bytes by themselves, having compared their checksum, which follows them.
    mutating func summed(_ count: Int) throws(UserFacingError) -> HDF5Cursor {
        let part = try part(count, name)
        guard try word(4) == HDF5Checksum.lookup3(Array(part.bytes)) else {
            throw damaged("has another checksum than its bytes")
        }
        return part
    }

    /// The next number, unsigned, of so many bytes.
    mutating func word(_ count: Int) throws(UserFacingError) -> UInt64 {
        try take(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The next number where it has to be one that can be counted with.
    mutating func number(_ count: Int) throws(UserFacingError) -> Int {
        guard let number = Int(exactly: try word(count)) else {
            throw damaged("has a number larger than any file")
        }
        return number
    }

    /// The next numbers, each of so many bytes.
    mutating func numbers(_ count: Int, of width: Int) throws(UserFacingError) -> [Int] {
        var numbers: [Int] = []
        for _ in 0..<count { numbers.append(try number(width)) }
        return numbers
    }

    /// The next length.
    mutating func length() throws(UserFacingError) -> Int { try number(sizes.length) }

    /// The next address, counted from where the file begins; nil where it is undefined.
    mutating func optionalAddress() throws(UserFacingError) -> Int? {
        let word = try word(sizes.address)
        guard word != UInt64.max >> UInt64(64 - 8 * sizes.address) else { return nil }
        guard let address = Int(exactly: word) else { throw damaged("has an address beyond any file") }
        return address
    }

    /// The next address, which has to be defined.
    mutating func address() throws(UserFacingError) -> Int {
        guard let address = try optionalAddress() else { throw damaged("leads nowhere") }
        return address
    }

    /// Expects a mark of four letters and a version.
    mutating func expect(_ mark: String, version: Int) throws(UserFacingError) {
        guard try take(4).elementsEqual(mark.utf8), try number(1) == version else {
            throw damaged("does not begin with \(mark) and \(version)")
        }
    }

    /// Expects a number of one byte to be among some.
    mutating func version(_ known: ClosedRange<Int>) throws(UserFacingError) -> Int {
        let version = try number(1)
        guard known.contains(version) else { throw damaged("has the unknown version \(version)") }
        return version
    }

    /// Takes text that a zero byte ends, and fills up to a multiple of `unit`.
    mutating func text(unit: Int = 1) throws(UserFacingError) -> String {
        guard let end = bytes.firstIndex(of: 0) else { throw damaged("has a name without an end") }
        let count = end - bytes.startIndex + 1
        return String(decoding: try take((count + unit - 1) / unit * unit).prefix(count - 1), as: UTF8.self)
    }
}

/// How many bytes addresses and lengths take in a file.
struct HDF5Sizes: Equatable {
    /// Bytes of an address.
    let address: Int
    /// Bytes of a length.
    let length: Int
}

/// The checksum of HDF5's headers: Bob Jenkins's lookup3, `hashlittle` from 0 on.
///
/// Source: HDF5 file format specification 3.0, "Checksum"; http://burtleburtle.net/bob/c/lookup3.c
enum HDF5Checksum {
    /// The checksum of bytes.
    static func lookup3(_ bytes: [UInt8]) -> UInt32 {
        var state = State(length: bytes.count)
        var start = 0
        while bytes.count - start > 12 {
            state.add(bytes[start..<start + 12])
            state.mix()
            start += 12
        }
        if start < bytes.count {
            state.add(bytes[start...])
            state.finish()
        }
        return state.c
    }

    private struct State {
        var a, b, c: UInt32

        init(length: Int) {
            a = 0xDEAD_BEEF &+ UInt32(truncatingIfNeeded: length)
            b = a
            c = a
        }

        /// Adds up to twelve bytes, four to each word.
        mutating func add(_ bytes: ArraySlice<UInt8>) {
            for (index, byte) in bytes.enumerated() {
                let part = UInt32(byte) << (UInt32(index) % 4 * 8)
                switch index / 4 {
                case 0: a &+= part
                case 1: b &+= part
                default: c &+= part
                }
            }
        }

        mutating func mix() {
            Self.step(&a, &b, &c, 4)
            Self.step(&b, &c, &a, 6)
            Self.step(&c, &a, &b, 8)
            Self.step(&a, &b, &c, 16)
            Self.step(&b, &c, &a, 19)
            Self.step(&c, &a, &b, 4)
        }

        /// One line of the original's `mix`: `a -= c; a ^= rot(c, k); c += b`.
        private static func step(
            _ first: inout UInt32, _ second: inout UInt32, _ third: inout UInt32, _ k: UInt32
        ) {
            first &-= third
            first ^= rotate(third, k)
            third &+= second
        }

        mutating func finish() {
            Self.turn(&c, b, 14)
            Self.turn(&a, c, 11)
            Self.turn(&b, a, 25)
            Self.turn(&c, b, 16)
            Self.turn(&a, c, 4)
            Self.turn(&b, a, 14)
            Self.turn(&c, b, 24)
        }

        /// One line of the original's `final`: `c ^= b; c -= rot(b, k)`.
        private static func turn(_ first: inout UInt32, _ second: UInt32, _ k: UInt32) {
            first ^= second
            first &-= rotate(second, k)
        }

        private static func rotate(_ word: UInt32, _ k: UInt32) -> UInt32 { word << k | word >> (32 - k) }
    }
}
