public import ArgumentParser
public import Formats

/// How the documents of files are read, as it is typed in every command that reads some.
public struct TextArguments: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The key of a line's text, or a Parquet file's column; a dot leads into an object inside.",
            valueName: "key"))
    package var textKey = "text"
    @Flag(help: "Compose texts (Unicode's NFC), as Hangul in parts needs it.") package var nfc = false
    @Flag(help: "Pass over lines or rows that can't be used, and count them.") package var skipBadLines =
        false
    @Flag(help: "Encode control tokens that a text spells out as text.") package var plainText = false

    /// Makes one; the parser fills it.
    public init() {}

    /// Refuses a key that no line can have.
    public func validate() throws {
        if textKey.isEmpty {
            throw ValidationError("--text-key must be the key of a text, as in --text-key content")
        }
    }

    /// What was typed.
    public var options: TextOptions {
        TextOptions(textKey: textKey, composes: nfc, skipsBadLines: skipBadLines, isPlain: plainText)
    }

    /// What a command's `--help` says of files that it reads several times.
    public static let storedFiles = """
        FILE is JSON lines (.jsonl, .ndjson, .json: an object with a "text" a line), .parquet (a column "text") or \
        .txt (one document), each also with .gz or .zst; a folder or a quoted pattern ('texts/*.jsonl') of such
        """

    /// What a command's `--help` says of the files.
    public static let files = storedFiles + "; a pipe, or - for standard input."
}
