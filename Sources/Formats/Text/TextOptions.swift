/// How documents are read.
public struct TextOptions: Sendable, Codable, Hashable {
    /// The key whose value is a document, in files that have one a line; a dot leads into an object inside.
    public var textKey: String
    /// Whether texts are composed (Unicode's NFC), as Hangul that macOS has taken apart needs it.
    public var composes: Bool
    /// Whether lines that can't be used are passed over, and counted, instead of refused.
    public var skipsBadLines: Bool
    /// Whether control tokens that are spelled out in a text are encoded as the text that they are.
    public var isPlain: Bool

    /// The ways to read; by default the `text` of each line, as it is.
    public init(
        textKey: String = "text", composes: Bool = false, skipsBadLines: Bool = false, isPlain: Bool = false
    ) {
        self.textKey = textKey
        self.composes = composes
        self.skipsBadLines = skipsBadLines
        self.isPlain = isPlain
    }

    /// The document in the bytes that a file has for it.
    ///
    /// A byte order mark at its start is no text. Where the lines are the file's own, they end in a line feed, as Python
    /// reads them, whatever the file has.
    ///
    /// - Parameters:
    ///   - raw: UTF-8.
    ///   - isStart: whether the document begins here; a long one comes in parts.
    ///   - hasLines: whether its line ends are the file's.
    ///   - findings: is told what was there.
    /// - Returns: the text, in UTF-8.
    func document(
        _ raw: [UInt8], isStart: Bool, hasLines: Bool, noting findings: inout TextFindings
    ) -> [UInt8] {
        var text = raw
        if isStart, text.starts(with: byteOrderMark) {
            text.removeFirst(byteOrderMark.count)
            findings.byteOrderMarks += 1
        }
        if hasLines, text.contains(UInt8(ascii: "\r")) {
            let before = text.count
            text = text.replacing([UInt8(ascii: "\r"), UInt8(ascii: "\n")], with: [UInt8(ascii: "\n")])
            findings.carriageReturns += before - text.count
        }
        let syllables = findings.look(at: text.span)
        // Composing asks for every character what it joins with; most texts have nothing to join.
        guard composes else { return text }
        let composed = UnicodeForm.composed.apply(to: text)
        if syllables > 0 { findings.composedHangul += syllables }
        return composed
    }
}

/// U+FEFF in UTF-8, which some programs write before a text.
let byteOrderMark: [UInt8] = [0xEF, 0xBB, 0xBF]

extension TextOptions {
    /// The parameters of a job that encodes texts, by which these are told.
    public static let parameterList = [
        OperationParameter("text-key", .string, "the key of a line's text"),
        OperationParameter("nfc", .flag, "compose texts (Unicode's NFC)"),
        OperationParameter("skip-bad-lines", .flag, "pass over lines that can't be used"),
        OperationParameter("plain-text", .flag, "encode control tokens in a text as text"),
    ]
}
