/// Reads structures in Thrift's compact protocol, in which Parquet files describe themselves.
///
/// Source: the Thrift compact protocol's encoding (doc/specs/thrift-compact-protocol.md of Apache Thrift).
struct ThriftReader {
    /// What a field or an element is.
    enum Kind: UInt8 {
        case yes = 1
        case no, byte, int16, int32, int64, double, binary, list, set, map, structure, uuid
    }

    /// The head of a field.
    struct Field {
        let number: Int
        let kind: Kind
    }

    /// Where the next byte lies.
    private(set) var position = 0
    private let bytes: [UInt8]
    /// The last field's number in each open structure.
    private var numbers: [Int] = []

    /// Structures inside structures beyond any use.
    private static let deepest = 32

    /// A reader of these bytes.
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    // MARK: Structures

    /// Enters a structure, whose fields ``nextField()`` gives.
    mutating func enter() throws(ParquetFault) {
        guard numbers.count < Self.deepest else {
            throw .damaged("it has more than \(Self.deepest) structures inside each other")
        }
        numbers.append(0)
    }

    /// The next field of the structure that was entered last; nil at its end, which leaves it.
    mutating func nextField() throws(ParquetFault) -> Field? {
        let head = try byte()
        guard head != 0 else {
            numbers.removeLast()
            return nil
        }
        let step = Int(head >> 4)
        let number = step == 0 ? try integer() : (numbers.last ?? 0) + step
        guard let kind = Kind(rawValue: head & 0xF), (-32768...32767).contains(number) else {
            throw .damaged("it has a field of kind \(head & 0xF) at its byte \(position - 1)")
        }
        numbers[numbers.count - 1] = number
        return Field(number: number, kind: kind)
    }

    /// Passes over a field's value.
    mutating func skip(_ field: Field) throws(ParquetFault) {
        // Truth values of fields stand in their heads.
        guard field.kind != .yes, field.kind != .no else { return }
        try skip(field.kind, depth: numbers.count)
    }

    private mutating func skip(_ kind: Kind, depth: Int) throws(ParquetFault) {
        guard depth < Self.deepest else {
            throw .damaged("it has more than \(Self.deepest) structures inside each other")
        }
        switch kind {
        case .yes, .no, .byte: try take(1)
        case .int16, .int32, .int64: _ = try varint()
        case .double: try take(8)
        case .uuid: try take(16)
        case .binary: try take(try size())
        case .list, .set:
            let (count, kind) = try listHead()
            for _ in 0..<count { try skip(kind, depth: depth + 1) }
        case .map:
            let count = try size()
            guard count > 0 else { return }
            let kinds = try byte()
            let (key, value) = (try self.kind(kinds >> 4), try self.kind(kinds & 0xF))
            for _ in 0..<count {
                try skip(key, depth: depth + 1)
                try skip(value, depth: depth + 1)
            }
        case .structure:
            try enter()
            while let field = try nextField() { try skip(field) }
        }
    }

    // MARK: Values

    /// A field's whole number.
    mutating func integer(_ field: Field) throws(ParquetFault) -> Int {
        switch field.kind {
        case .byte: return Int(Int8(bitPattern: try byte()))
        case .int16, .int32, .int64: return try integer()
        default: throw unexpected(field)
        }
    }

    /// A field's whole number that counts something.
    mutating func count(_ field: Field) throws(ParquetFault) -> Int {
        let count = try integer(field)
        guard count >= 0 else { throw .damaged("its field \(field.number) is \(count)") }
        return count
    }

    /// A field's truth value.
    func boolean(_ field: Field) throws(ParquetFault) -> Bool {
        guard field.kind == .yes || field.kind == .no else { throw unexpected(field) }
        return field.kind == .yes
    }

    /// A field's text; what is no UTF-8 is replaced.
    mutating func text(_ field: Field) throws(ParquetFault) -> String {
        guard field.kind == .binary else { throw unexpected(field) }
        return try text()
    }

    /// An element's text.
    mutating func text() throws(ParquetFault) -> String {
        let count = try size()
        let start = position
        try take(count)
        return String(decoding: bytes[start..<position], as: UTF8.self)
    }

    /// Enters a field that is a structure.
    mutating func enter(_ field: Field) throws(ParquetFault) {
        guard field.kind == .structure else { throw unexpected(field) }
        try enter()
    }

    /// How many elements of a kind a field has.
    mutating func list(_ field: Field, of kind: Kind) throws(ParquetFault) -> Int {
        guard field.kind == .list else { throw unexpected(field) }
        let (count, found) = try listHead()
        guard found == kind || count == 0 else { throw unexpected(field) }
        return count
    }

    private mutating func listHead() throws(ParquetFault) -> (count: Int, kind: Kind) {
        let head = try byte()
        let count = head >> 4 == 15 ? try size() : Int(head >> 4)
        // Every element takes a byte at least.
        guard count <= bytes.count - position else { throw .cutOff }
        return (count, try kind(head & 0xF))
    }

    private func kind(_ number: UInt8) throws(ParquetFault) -> Kind {
        guard let kind = Kind(rawValue: number) else { throw .damaged("it has elements of kind \(number)") }
        return kind
    }

    private func unexpected(_ field: Field) -> ParquetFault {
        .damaged("its field \(field.number) is of kind \(field.kind.rawValue)")
    }

    // MARK: Bytes

    /// A number of bytes or elements that are still to come.
    private mutating func size() throws(ParquetFault) -> Int {
        let size = try varint()
        guard size <= UInt64(bytes.count - position) else { throw .cutOff }
        return Int(size)
    }

    private mutating func integer() throws(ParquetFault) -> Int {
        let value = try varint()
        return Int(truncatingIfNeeded: value >> 1) ^ -Int(value & 1)
    }

    private mutating func varint() throws(ParquetFault) -> UInt64 {
        guard let value = bytes.varint(at: &position, end: bytes.count) else {
            if position == bytes.count { throw .cutOff }
            throw .damaged("it has a number of more than 64 bits")
        }
        return value
    }

    private mutating func byte() throws(ParquetFault) -> UInt8 {
        guard position < bytes.count else { throw .cutOff }
        position += 1
        return bytes[position - 1]
    }

    private mutating func take(_ count: Int) throws(ParquetFault) {
        guard count <= bytes.count - position else { throw .cutOff }
        position += count
    }
}

extension [UInt8] {
    /// A number in groups of seven bits, the lowest first; nil when it does not end before `end`, where `position` is `end`
    /// then, or has more than 64 bits.
    func varint(at position: inout Int, end: Int) -> UInt64? {
        var value: UInt64 = 0
        for shift in stride(from: 0 as UInt64, to: 64, by: 7) {
            guard position < end else { return nil }
            let byte = self[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        return nil
    }

    /// A whole number of some bytes, the lowest first.
    func littleEndian<Value: FixedWidthInteger & UnsignedInteger>(at position: Int, as: Value.Type) -> Value {
        var value: Value = 0
        for index in 0..<MemoryLayout<Value>.size {
            value |= Value(self[position + index]) << Value(8 * index)
        }
        return value
    }

    /// `width` bits from a bit on, the lowest first; at most 64.
    func bits(at bit: Int, width: Int) -> UInt64 {
        guard width > 0 else { return 0 }
        var index = bit >> 3
        var value = UInt64(self[index]) >> UInt64(bit & 7)
        var count = 8 - bit & 7
        while count < width {
            index += 1
            value |= UInt64(self[index]) << UInt64(count)
            count += 8
        }
        return width == 64 ? value : value & (1 << UInt64(width) - 1)
    }
}
