internal import Foundation

extension JSON {
    /// What a value encodes itself as, its keys sorted.
    ///
    /// JSON has no word for infinity and for what is no number, so null stands for them.
    ///
    /// - Throws: what the value itself throws.
    public init(encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: Self.notFinite, negativeInfinity: Self.notFinite, nan: Self.notFinite)
        self = try JSON(parsing: [UInt8](try encoder.encode(value)), file: "an encoded value")
            .replacingNotFinite
    }

    /// What stands for a number that is not finite until it becomes null; no text has this character.
    private static let notFinite = "\u{0}not finite"

    private var replacingNotFinite: JSON {
        switch self {
        case .string(Self.notFinite): return .null
        case .array(let values): return .array(values.map(\.replacingNotFinite))
        case .object(var members):
            for (key, value) in members { members[key] = value.replacingNotFinite }
            return .object(members)
        default: return self
        }
    }

    /// The value that this is the encoding of.
    ///
    /// - Throws: `DecodingError` when it is of no such value.
    public func decoded<Value: Decodable>(as type: Value.Type) throws -> Value {
        try JSONDecoder().decode(type, from: Data(serialized(indent: nil)))
    }
}

extension JSON {
    /// The value as it would stand in a file, on one line.
    package var text: String { String(decoding: serialized(indent: nil), as: UTF8.self) }
}
