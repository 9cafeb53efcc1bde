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

/// Why a JSON text could not be read.
public enum JSONError: UserFacingError, Equatable {
    /// The file could not be opened or read.
    case unreadable(FileError)
    /// The text is not JSON.
    case malformed(file: String, position: JSONPosition, found: String, expected: String)
    /// A key stands twice in an object where it may stand once.
    case duplicateKey(file: String, position: JSONPosition, path: [String])

    /// The input is at fault, unless the system failed to read it.
    public var fault: Fault {
        if case .unreadable(let error) = self { error.fault } else { .input }
    }

    /// The error in one sentence.
    public var description: String {
        switch self {
        case .unreadable(let error):
            error.description
        case .malformed(let file, let position, let found, let expected):
            "\(file):\(position.line):\(position.column) (byte \(position.offset)) is not valid JSON: "
                + "found \(found), expected \(expected)"
        case .duplicateKey(let file, let position, let path):
            "\(file):\(position.line):\(position.column) (byte \(position.offset)): "
                + "\"\(path.joined(separator: "."))\" stands twice; remove one of the two"
        }
    }
}
