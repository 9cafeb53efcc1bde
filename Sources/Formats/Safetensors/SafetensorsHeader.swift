/// What the header of a safetensors file says of its tensors.
///
/// Refuses and accepts what the reference implementation (safetensors 0.8) does.
/// Source: https://github.com/huggingface/safetensors#format
public struct SafetensorsHeader: Sendable, Equatable {
    /// A tensor of the file.
    public struct Entry: Sendable, Equatable {
        /// Its name; may be empty.
        public let name: String
        /// The type of its elements.
        public let type: ElementType
        /// Its dimensions, outermost first; empty for a scalar.
        public let shape: [Int]
        /// Where its bytes are, counted from the end of the header.
        public let bytes: Range<Int>
    }

    /// The tensors, in the order of their data.
    public let entries: [Entry]
    /// The free text that came along, as `format` = `pt`.
    public let metadata: [String: String]
    /// How many bytes the data has.
    public let dataCount: Int

    /// The largest header that the format allows, in bytes.
    public static let largestHeader = 100_000_000

    /// Reads the header's JSON, the eight bytes of its length left out.
    ///
    /// - Parameters:
    ///   - bytes: the JSON.
    ///   - file: what error messages call the file.
    /// - Throws: ``UserFacingError`` that says what is wrong with which tensor.
    public init(parsing bytes: [UInt8], file: String) throws(UserFacingError) {
        let json = try JSON(parsing: bytes, file: file, duplicates: .refusedWhere(Self.mayNotRepeat))
        guard case .object(let members) = json else {
            throw .malformedHeader(file: file, tensor: nil, found: json.kind, expected: "an object")
        }
        var metadata: [String: String] = [:]
        var raw: [RawEntry] = []
        raw.reserveCapacity(members.count)
        for (name, value) in members {
            if name == Self.metadataKey {
                metadata = try Self.metadata(value, file: file)
            } else {
                raw.append(try RawEntry(name, value, file: file))
            }
        }
        raw.sort { ($0.start, $0.end) < ($1.start, $1.end) }
        var place: UInt64 = 0
        var entries: [Entry] = []
        entries.reserveCapacity(raw.count)
        for tensor in raw { entries.append(try tensor.checked(at: &place, file: file)) }
        self.entries = entries
        self.metadata = metadata
        dataCount = Int(clamping: place)
    }

    /// The key of the free text.
    static let metadataKey = "__metadata__"

    /// The keys that the reference takes into a structure, and so refuses to see twice; and tensors of one
    /// name, of which it takes the last but reads the others, too.
    private static func mayNotRepeat(_ path: [String], _ earlier: JSON) -> Bool {
        switch path.count {
        case 1: path[0] == metadataKey || (try? RawEntry(path[0], earlier, file: "")) == nil
        case 2: path[0] != metadataKey && ["dtype", "shape", "data_offsets"].contains(path[1])
        default: false
        }
    }

    private static func metadata(_ value: JSON, file: String) throws(UserFacingError) -> [String: String] {
        if value.isNull { return [:] }
        guard case .object(let members) = value else {
            throw .malformedHeader(
                file: file, tensor: metadataKey, found: value.kind, expected: "an object of strings")
        }
        var metadata: [String: String] = [:]
        for (key, text) in members {
            guard let string = text.string else {
                throw .malformedHeader(
                    file: file, tensor: metadataKey, found: text.kind, expected: "a string for '\(key)'")
            }
            metadata[key] = string
        }
        return metadata
    }
}

/// A tensor as the header has it, before its numbers are checked against each other.
private struct RawEntry {
    let name: String
    let type: ElementType
    let shape: [UInt64]
    let start: UInt64
    let end: UInt64

