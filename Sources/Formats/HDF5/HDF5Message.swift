/// The messages that object headers are made of, as bytes.
///
/// Source: HDF5 file format specification 3.0, IV.A.2, "Data Object Header Messages".
enum HDF5Message {
    /// A message of a version 2 header: type, size and flags, then its body.
    static func message(_ type: UInt8, constant: Bool = false, _ body: [UInt8]) -> [UInt8] {
        [
            type, UInt8(truncatingIfNeeded: body.count), UInt8(truncatingIfNeeded: body.count >> 8),
            constant ? 1 : 0,
        ]
            + body
    }

    /// The most bytes that a message's body has.
    static let largestBody = 65_535

    /// Dimensions (0x01, version 2); nil for none at all.
    static func dataspace(_ shape: [Int]?) -> [UInt8] {
        var bytes = HDF5Bytes()
        let kind: UInt8 = shape.map { $0.isEmpty ? 0 : 1 } ?? 2
        bytes.append([2, UInt8(shape?.count ?? 0), 0, kind])
        for dimension in shape ?? [] { bytes.append(dimension, as: UInt64.self) }
        return bytes.bytes
    }

    /// The type of a tensor's elements (0x03, version 1); nil where HDF5 has none.
    static func datatype(_ type: ElementType) -> [UInt8]? {
        switch type {
        case .u8, .u16, .u32, .u64: integer(bits: type.bits, isSigned: false)
        case .i8, .i16, .i32, .i64: integer(bits: type.bits, isSigned: true)
        case .f16: float(bits: 16, exponent: 5)
        case .f32: float(bits: 32, exponent: 8)
        case .f64: float(bits: 64, exponent: 11)
        // As Keras has it: two bytes without a meaning of their own, and an attribute that says what they are.
        case .bf16: [0x15, 0, 0, 0, 2, 0, 0, 0]
        // As h5py has truth values: an enumeration of a byte.
        case .bool:
            [0x18, 2, 0, 0, 1, 0, 0, 0] + integer(bits: 8, isSigned: true)
                + Array("FALSE\0\0\0TRUE\0\0\0\0".utf8)
                + [0, 1]
        default: nil
        }
    }

    private static func integer(bits: Int, isSigned: Bool) -> [UInt8] {
        [0x10, isSigned ? 8 : 0, 0, 0, UInt8(bits / 8), 0, 0, 0, 0, 0, UInt8(bits), 0]
    }

    private static func float(bits: Int, exponent: Int) -> [UInt8] {
        let fraction = bits - exponent - 1
        let bias = 1 << (exponent - 1) - 1
        return [
            0x11, 0x20, UInt8(bits - 1), 0, UInt8(bits / 8), 0, 0, 0, 0, 0, UInt8(bits), 0, UInt8(fraction),
            UInt8(exponent), 0, UInt8(fraction), UInt8(bias & 0xFF), UInt8(bias >> 8), 0, 0,
        ]
    }

    /// Strings of any length in UTF-8, which lie in a heap.
    private static let variableString: [UInt8] =
        [0x19, 1, 1, 0, 16, 0, 0, 0] + integer(bits: 8, isSigned: false)

    /// An attribute (0x0C, version 3); its strings go into the heap.
    static func attribute(_ attribute: HDF5Attribute, heap: inout HDF5StringHeap) -> [UInt8] {
        let type: [UInt8]
        var data = HDF5Bytes()
        switch attribute.value {
        case .raw(let described, let bytes):
            type = described
            data.append(bytes)
        case .text(let strings):
            type = variableString
            for string in strings { data.append(heap.add(string)) }
        }
        let space = dataspace(attribute.shape)
        let name = Array(attribute.name.utf8) + [0]
        var bytes = HDF5Bytes()
        bytes.append([3, 0])
        bytes.append(name.count, as: UInt16.self)
        bytes.append(type.count, as: UInt16.self)
        bytes.append(space.count, as: UInt16.self)
        bytes.append([name.allSatisfy { $0 < 128 } ? 0 : 1])
        bytes.append(name + type + space)
        bytes.append(data.bytes)
        return bytes.bytes
    }

