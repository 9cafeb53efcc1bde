// Why documents can't be read or used.
extension UserFacingError {
    /// The file's name ends in something else than the kinds that are read.
    package static func unknownKind(path: String) -> Self {
        Self(
            .unsupported,
            "\(path): the name must end in .jsonl (one {\"text\": …} a line) or .txt (one document)")
    }

    /// A line is not UTF-8 from one of its bytes on.
    package static func notUTF8(path: String, line: Int, byte: Int) -> Self {
        Self(
            .malformed,
            "\(path), line \(line): its byte \(byte) is not valid UTF-8; convert the file to UTF-8")
    }

    /// A line is not JSON.
    package static func notJSON(path: String, line: Int, reason: String) -> Self {
        Self(
            .malformed,
            "\(path), line \(line): it is not JSON: \(reason); expected one {\"text\": …} a line")
    }

    /// A line is JSON, but no object with a string `text`.
    package static func noText(path: String, line: Int, found: String) -> Self {
        Self(
            .malformed,
            "\(path), line \(line): it is \(found); expected an object with a string \"text\"")
    }

    /// A document has more bytes than can be read at once.
    package static func documentTooLong(path: String, line: Int, bytes: Int) -> Self {
        Self(
            .unsupported,
            "\(path), line \(line): a document of \(bytes) bytes is too long; divide it into documents below 2 GiB"
        )
    }

    /// There is no text in any of the files.
    package static func noDocuments(paths: [String]) -> Self {
        Self(
            .missing,
            "\(paths.joined(separator: ", ")): no text in it; give files with at least one text")
    }
}
