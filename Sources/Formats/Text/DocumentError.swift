/// Why documents can't be read or used.
public enum DocumentError: UserFacingError, Equatable {
    /// A file can't be read.
    case file(FileError)
    /// The file's name ends in something else than the kinds that are read.
    case unknownKind(path: String)
    /// A line is not UTF-8 from one of its bytes on.
    case notUTF8(path: String, line: Int, byte: Int)
    /// A line is not JSON.
    case notJSON(path: String, line: Int, reason: String)
    /// A line is JSON, but no object with a string `text`.
    case noText(path: String, line: Int, found: String)
    /// A document has more bytes than can be read at once.
    case tooLong(path: String, line: Int, bytes: Int)
    /// There is no text in any of the files.
    case empty(paths: [String])
    /// The tokenizer gave up on the text that begins on a line.
    case tokenizer(path: String, line: Int, TokenizerError)
    /// It was stopped before everything was read.
    case interrupted

    /// The input is at fault, unless the system failed to read it or the reading was stopped.
    public var fault: Fault {
        switch self {
        case .file(let error): error.fault
        case .interrupted: .run
        default: .input
        }
    }

    /// What is wrong where, and what to do.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .unknownKind(let path):
            "\(path): the name must end in .jsonl (one {\"text\": …} a line) or .txt (one document)"
        case .notUTF8(let path, let line, let byte):
            "\(path), line \(line): its byte \(byte) is not valid UTF-8; convert the file to UTF-8"
        case .notJSON(let path, let line, let reason):
            "\(path), line \(line): it is not JSON: \(reason); expected one {\"text\": …} a line"
        case .noText(let path, let line, let found):
            "\(path), line \(line): it is \(found); expected an object with a string \"text\""
        case .tooLong(let path, let line, let bytes):
            "\(path), line \(line): a document of \(bytes) bytes is too long; divide it into documents below 2 GiB"
        case .empty(let paths):
            "\(paths.joined(separator: ", ")): no text in it; give files with at least one text"
        case .tokenizer(let path, let line, let error): "\(path), line \(line): \(error)"
        case .interrupted: "stopped before all text was read; begin again"
        }
    }
}
