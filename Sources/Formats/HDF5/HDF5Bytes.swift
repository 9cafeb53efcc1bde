/// Bytes of an HDF5 file being put together; numbers are little-endian.
struct HDF5Bytes {
    private(set) var bytes: [UInt8] = []

    /// How many there are.
    var count: Int { bytes.count }

    /// What stands for no address.
    static let undefined = UInt64.max

    mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

    mutating func append<Number: FixedWidthInteger>(_ number: Int, as type: Number.Type) {
        append(type.init(truncatingIfNeeded: number))
    }

    mutating func append<Number: FixedWidthInteger>(_ number: Number) {
        for index in 0..<Number.bitWidth / 8 {
            bytes.append(UInt8(truncatingIfNeeded: number >> (index * 8)))
        }
    }

    /// Fills up with zeros to a multiple of `unit`.
    mutating func pad(to unit: Int) {
        bytes.append(contentsOf: repeatElement(0, count: (unit - bytes.count % unit) % unit))
    }

    /// Ends with the checksum of all that stands here.
    mutating func appendChecksum() { append(HDF5Checksum.lookup3(bytes)) }
}
