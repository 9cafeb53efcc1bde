/// What a parser does with a key that an object holds twice.
public enum JSONDuplicates: Sendable {
    /// The last value counts, at the first one's place, as most readers do.
    case lastWins
    /// Every repeated key is an error.
    case refused
    /// A repeated key is an error when this says so of its path, which begins at the top-level object and
    /// ends with the key (an array's index is written in decimal), and of the earlier value.
    case refusedWhere(@Sendable (_ path: [String], _ earlier: JSON) -> Bool)
}

extension JSON {
    /// Reads a JSON text: RFC 8259 in strict UTF-8, without a byte order mark, nested at most 127 deep.
    ///
    /// Python's three words, `Infinity`, `-Infinity` and `NaN`, are read as numbers; nothing else goes beyond the standard.
    ///
    /// - Parameters:
    ///   - bytes: the whole text.
    ///   - file: what error messages call it.
    ///   - duplicates: what to do with keys that stand twice in an object.
    /// - Throws: ``UserFacingError`` that says where the text stops being JSON, what is there and what should be.
    public init(
        parsing bytes: Span<UInt8>, file: String, duplicates: JSONDuplicates = .lastWins
    ) throws(UserFacingError) {
        var parser = JSONParser(duplicates: duplicates)
        do {
            self = try parser.parseText(bytes)
        } catch {
            let position = JSONPosition(offset: error.offset, in: bytes)
            switch error.reason {
            case .syntax(let found, let expected):
                throw .malformedJSON(
                    file: file, position: position, found: found ?? describe(error.offset, in: bytes),
                    expected: expected)
            case .duplicate(let path):
                throw .duplicateKey(file: file, position: position, path: path)
            }
        }
    }

    /// Reads a JSON text: RFC 8259 in strict UTF-8, without a byte order mark, nested at most 127 deep.
    ///
    /// Python's three words, `Infinity`, `-Infinity` and `NaN`, are read as numbers; nothing else goes beyond the standard.
    ///
    /// - Throws: ``UserFacingError`` that says where the text stops being JSON, what is there and what should be.
    public init(
        parsing bytes: [UInt8], file: String, duplicates: JSONDuplicates = .lastWins
    ) throws(UserFacingError) {
        try self.init(parsing: bytes.span, file: file, duplicates: duplicates)
    }

    /// Reads a JSON file.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read or is not JSON.
    public static func read(path: String, duplicates: JSONDuplicates = .lastWins) throws(UserFacingError)
        -> JSON
    {
        let bytes = try InputFile(path: path).bytes()
        return try JSON(parsing: bytes.span, file: path, duplicates: duplicates)
    }
}

/// The byte at `offset` for an error message.
private func describe(_ offset: Int, in bytes: Span<UInt8>) -> String {
    guard offset < bytes.count else { return "the end of the text" }
    let byte = bytes[offset]
    switch byte {
    case 0x21...0x7E: return "\"\(Character(Unicode.Scalar(byte)))\""
    case 0x20: return "a space"
    case 0x0A: return "the end of the line"
    default:
        let hexadecimal = String(byte, radix: 16, uppercase: true)
        return "the byte 0x\(hexadecimal.utf8.count < 2 ? "0" : "")\(hexadecimal)"
    }
}

extension JSONParser.Failure {
    /// What is wrong in a text that is one line of others.
    func description(in bytes: Span<UInt8>) -> String {
        switch reason {
        case .syntax(let found, let expected):
            "at its byte \(offset) there is \(found ?? describe(offset, in: bytes)) where \(expected) should be"
        case .duplicate(let path): "\"\(path.joined(separator: "."))\" stands twice"
        }
    }
}
