/// A value of a column.
package enum ParquetValue: Sendable, Equatable {
    /// None.
    case null
    /// A truth value.
    case boolean(Bool)
    /// A whole number; of dates the days since 1970, of times what the file counts in.
    case integer(Int)
    /// A whole number of a column without signs.
    case unsigned(UInt)
    /// A number in floating point.
    case number(Double)
    /// A text, or bytes.
    case bytes(ArraySlice<UInt8>)
}

extension ParquetColumn {
    /// The bytes of one of its values that is no bytes itself; nil for those, and for truth values, which take a bit.
    var width: Int? {
        switch storage {
        case .int32, .float: 4
        case .int64, .double: 8
        case .boolean, .int96, .bytes, .fixed: nil
        }
    }

    /// A whole number, as its storage and its meaning have it.
    func integer(_ value: Int64) -> ParquetValue {
        let isShort = storage == .int32
        if meaning == .unsigned {
            return .unsigned(
                isShort ? UInt(UInt32(truncatingIfNeeded: value)) : UInt(UInt64(bitPattern: value)))
        }
        return .integer(isShort ? Int(Int32(truncatingIfNeeded: value)) : Int(value))
    }

    /// The value that lies as it is at a place of `bytes`, which is moved behind it; no truth value.
    func value(in bytes: [UInt8], at position: inout Int) throws(ParquetFault) -> ParquetValue {
        let start = position
        guard let width else {
            guard bytes.count - start >= 4 else { throw .cutOff }
            let count = Int(bytes.littleEndian(at: start, as: UInt32.self))
            guard count <= bytes.count - start - 4 else {
                throw .damaged("a value says it has \(count) bytes, and \(bytes.count - start - 4) follow")
            }
            position += 4 + count
            return .bytes(bytes[start + 4..<position])
        }
        guard bytes.count - start >= width else { throw .cutOff }
        position += width
        switch storage {
        case .float: return .number(Double(Float(bitPattern: bytes.littleEndian(at: start, as: UInt32.self))))
        case .double: return .number(Double(bitPattern: bytes.littleEndian(at: start, as: UInt64.self)))
        case .int32: return integer(Int64(bytes.littleEndian(at: start, as: UInt32.self)))
        default: return integer(Int64(bitPattern: bytes.littleEndian(at: start, as: UInt64.self)))
        }
    }
}
