internal import Foundation

extension JSON {
    /// What a value encodes itself as, its keys sorted.
    ///
    /// - Throws: `EncodingError` for a number that JSON can't write.
    public init(encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        self = try JSON(parsing: [UInt8](try encoder.encode(value)), file: "an encoded value")
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
