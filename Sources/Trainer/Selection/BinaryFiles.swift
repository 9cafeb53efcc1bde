internal import Formats

/// Numbers in bytes, the lowest byte first, as the files of a selection hold them.
extension [UInt8] {
    /// Appends a number.
    @inline(__always)
    mutating func append<Value: FixedWidthInteger>(number: Value) {
        for byte in 0..<Value.bitWidth / 8 { append(UInt8(truncatingIfNeeded: number >> Value(byte * 8))) }
    }

    /// The number at a place, which is moved behind it.
    @inline(__always)
    func number<Value: FixedWidthInteger>(at place: inout Int, as type: Value.Type = Value.self) -> Value {
        var value: Value = 0
        for byte in 0..<Value.bitWidth / 8 {
            value |= Value(truncatingIfNeeded: self[place + byte]) << Value(byte * 8)
        }
        place += Value.bitWidth / 8
        return value
    }
}

extension AtomicFile {
    /// Writes bytes at a place.
    func write(_ bytes: [UInt8], at offset: Int) throws(UserFacingError) {
        try unsafe write(bytes.span.bytes, at: offset)
    }
}

extension WritableFile {
    /// Writes bytes at a place.
    func write(_ bytes: [UInt8], at offset: Int) throws(UserFacingError) {
        try unsafe write(bytes.span.bytes, at: offset)
    }
}