    /// A hard link (0x06, version 1) to the object whose header is at `address`.
    static func link(_ name: String, to address: Int) -> [UInt8] {
        let utf8 = Array(name.utf8)
        var bytes = HDF5Bytes()
        // Two bytes for the name's length, and its character set said.
        bytes.append([1, 0x11, 1])
        bytes.append(utf8.count, as: UInt16.self)
        bytes.append(utf8)
        bytes.append(address, as: UInt64.self)
        return bytes.bytes
    }

    /// What a group says of its links: all of them stand in its header (0x02 and 0x0A).
    static let groupInformation: [UInt8] =
        message(0x02, [0, 0] + [UInt8](repeating: 0xFF, count: 16)) + message(0x0A, [0, 0])

    /// Nothing to fill a dataset with: it is written as a whole (0x05, version 3).
    static let fillValue: [UInt8] = message(0x05, constant: true, [3, 0x0A])

    /// Data in one piece (0x08, version 3).
    static func contiguous(at address: Int, count: Int) -> [UInt8] {
        var bytes = HDF5Bytes()
        bytes.append([3, 1])
        bytes.append(count == 0 ? HDF5Bytes.undefined : UInt64(address))
        bytes.append(count, as: UInt64.self)
        return message(0x08, bytes.bytes)
    }

    /// A header (version 2) of these messages.
    static func header(_ messages: [UInt8]) -> [UInt8] {
        var bytes = HDF5Bytes()
        bytes.append(Array("OHDR".utf8) + [2, 2])
        bytes.append(messages.count, as: UInt32.self)
        bytes.append(messages)
        bytes.appendChecksum()
        return bytes.bytes
    }
}

/// The strings of attributes, in global heap collections one behind the other.
///
/// Source: HDF5 file format specification 3.0, III.E.
struct HDF5StringHeap {
    /// Where the first collection begins in the file.
    private let start: Int
    private var closed: [UInt8] = []
    private var objects: [UInt8] = []
    private var count = 0

    private static let headerSize = 16
    private static let smallestCollection = 4096
    private static let largestCollection = 1 << 20

    /// An empty heap that begins at `start`.
    init(at start: Int) { self.start = start }

    /// Adds a string; what an attribute's data says of it: length, collection and number.
    mutating func add(_ string: String) -> [UInt8] {
        let utf8 = Array(string.utf8)
        var reference = HDF5Bytes()
        reference.append(utf8.count, as: UInt32.self)
        guard !utf8.isEmpty else {
            // The empty string lies nowhere.
            reference.append(0, as: UInt64.self)
            reference.append(0, as: UInt32.self)
            return reference.bytes
        }
        if objects.count + utf8.count > Self.largestCollection || count == 65_534 { close() }
        count += 1
        reference.append(start + closed.count, as: UInt64.self)
        reference.append(count, as: UInt32.self)
        var object = HDF5Bytes()
        object.append(count, as: UInt16.self)
        object.append(1, as: UInt16.self)
        object.append(0, as: UInt32.self)
        object.append(utf8.count, as: UInt64.self)
        object.append(utf8)
        object.pad(to: 8)
        objects += object.bytes
        return reference.bytes
    }

    /// All collections.
    func finished() -> [UInt8] {
        var copy = self
        copy.close()
        return copy.closed
    }

    private mutating func close() {
        guard count > 0 else { return }
        // What is left over is an object of its own, number 0.
        let size = max(Self.smallestCollection, Self.headerSize + objects.count + 16)
        var collection = HDF5Bytes()
        collection.append(Array("GCOL".utf8) + [1, 0, 0, 0])
        collection.append(size, as: UInt64.self)
        collection.append(objects)
        let left = size - collection.count
        collection.append(0, as: UInt64.self)
        collection.append(left, as: UInt64.self)
        collection.append(repeatElement(0, count: left - 16))
        closed += collection.bytes
        (objects, count) = ([], 0)
    }
}
