/// Writes fields of a protocol buffer.
package struct ProtobufWriter {
    /// What was written.
    package private(set) var bytes: [UInt8] = []

    /// A message without fields.
    package init() {}

    /// A whole number.
    package mutating func append(field: UInt64, varint: UInt64) {
        append(field << 3)
        append(varint)
    }

    /// Four bytes.
    package mutating func append(field: UInt64, fixed32: UInt32) {
        append(field << 3 | 5)
        for shift in [0, 8, 16, 24] as [UInt32] { bytes.append(UInt8(truncatingIfNeeded: fixed32 >> shift)) }
    }

    /// Eight bytes.
    package mutating func append(field: UInt64, fixed64: UInt64) {
        append(field << 3 | 1)
        for shift in stride(from: 0 as UInt64, to: 64, by: 8) {
            bytes.append(UInt8(truncatingIfNeeded: fixed64 >> shift))
        }
    }

    /// Bytes, a text or a message.
    package mutating func append(field: UInt64, bytes content: [UInt8]) {
        append(field << 3 | 2)
        append(UInt64(content.count))
        bytes += content
    }

    private mutating func append(_ varint: UInt64) {
        var rest = varint
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(truncatingIfNeeded: rest))
    }
}

/// Reads fields of a protocol buffer.
struct ProtobufReader {
    /// A field's content.
    enum Value: Equatable {
        case varint(UInt64)
        case fixed64(UInt64)
        case bytes(ArraySlice<UInt8>)
        case fixed32(UInt32)
    }

    private var rest: ArraySlice<UInt8>

    /// A reader of these bytes.
    init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

    /// Whether everything is read.
    var isAtEnd: Bool { rest.isEmpty }

    /// The next field; nil when the bytes are no field.
    mutating func next() -> (number: UInt64, value: Value)? {
        guard let key = varint(), key >> 3 > 0 else { return nil }
        let value: Value? =
            switch key & 7 {
            case 0: varint().map { .varint($0) }
            case 1: fixed(8).map { .fixed64($0) }
            case 2: bytes().map { .bytes($0) }
            case 5: fixed(4).map { .fixed32(UInt32(truncatingIfNeeded: $0)) }
            default: nil
            }
        return value.map { (key >> 3, $0) }
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0 as UInt64, to: 64, by: 7) {
            guard let byte = rest.popFirst() else { return nil }
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    private mutating func fixed(_ count: Int) -> UInt64? {
        guard rest.count >= count else { return nil }
        var value: UInt64 = 0
        for (index, byte) in rest.prefix(count).enumerated() { value |= UInt64(byte) << UInt64(8 * index) }
        rest = rest.dropFirst(count)
        return value
    }

    private mutating func bytes() -> ArraySlice<UInt8>? {
        guard let count = varint(), count <= UInt64(rest.count) else { return nil }
        let content = rest.prefix(Int(count))
        rest = rest.dropFirst(Int(count))
        return content
    }
}
