/// Strings that are to become tokens.
public struct TokenList: Sendable {
    /// How they are added.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// As tokens of the model, reached through merges.
        case merges
        /// As added tokens, found in a text before everything else, also inside words.
        case added
        /// As special tokens, which decoding may leave out.
        case special
    }

    /// A string and where it stands.
    public struct Entry: Sendable {
        /// The string.
        public let text: String
        /// Its line, counted from 1.
        public let line: Int
    }

    /// The strings.
    public let entries: [Entry]
    /// The file that they are from; nil when they are from none.
    let path: String?

    /// These strings, which stand in no file.
    public init(_ strings: [String]) {
        entries = strings.enumerated().map { Entry(text: $1, line: $0 + 1) }
        path = nil
    }

    /// Reads a file with a string a line; empty lines and a byte order mark are passed over.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read, is not UTF-8 or has no string.
    public init(path: String) throws(UserFacingError) {
        var bytes = try InputFile(path: path).bytes()[...]
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { bytes = bytes.dropFirst(3) }
        var entries: [Entry] = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            guard let string = String(validating: line, as: UTF8.self) else {
                throw .notUTF8(path: path, line: index + 1, byte: firstInvalid(Array(line)))
            }
            if !string.isEmpty { entries.append(Entry(text: string, line: index + 1)) }
        }
        guard !entries.isEmpty else { throw .noDocuments(paths: [path]) }
        self.entries = entries
        self.path = path
    }

    /// Where strings stand, for messages: `tokens.txt, line 3 ("the"), line 9 ("a")`.
    func place(_ entries: [Entry]) -> String {
        let shown = entries.prefix(8).map { "line \($0.line) (\"\($0.text)\")" }.joined(separator: ", ")
        let others = entries.count > 8 ? " and \(entries.count - 8) more" : ""
        return (path.map { $0 + ", " } ?? "") + shown + others
    }
}

// Why strings can't become tokens.
extension UserFacingError {
    /// Strings can't be tokens of the kind that was asked for.
    package static func unusableTokens(_ place: String, reason: String) -> Self {
        Self(.unsupported, "\(place) can't become tokens: \(reason)")
    }
}

extension VocabularyExtension {
    /// The tokens and merges that strings need.
    ///
    /// As merges, a string's pieces are joined from the left, one after the other, so what stands between the pieces and
    /// the string become tokens, too.
    ///
    /// - Throws: ``UserFacingError`` that names the lines of strings that are tokens already, stand twice, or can't be
    ///   reached by merges.
    public init(_ list: TokenList, as kind: TokenList.Kind, for tokenizer: Tokenizer) throws(UserFacingError)
    {
        self.init()
        var builder = kind == .merges ? try MergeBuilder(tokenizer) : nil
        var seen = Set<JSONKey>()
        let repeated = list.entries.filter { !seen.insert(JSONKey($0.text)).inserted }
        guard repeated.isEmpty else {
            throw .unusableTokens(
                list.place(repeated), reason: "they stand in the list before; take these lines out")
        }
        let existing = list.entries.filter { entry in
            builder?.isToken(entry.text) ?? (tokenizer.id(of: entry.text) != nil)
        }
        guard existing.isEmpty else {
            throw .unusableTokens(
                list.place(existing), reason: "the tokenizer has them already; take these lines out")
        }
        for entry in list.entries {
            if builder != nil {
                if let reason = builder?.add(entry.text) {
                    throw .unusableTokens(list.place([entry]), reason: reason)
                }
            } else {
                added.append(
                    AddedToken(
                        id: Int32(tokenizer.largestID + 1 + added.count), content: entry.text,
                        isSpecial: kind == .special))
            }
        }
        if let builder { self = builder.result }
    }
}

extension TokenList {
    /// Refuses strings whose tokens do not become them again when they are decoded.
    ///
    /// The decoder of tokens spelled in bytes reads an added token's characters as bytes where it can, so of "é" one
    /// byte is left.
    ///
    /// - Parameters:
    ///   - tokenizer: the tokenizer that has the tokens.
    ///   - kind: how they were added.
    /// - Throws: ``UserFacingError`` that names the lines.
    public func checkDecoding(by tokenizer: Tokenizer, as kind: Kind) throws(UserFacingError) {
        func isSame(_ decoded: String, _ text: String) -> Bool {
            // What puts a space before a text takes one away again.
            decoded == text || text.hasPrefix(" ") && decoded == text.dropFirst()
        }
        let wrong = entries.filter { entry in
            guard let ids = try? tokenizer.encode(entry.text, addSpecialTokens: false), ids.count == 1 else {
                return false
            }
            let decoded = tokenizer.decode(ids)
            return !isSame(decoded, entry.text)
                && !isSame(decoded, String(decoding: tokenizer.bytes(of: ids[0]), as: UTF8.self))
        }
        guard let first = wrong.first, let id = tokenizer.id(of: first.text) else { return }
        throw .unusableTokens(
            place(wrong),
            reason: "the tokenizer's decoder makes \"\(tokenizer.decode([id]))\" of the added token "
                + "\"\(first.text)\"; "
                + (kind == .added
                    ? "leave --tokens-as out, so that merges lead to them" : "use other characters"))
    }

    /// The words that begin none of the tokens behind a space, although a text has them there.
    ///
    /// - Parameter tokenizer: the tokenizer that has the tokens.
    /// - Returns: the strings, in their order.
    public func unusedBehindSpace(by tokenizer: Tokenizer) -> [Entry] {
        entries.filter { entry in
            guard let first = entry.text.unicodeScalars.first, first.isWord, !first.isWrittenWithoutSpaces,
                !entries.contains(where: { JSONKey($0.text) == JSONKey(" " + entry.text) }),
                let alone = try? tokenizer.encode(entry.text, addSpecialTokens: false),
                let behind = try? tokenizer.encode("a " + entry.text, addSpecialTokens: false)
            else { return false }
            let id = alone.count == 1 ? alone[0] : tokenizer.pieces(of: Array(entry.text.utf8)).first
            return !(id.map { behind.contains($0) } ?? true)
        }
    }
}

extension Unicode.Scalar {
    /// Whether it belongs to a script that puts no spaces between words: Thai, Lao, Burmese, Khmer, Chinese, Japanese.
    fileprivate var isWrittenWithoutSpaces: Bool {
        switch value {
        case 0x0E00...0x0EFF, 0x1000...0x109F, 0x1780...0x17FF, 0x2E80...0x312F, 0x3190...0x9FFF,
            0xF900...0xFAFF,
            0x20000...0x3FFFF:
            true
        default: false
        }
    }
}
