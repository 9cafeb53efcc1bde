/// Bytes of a file's structure, taken number after number: little-endian, and never beyond their end.
struct HDF5Cursor {
    /// What they are, for the error.
    let name: String
    /// How many bytes addresses and lengths take.
    let sizes: HDF5Sizes
    private var bytes: ArraySlice<UInt8>

    /// Begins at the first of `bytes`.
    init(_ bytes: ArraySlice<UInt8>, _ name: String, sizes: HDF5Sizes) {
        (self.bytes, self.name, self.sizes) = (bytes, name, sizes)
    }

    /// How many bytes are left.
    var left: Int { bytes.count }

    /// The next bytes.
    mutating func take(_ count: Int) throws(HDF5Refusal) -> ArraySlice<UInt8> {
        guard count >= 0, count <= bytes.count else { throw .damaged("\(name) ends too early") }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }

    /// The next bytes by themselves.
    mutating func part(_ count: Int, _ name: String) throws(HDF5Refusal) -> HDF5Cursor {
        HDF5Cursor(try take(count), name, sizes: sizes)
    }

    /// The next byte, which stays.
    func peek() throws(HDF5Refusal) -> UInt8 {
        guard let next = bytes.first else { throw .damaged("\(name) ends too early") }
        return next
    }

    /// The next bytes by themselves, having compared their checksum, which follows them.
    ///
    /// The library compares it, too, and where it finds another in the middle of a list it frees what it has not
    /// filled in.
    mutating func summed(_ count: Int) throws(HDF5Refusal) -> HDF5Cursor {
        let part = try part(count, name)
        guard try word(4) == HDF5Checksum.lookup3(Array(part.bytes)) else {
            throw .damaged("\(name) has another checksum than its bytes")
        }
        return part
    }

    /// The next number, unsigned, of so many bytes.
    mutating func word(_ count: Int) throws(HDF5Refusal) -> UInt64 {
        try take(count).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// The next number where it has to be one that can be counted with.
    mutating func number(_ count: Int) throws(HDF5Refusal) -> Int {
        guard let number = Int(exactly: try word(count)) else {
            throw .damaged("\(name) has a number larger than any file")
        }
        return number
    }

    /// The next length.
    mutating func length() throws(HDF5Refusal) -> Int { try number(sizes.length) }

    /// The next address, counted from where the file begins; nil where it is undefined.
    mutating func optionalAddress() throws(HDF5Refusal) -> Int? {
        let word = try word(sizes.address)
        guard word != UInt64.max >> UInt64(64 - 8 * sizes.address) else { return nil }
        guard let address = Int(exactly: word) else {
            throw .damaged("\(name) has an address beyond any file")
        }
        return address
    }

    /// The next address, which has to be defined.
    mutating func address() throws(HDF5Refusal) -> Int {
        guard let address = try optionalAddress() else { throw .damaged("\(name) leads nowhere") }
        return address
    }

    /// Expects a mark of four letters and a version.
    mutating func expect(_ mark: String, version: Int) throws(HDF5Refusal) {
        guard try take(4).elementsEqual(mark.utf8), try number(1) == version else {
            throw .damaged("\(name) does not begin with \(mark) and \(version)")
        }
    }

    /// Expects a number of one byte to be among some.
    mutating func version(_ known: ClosedRange<Int>) throws(HDF5Refusal) -> Int {
        let version = try number(1)
        guard known.contains(version) else { throw .damaged("\(name) has the unknown version \(version)") }
        return version
    }

    /// Takes a name that a zero byte ends, and fills up to a multiple of `unit`.
    mutating func skipName(unit: Int = 1) throws(HDF5Refusal) {
        guard let end = bytes.firstIndex(of: 0) else { throw .damaged("\(name) has a name without an end") }
        let count = end - bytes.startIndex + 1
        _ = try take((count + unit - 1) / unit * unit)
    }
}

/// How many bytes addresses and lengths take in a file.
struct HDF5Sizes: Equatable {
    /// Bytes of an address.
    let address: Int
    /// Bytes of a length.
    let length: Int
}
