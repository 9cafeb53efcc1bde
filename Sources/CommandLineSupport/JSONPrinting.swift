public import Formats
internal import Foundation

/// Prints a value on standard output, indented, as the one object that `--json` promises.
public func printJSON(_ value: JSON) {
    print(String(decoding: value.serialized(indent: 2), as: UTF8.self))
}

extension JSON {
    /// What a value encodes itself as, its keys sorted.
    ///
    /// - Throws: `EncodingError` for a number that JSON can't write.
    public init(encoding value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        self = try JSON(parsing: [UInt8](try encoder.encode(value)), file: "what is printed")
    }
}
