/// How many elements a dataset or an attribute has on each axis: a dataspace message (IV.A.2.b), versions 1 and 2.
struct HDF5Dataspace {
    /// Its dimensions; empty for a single value, nil for none at all.
    let shape: [Int]?
    /// How far each may grow; nil where that is without limit.
    let maximum: [Int?]
    /// How many elements it has; nil when they can't be counted.
    let count: Int?

    /// Reads a dataspace.
    init(_ cursor: inout HDF5Cursor) throws(UserFacingError) {
        let version = try cursor.version(1...2)
        let rank = try cursor.number(1)
        let hasMaximum = try cursor.number(1) & 1 != 0
        var kind = rank == 0 ? 0 : 1
        if version == 1 { _ = try cursor.take(5) } else { kind = try cursor.number(1) }
        guard rank <= 32, kind <= 2, kind == 1 || rank == 0 else {
            throw cursor.damaged("has \(rank) dimensions of kind \(kind)")
        }
        var words: [[UInt64]] = [[], []]
        for list in 0..<(hasMaximum ? 2 : 1) {
            for _ in 0..<rank { words[list].append(try cursor.word(cursor.sizes.length)) }
        }
        let dimensions = words[0].map { Int(clamping: $0) }
        shape = kind == 2 ? nil : dimensions
        maximum = hasMaximum ? words[1].map { Int(exactly: $0) } : dimensions
        let isCountable = words[0].allSatisfy { $0 <= Int.max }
        count = kind == 2 ? 0 : isCountable ? ElementType.elementCount(shape: dimensions) : nil
    }
}

/// What elements are: a datatype message (IV.A.2.d), versions 1 to 3, with all types inside it.
struct HDF5Datatype {
    /// What kind of values elements are.
    enum Class: Int {
        case integer = 0
        case float, time, string, bitField, opaque, compound, reference, enumeration, variableLength, array
    }

    /// What kind of values elements are.
    let kind: Class
    /// How many bytes an element has.
    let size: Int
    /// Whether the most significant byte comes first.
    private(set) var isBigEndian = false
    /// Whether elements say where more is, in a heap.
    private(set) var isIndirect = false
    /// Whether elements are strings of any length.
    private(set) var isVariableString = false
    /// The type under the name that safetensors gives it, where the datatype alone says it.
    private var type: ElementType?

    /// The attribute by which Keras marks two bytes as a bfloat16.
    static let markName = "dtype"
    /// What the attribute says.
    static let mark = "bfloat16"

    /// How many types may lie inside each other.
    private static let deepest = 16

    /// Reads a datatype.
    init(_ cursor: inout HDF5Cursor, depth: Int = 0) throws(UserFacingError) {
        guard depth < Self.deepest else { throw cursor.damaged("has types inside types without end") }
        let first = try cursor.number(1)
        let bits = try cursor.number(3)
        size = try cursor.number(4)
        let version = first >> 4
        guard (1...3).contains(version), size > 0, let kind = Class(rawValue: first & 0x0F) else {
            throw cursor.damaged("has a type of version \(version), class \(first & 0x0F), \(size) bytes")
        }
        self.kind = kind
        switch kind {
        case .integer, .bitField:
            let isWhole = try readBits(&cursor)
            isBigEndian = bits & 1 != 0
            if kind == .integer, isWhole { type = Self.integer(size: size, isSigned: bits & 8 != 0) }
        case .float: try readFloat(&cursor, bits: bits)
        case .time: _ = try cursor.take(2)
        case .string: break
        case .opaque: _ = try cursor.take(bits & 0xFF)
        case .compound: try readMembers(&cursor, count: bits & 0xFFFF, version: version, depth: depth)
        case .reference: isIndirect = true
        case .enumeration: try readNames(&cursor, count: bits & 0xFFFF, version: version, depth: depth)
        case .variableLength:
            _ = try HDF5Datatype(&cursor, depth: depth + 1)
            (isIndirect, isVariableString) = (true, bits & 0x0F == 1)
            guard size == 8 + cursor.sizes.address else {
                throw cursor.damaged("says in \(size) bytes where a list is")
            }
        case .array: try readArray(&cursor, version: version, depth: depth)
        }
    }

    /// The type under the name that safetensors gives it, where it has one; an attribute, its mark, may say that two opaque
    /// bytes are a bfloat16.
    func elementType(marked mark: [String]?) throws(UserFacingError) -> ElementType {
        if let type { return type }
        switch kind {
        case .integer: throw .hdf5Type("integers of \(size) bytes")
        case .float: throw .hdf5Type("floating-point numbers of \(size) bytes and an unusual layout")
        case .enumeration: throw .hdf5Type("an enumeration")
        case .opaque:
            if size == 2, mark == [Self.mark] { return .bf16 }
            if let mark {
                throw .hdf5Type("\(size) opaque bytes that are said to be \(mark.joined(separator: ", "))")
            }
            throw .hdf5Type(
                "\(size) opaque bytes (attribute \(Self.markName) = \"\(Self.mark)\" would make them numbers)"
            )
        case .string: throw .hdf5Type("strings")
        case .compound: throw .hdf5Type("compound values")
        case .reference: throw .hdf5Type("references")
        case .variableLength: throw .hdf5Type(isVariableString ? "strings" : "lists of any length")
        case .array: throw .hdf5Type("arrays inside elements")
        case .time, .bitField: throw .hdf5Type("elements of an unknown kind")
        }
    }

