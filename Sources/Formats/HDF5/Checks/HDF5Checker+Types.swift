/// What a dataspace message says.
struct HDF5Extent {
    /// Its dimensions; empty for a single value and for none.
    let shape: [Int]
    /// How far each may grow; nil where that is without limit.
    let largest: [Int?]
    /// How many elements it has; nil when they can't be counted.
    let count: Int?

    /// Reads a dataspace (IV.A.2.b), versions 1 and 2.
    init(_ cursor: inout HDF5Cursor) throws(HDF5Refusal) {
        let version = try cursor.version(1...2)
        let rank = try cursor.number(1)
        let hasLargest = try cursor.number(1) & 1 != 0
        var kind = rank == 0 ? 0 : 1
        if version == 1 { _ = try cursor.take(5) } else { kind = try cursor.number(1) }
        guard rank <= 32, kind <= 2, kind == 1 || rank == 0 else {
            throw .damaged("\(cursor.name) has \(rank) dimensions of kind \(kind)")
        }
        var shape: [Int] = []
        var words: [UInt64] = []
        for _ in 0..<rank { words.append(try cursor.word(cursor.sizes.length)) }
        for word in words { shape.append(Int(clamping: word)) }
        var largest: [Int?] = shape
        if hasLargest {
            for axis in 0..<rank { largest[axis] = Int(exactly: try cursor.word(cursor.sizes.length)) }
        }
        (self.shape, self.largest) = (shape, largest)
        count = kind == 2 ? 0 : ElementType.elementCount(shape: shape)
    }
}

/// What a datatype message says, as far as memory depends on it.
struct HDF5Described {
    /// How many bytes an element has.
    let size: Int
    /// Whether elements say where more is, in a heap.
    var isIndirect = false

    /// How many types may lie inside each other.
    private static let deepest = 16

    /// Reads a datatype (IV.A.2.d), versions 1 to 3, and all inside it.
    init(_ cursor: inout HDF5Cursor, depth: Int = 0) throws(HDF5Refusal) {
        guard depth < Self.deepest else {
            throw .damaged("\(cursor.name) has types inside types without end")
        }
        let first = try cursor.number(1)
        let bits = try cursor.number(3)
        size = try cursor.number(4)
        let version = first >> 4
        guard (1...3).contains(version), size > 0 else {
            throw .damaged("\(cursor.name) has a type of version \(version) and \(size) bytes")
        }
        switch first & 0x0F {
        case 0, 4: try checkBits(&cursor)
        case 1: try checkFloat(&cursor, sign: bits >> 8 & 0xFF)
        case 2: _ = try cursor.take(2)
        case 3: return
        case 5: _ = try cursor.take(bits & 0xFF)
        case 6: try checkMembers(&cursor, count: bits & 0xFFFF, version: version, depth: depth)
        case 7: isIndirect = true
        case 8: try checkNames(&cursor, count: bits & 0xFFFF, version: version, depth: depth)
        case 9: try checkList(&cursor, depth: depth)
        case 10: try checkArray(&cursor, version: version, depth: depth)
        case let kind: throw .damaged("\(cursor.name) has a type of the unknown class \(kind)")
        }
    }

    private func checkBits(_ cursor: inout HDF5Cursor) throws(HDF5Refusal) {
        let (offset, precision) = (try cursor.number(2), try cursor.number(2))
        guard precision > 0, offset + precision <= 8 * size else {
            throw .damaged("\(cursor.name) has \(precision) bits from bit \(offset) on in \(size) bytes")
        }
    }

    private func checkFloat(_ cursor: inout HDF5Cursor, sign: Int) throws(HDF5Refusal) {
        try checkBits(&cursor)
        let (exponent, exponentSize) = (try cursor.number(1), try cursor.number(1))
        let (fraction, fractionSize) = (try cursor.number(1), try cursor.number(1))
        _ = try cursor.take(4)
        guard exponentSize > 0, fractionSize > 0, sign < 8 * size, exponent + exponentSize <= 8 * size,
            fraction + fractionSize <= 8 * size
        else { throw .damaged("\(cursor.name) has numbers with parts beyond their \(size) bytes") }
    }

    /// Members of a compound.
    private mutating func checkMembers(
        _ cursor: inout HDF5Cursor, count: Int, version: Int, depth: Int
    ) throws(HDF5Refusal) {
        guard count > 0 else { throw .damaged("\(cursor.name) has a compound of nothing") }
        for _ in 0..<count {
            try cursor.skipName(unit: version < 3 ? 8 : 1)
            let offset = try cursor.number(version < 3 ? 4 : (63 - size.leadingZeroBitCount) / 8 + 1)
            var copies = 1
            if version == 1 {
                let rank = try cursor.number(1)
                guard rank <= 4 else { throw .damaged("\(cursor.name) has \(rank) dimensions in a compound") }
                _ = try cursor.take(11)
                for axis in 0..<4 {
                    let dimension = try cursor.number(4)
                    if axis < rank { copies = try Self.product(copies, dimension, cursor.name) }
                }
            }
            let member = try HDF5Described(&cursor, depth: depth + 1)
            isIndirect = isIndirect || member.isIndirect
            let bytes = try Self.product(copies, member.size, cursor.name)
            guard offset <= size, bytes <= size - offset else {
                throw .damaged("\(cursor.name) has a member beyond its compound's \(size) bytes")
            }
        }
    }

    /// An enumeration: a type of integers, names, and the number of each.
    private func checkNames(
        _ cursor: inout HDF5Cursor, count: Int, version: Int, depth: Int
    ) throws(HDF5Refusal) {
        let kind = try cursor.peek() & 0x0F
        let numbers = try HDF5Described(&cursor, depth: depth + 1)
        guard kind == 0, numbers.size == size else {
            throw .damaged(
                "\(cursor.name) has an enumeration of \(size) bytes whose numbers are no such integers")
        }
        for _ in 0..<count { try cursor.skipName(unit: version < 3 ? 8 : 1) }
        _ = try cursor.take(try Self.product(count, size, cursor.name))
    }

    /// Elements of any number, or strings, in a heap.
    private mutating func checkList(_ cursor: inout HDF5Cursor, depth: Int) throws(HDF5Refusal) {
        _ = try HDF5Described(&cursor, depth: depth + 1)
        isIndirect = true
        guard size == 8 + cursor.sizes.address else {
            throw .damaged("\(cursor.name) says in \(size) bytes where a list is")
        }
    }

    private mutating func checkArray(
        _ cursor: inout HDF5Cursor, version: Int, depth: Int
    ) throws(HDF5Refusal) {
        let rank = try cursor.number(1)
        guard version > 1, (1...32).contains(rank) else {
            throw .damaged("\(cursor.name) has an array of \(rank) dimensions")
        }
        if version == 2 { _ = try cursor.take(3) }
        var count = 1
        for _ in 0..<rank { count = try Self.product(count, try cursor.number(4), cursor.name) }
        if version == 2 { _ = try cursor.take(4 * rank) }
        let element = try HDF5Described(&cursor, depth: depth + 1)
        isIndirect = element.isIndirect
        guard try Self.product(count, element.size, cursor.name) == size else {
            throw .damaged("\(cursor.name) has an array of \(count) elements in \(size) bytes")
        }
    }

    private static func product(_ left: Int, _ right: Int, _ name: String) throws(HDF5Refusal) -> Int {
        let (product, overflow) = left.multipliedReportingOverflow(by: right)
        guard !overflow, product > 0 || left == 0 else {
            throw .damaged("\(name) has a size without measure")
        }
        return product
    }
}
