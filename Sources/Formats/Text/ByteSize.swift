/// A number of bytes as it is written: "5GB", "300 MB", "1.5GiB", "1000000".
public struct ByteSize: Sendable, Equatable, CustomStringConvertible {
    /// The number of bytes.
    public let bytes: Int

    /// A size from a number of bytes.
    public init(bytes: Int) {
        self.bytes = bytes
    }

    /// A size from its text; nil when that is not a whole positive number of bytes, or more than a file holds.
    public init?(_ text: String) {
        let text = text.filter { $0 != " " }
        let digits = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        guard let number = Double(digits),
            let unit = Self.units[text.dropFirst(digits.count).lowercased()],
            case let value = (number * unit).rounded(), value >= 1, value < 0x1p62
        else { return nil }
        bytes = Int(value)
    }

    /// The size in its best unit.
    public var description: String { Units.bytes(bytes) }

    private static let units: [String: Double] = [
        "": 1, "b": 1,
        "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12,
        "kb": 1e3, "mb": 1e6, "gb": 1e9, "tb": 1e12,
        "kib": 0x1p10, "mib": 0x1p20, "gib": 0x1p30, "tib": 0x1p40,
    ]
}
