/// Why bytes of a Parquet file can't be read; who knows where they lie makes a ``UserFacingError`` of it.
enum ParquetFault: Error {
    /// They break a rule of the format.
    case damaged(String)
    /// The bytes end before what they should hold.
    case cutOff
    /// They are valid, and there is no way to read them here.
    case unsupported(String)
    /// The system can't read the file.
    case file(UserFacingError)

    /// The error that a person is told.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - place: where in the file, such as a row group and a column; empty for the file as such.
    /// - Returns: the error, which names the file.
    func located(path: String, _ place: String = "") -> UserFacingError {
        let place = place.isEmpty ? path : "\(path), \(place)"
        return switch self {
        case .damaged(let reason): .damagedParquet(place: place, reason: reason)
        case .cutOff: .damagedParquet(place: place, reason: "it ends too early")
        case .unsupported(let found): .unsupportedParquet(place: place, found: found, path: path)
        case .file(let error): error
        }
    }
}

// Why a Parquet file can't be read.
extension UserFacingError {
    /// The file is damaged: where, and what is wrong.
    static func damagedParquet(place: String, reason: String) -> Self {
        Self(
            .malformed, "\(place): it can't be read (\(reason)); the file is damaged or cut off, get it again"
        )
    }

    /// The file is written in a way that is not read.
    static func unsupportedParquet(place: String, found: String, path: String) -> Self {
        Self(
            .unsupported,
            """
            \(place): it has \(found), which is not read; write it as pyarrow does by itself: python3 -c \
            "import pyarrow.parquet as p; p.write_table(p.read_table('\(path)'), 'new.parquet')"
            """)
    }

    /// The file, or what is read of it, is encrypted.
    static func encryptedParquet(path: String) -> Self {
        Self(.unsupported, "\(path): it is an encrypted Parquet file; write it without encryption")
    }

    /// The file is called a Parquet file and is none.
    static func noParquet(path: String) -> Self {
        Self(
            .malformed,
            "\(path): it does not begin with PAR1, as a Parquet file does; get it again, or call it by what is in it"
        )
    }

    /// The file has no column of that name.
    static func noColumn(path: String, name: String, columns: [String]) -> Self {
        let list = columns.prefix(10).joined(separator: ", ") + (columns.count > 10 ? ", …" : "")
        return Self(
            .malformed,
            "\(path): it has the columns \(list); expected \"\(name)\"; --text-key KEY names another")
    }

    /// The column holds something else than is asked for.
    static func wrongColumn(path: String, name: String, found: String, expected: String) -> Self {
        let isChat = ["messages", "conversations", "conversation", "chosen"].contains(name)
        let advice =
            isChat
            ? "chats are not read: write each as one text first, by the model's chat template"
            : "--text-key KEY names another column"
        return Self(
            .unsupported,
            "\(path): its column \"\(name)\" is \(found), and \(expected) is expected; \(advice)")
    }

    /// A row has no text.
    static func nullText(path: String, row: Int, place: String, column: String) -> Self {
        Self(
            .malformed,
            """
            \(path), row \(row) (\(place)): its "\(column)" is null; expected a string; --skip-bad-lines passes over \
            such rows
            """)
    }

    /// A row's text is not UTF-8 from one of its bytes on, which count from 0.
    static func notUTF8(
        path: String, row: Int, place: String, column: String, byte: Int, encoding: TextEncoding?
    ) -> Self {
        let look = encoding.map { ": it looks like \($0.description)" } ?? ""
        return Self(
            .malformed,
            """
            \(path), row \(row) (\(place)): byte \(byte) of its "\(column)" is not valid UTF-8\(look); write the \
            column as UTF-8, or pass over such rows with --skip-bad-lines
            """)
    }
}
