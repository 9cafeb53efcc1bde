public import Formats
internal import Foundation

/// Prints a value on standard output, indented, as the one object that `--json` promises.
public func printJSON(_ value: JSON) {
    print(String(decoding: value.serialized(indent: 2), as: UTF8.self))
}

/// Prints a value on standard output, indented and with its keys sorted, as the one object that `--json` promises.
///
/// - Throws: `EncodingError` for a number that JSON can't write.
public func printJSON(_ value: some Encodable) throws {
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
    print(String(decoding: try encoder.encode(value), as: UTF8.self))
}
