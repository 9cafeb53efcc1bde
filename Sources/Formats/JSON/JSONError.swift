/// Where in a JSON text something stands.
public struct JSONPosition: Sendable, Hashable {
    /// The offset in bytes from the text's start.
    public let offset: Int
    /// The line, from 1.
    public let line: Int
    /// The column in characters (Unicode scalars), from 1.
    public let column: Int

    init(offset: Int, in bytes: Span<UInt8>) {
        var line = 1
        var column = 1
        for index in 0..<min(offset, bytes.count) {
            let byte = bytes[index]
            if byte == UInt8(ascii: "\n") {
                line += 1
                column = 1
            } else if byte & 0xC0 != 0x80 {
                column += 1
            }
        }
        self.offset = offset
        self.line = line
        self.column = column
    }
}

// Why a JSON text could not be read.
extension UserFacingError {
    /// The text is not JSON.
    package static func malformedJSON(file: String, position: JSONPosition, found: String, expected: String)
        -> Self
    {
        Self(
            .malformed,
            "\(file):\(position.line):\(position.column) (byte \(position.offset)) is not valid JSON: "
                + "found \(found), expected \(expected)")
    }

    /// A key stands twice in an object where it may stand once.
    package static func duplicateKey(file: String, position: JSONPosition, path: [String]) -> Self {
        Self(
            .malformed,
            "\(file):\(position.line):\(position.column) (byte \(position.offset)): "
                + "\"\(path.joined(separator: "."))\" stands twice; remove one of the two")
    }
}
