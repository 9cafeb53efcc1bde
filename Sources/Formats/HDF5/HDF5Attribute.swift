/// A named value of a group or dataset.
public struct HDF5Attribute: Sendable, Equatable {
    /// What a value is kept as, so that it can be written as it was.
    public enum Value: Sendable, Equatable {
        /// Strings of any length, in UTF-8.
        case text([String])
        /// Other values: the type as the file describes it, and the bytes.
        case raw(type: [UInt8], bytes: [UInt8])
    }

    /// What it is called.
    public let name: String
    /// Its dimensions; empty for a single value, nil when there is none.
    public let shape: [Int]?
    /// What it holds.
    public var value: Value

    /// An attribute that holds a value of a shape.
    public init(name: String, shape: [Int]?, value: Value) {
        self.name = name
        self.shape = shape
        self.value = value
    }

    /// An attribute that holds one string, as Keras's `name` does.
    public init(name: String, text: String) {
        self.init(name: name, shape: [], value: .text([text]))
    }

    /// The strings it holds, whether of any length or of one; nil when it holds something else.
    ///
    /// No values at all are no strings, whatever their type: NumPy, by which Keras writes, takes empty lists for numbers.
    ///
    /// Strings of one length are ended by zero bytes or filled up with them or with spaces (HDF5 file format
    /// specification, IV.A.2.d, class 3).
    public var strings: [String]? {
        switch value {
        case .text(let strings): return strings
        case .raw(let type, let bytes):
            if let shape, shape.contains(0) { return [] }
            guard type.count >= 8, type[0] & 0x0F == 3, shape != nil else { return nil }
            let size = (4..<8).reversed().reduce(0) { $0 << 8 | Int(type[$1]) }
            guard size > 0, bytes.count.isMultiple(of: size) else { return nil }
            let isFilledWithSpaces = type[1] & 0x0F == 2
            return stride(from: 0, to: bytes.count, by: size).map { start in
                var text = bytes[start..<start + size].prefix { $0 != 0 }
                if isFilledWithSpaces { while text.last == 0x20 { text.removeLast() } }
                return String(decoding: text, as: UTF8.self)
            }
        }
    }
}

extension [HDF5Attribute] {
    /// The strings of an attribute; large lists are split over `NAME0`, `NAME1` and so on, as Keras does where they
    /// take more than 64,512 bytes.
    func strings(_ name: String) -> [String]? {
        if let whole = first(where: { $0.name == name }) { return whole.strings }
        var parts: [String]?
        for index in 0... {
            guard let part = first(where: { $0.name == "\(name)\(index)" }) else { return parts }
            guard let strings = part.strings else { return nil }
            parts = (parts ?? []) + strings
        }
        return parts
    }
}