    init(_ name: String, _ value: JSON, file: String) throws(UserFacingError) {
        func wrong(_ found: JSON?, _ expected: String) -> UserFacingError {
            .malformedHeader(file: file, tensor: name, found: found?.kind ?? "nothing", expected: expected)
        }
        let fields: (type: JSON?, shape: JSON?, offsets: JSON?)
        switch value {
        case .object(let members):
            fields = (members["dtype"], members["shape"], members["data_offsets"])
            if members.count > 3 && value.holdsNumberOutOfRange {
                throw wrong(value, "an object without numbers beyond float64's range")
            }
        // The reference's parser takes a structure as a list of its fields, too.
        case .array(let list) where list.count == 3: fields = (list[0], list[1], list[2])
        default: throw wrong(value, "an object with dtype, shape and data_offsets")
        }
        guard let type = fields.type?.variant.flatMap(ElementType.init(rawValue:)) else {
            throw wrong(fields.type, "a dtype such as \"BF16\"")
        }
        guard let dimensions = fields.shape?.array else {
            throw wrong(fields.shape, "a shape, an array of dimensions,")
        }
        guard let offsets = fields.offsets?.array, offsets.count == 2, let start = offsets[0].size,
            let end = offsets[1].size
        else { throw wrong(fields.offsets, "data_offsets, an array of two positions,") }
        var shape: [UInt64] = []
        shape.reserveCapacity(dimensions.count)
        for dimension in dimensions {
            guard let size = dimension.size else {
                throw wrong(dimension, "a dimension, a whole number from 0 on,")
            }
            shape.append(size)
        }
        (self.name, self.type, self.shape, self.start, self.end) = (name, type, shape, start, end)
    }

    /// Checks it against the end of the tensor before it, and moves that to its own.
    func checked(at place: inout UInt64, file: String) throws(UserFacingError) -> SafetensorsHeader.Entry {
        guard start == place, end >= start else {
            throw .wrongOffsets(file: file, tensor: name, found: (start, end), expected: place)
        }
        let bytes = try byteCount(file: file)
        guard bytes == end - start else {
            throw .wrongSize(
                file: file, tensor: name, type: type, shape: shape, bytes: end - start, expected: bytes)
        }
        guard let first = Int(exactly: start), let last = Int(exactly: end),
            shape.allSatisfy({ $0 <= Int.max })
        else {
            throw .uncountable(file: file, tensor: name, type: type, shape: shape)
        }
        place = end
        return SafetensorsHeader.Entry(
            name: name, type: type, shape: shape.map { Int($0) }, bytes: first..<last)
    }

    private func byteCount(file: String) throws(UserFacingError) -> UInt64 {
        var bits: UInt64 = 1
        var hasOverflowed = false
        func multiply(by factor: UInt64) {
            let (product, overflow) = bits.multipliedReportingOverflow(by: factor)
            bits = product
            hasOverflowed = hasOverflowed || overflow
        }
        for dimension in shape { multiply(by: dimension) }
        multiply(by: UInt64(type.bits))
        if hasOverflowed { throw .uncountable(file: file, tensor: name, type: type, shape: shape) }
        guard bits % 8 == 0 else { throw .misaligned(file: file, tensor: name, type: type, shape: shape) }
        return bits / 8
    }
}

extension JSON {
    /// A whole number from 0 on, spelled without sign, fraction and exponent.
    fileprivate var size: UInt64? {
        guard case .number(let number) = self, number.text.utf8.first != UInt8(ascii: "-") else { return nil }
        return UInt64(number.text)
    }

    /// The name of one of several variants, which the reference's parser takes as an object, too.
    fileprivate var variant: String? {
        guard case .object(let members) = self else { return string }
        return members.count == 1 && members.values[0].isNull ? members.keys[0] : nil
    }

    /// Whether there is a number inside that no float64 can hold, which the reference's parser refuses even
    /// where nobody reads it.
    fileprivate var holdsNumberOutOfRange: Bool {
        switch self {
        case .number(let number): !number.double.isFinite
        case .array(let elements): elements.contains(where: \.holdsNumberOutOfRange)
        case .object(let members): members.values.contains(where: \.holdsNumberOutOfRange)
        default: false
        }
    }
}