    /// Reads where an element's bits lie; whether they fill all its bytes.
    private func readBits(_ cursor: inout HDF5Cursor) throws(UserFacingError) -> Bool {
        let (offset, precision) = (try cursor.number(2), try cursor.number(2))
        guard precision > 0, offset + precision <= 8 * size else {
            throw cursor.damaged("has \(precision) bits from bit \(offset) on in \(size) bytes")
        }
        return offset == 0 && precision == 8 * size
    }

    private static func integer(size: Int, isSigned: Bool) -> ElementType? {
        switch size {
        case 1: isSigned ? .i8 : .u8
        case 2: isSigned ? .i16 : .u16
        case 4: isSigned ? .i32 : .u32
        case 8: isSigned ? .i64 : .u64
        default: nil
        }
    }

    /// Where sign, exponent and fraction lie tells the type; newer libraries have a bfloat16 of their own.
    private mutating func readFloat(_ cursor: inout HDF5Cursor, bits: Int) throws(UserFacingError) {
        let isWhole = try readBits(&cursor)
        let (exponent, exponentSize) = (try cursor.number(1), try cursor.number(1))
        let (fraction, fractionSize) = (try cursor.number(1), try cursor.number(1))
        let bias = try cursor.number(4)
        let sign = bits >> 8 & 0xFF
        guard exponentSize > 0, fractionSize > 0, sign < 8 * size, exponent + exponentSize <= 8 * size,
            fraction + fractionSize <= 8 * size
        else { throw cursor.damaged("has numbers with parts beyond their \(size) bytes") }
        isBigEndian = bits & 1 != 0
        // No VAX order, and a first bit of the fraction that is always set and not stored.
        guard isWhole, bits & 0x70 == 0x20, fraction == 0, exponent == fractionSize,
            sign == exponent + exponentSize, exponentSize < 32, bias == 1 << (exponentSize - 1) - 1
        else { return }
        switch (size, exponentSize, fractionSize) {
        case (2, 5, 10): type = .f16
        case (2, 8, 7): type = .bf16
        case (4, 8, 23): type = .f32
        case (8, 11, 52): type = .f64
        default: break
        }
    }

    /// Members of a compound.
    private mutating func readMembers(
        _ cursor: inout HDF5Cursor, count: Int, version: Int, depth: Int
    ) throws(UserFacingError) {
        guard count > 0 else { throw cursor.damaged("has a compound of nothing") }
        for _ in 0..<count {
            _ = try cursor.text(unit: version < 3 ? 8 : 1)
            let offset = try cursor.number(version < 3 ? 4 : (63 - size.leadingZeroBitCount) / 8 + 1)
            var copies = 1
            if version == 1 {
                let rank = try cursor.number(1)
                guard rank <= 4 else { throw cursor.damaged("has \(rank) dimensions in a compound") }
                _ = try cursor.take(11)
                copies = try Self.product(Array(try cursor.numbers(4, of: 4).prefix(rank)), cursor)
            }
            let member = try HDF5Datatype(&cursor, depth: depth + 1)
            isIndirect = isIndirect || member.isIndirect
            let bytes = try Self.product([copies, member.size], cursor)
            guard copies > 0, offset <= size, bytes <= size - offset else {
                throw cursor.damaged("has a member beyond its compound's \(size) bytes")
            }
        }
    }

    /// An enumeration: a type of integers, names, and the number of each; h5py's truth values are bytes of which 0 is
    /// called FALSE and 1 TRUE.
    private mutating func readNames(
        _ cursor: inout HDF5Cursor, count: Int, version: Int, depth: Int
    ) throws(UserFacingError) {
        let numbers = try HDF5Datatype(&cursor, depth: depth + 1)
        guard numbers.kind == .integer, numbers.size == size else {
            throw cursor.damaged("has an enumeration of \(size) bytes whose numbers are no such integers")
        }
        isBigEndian = numbers.isBigEndian
        var names: [String] = []
        for _ in 0..<count { names.append(try cursor.text(unit: version < 3 ? 8 : 1)) }
        let values = try cursor.take(try Self.product([count, size], cursor))
        if size == 1,
            zip(names, values).sorted(by: { $0.1 < $1.1 }).elementsEqual([("FALSE", 0), ("TRUE", 1)], by: ==)
        {
            type = .bool
        }
    }

    private mutating func readArray(
        _ cursor: inout HDF5Cursor, version: Int, depth: Int
    ) throws(UserFacingError) {
        let rank = try cursor.number(1)
        guard version > 1, (1...32).contains(rank) else {
            throw cursor.damaged("has an array of \(rank) dimensions")
        }
        if version == 2 { _ = try cursor.take(3) }
        let count = try Self.product(try cursor.numbers(rank, of: 4), cursor)
        if version == 2 { _ = try cursor.take(4 * rank) }
        let element = try HDF5Datatype(&cursor, depth: depth + 1)
        isIndirect = element.isIndirect
        guard try Self.product([count, element.size], cursor) == size else {
            throw cursor.damaged("has an array of \(count) elements in \(size) bytes")
        }
    }

    private static func product(_ factors: [Int], _ cursor: HDF5Cursor) throws(UserFacingError) -> Int {
        guard let product = ElementType.elementCount(shape: factors) else {
            throw cursor.damaged("has a size without measure")
        }
        return product
    }
}
