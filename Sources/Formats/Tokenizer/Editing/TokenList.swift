/// Strings that are to become tokens.
public enum TokenList {
    /// How they are added.
    public enum Kind: String, Codable, Sendable, CaseIterable {
        /// As tokens of the model, reached through merges.
        case merges
        /// As added tokens, found in a text before everything else, also inside words.
        case added
        /// As special tokens, which decoding may leave out.
        case special
    }

    /// Reads a file with a string a line; empty lines are passed over.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read, is not UTF-8 or has no string.
    public static func read(_ path: String) throws(UserFacingError) -> [String] {
        let bytes = try InputFile(path: path).bytes()
        var strings: [String] = []
        for (index, line) in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            .enumerated()
        {
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            guard let string = String(validating: line, as: UTF8.self) else {
                throw .notUTF8(path: path, line: index + 1, byte: firstInvalid(Array(line)))
            }
            if !string.isEmpty { strings.append(string) }
        }
        guard !strings.isEmpty else { throw .noDocuments(paths: [path]) }
        return strings
    }
}

// Why strings can't become tokens.
extension UserFacingError {
    /// A string can't be a token of the kind that was asked for.
    package static func unusableToken(_ string: String, reason: String) -> Self {
        Self(
            .unsupported,
            "\"\(string)\" can't become a token: \(reason)")
    }
}

extension VocabularyExtension {
    /// The tokens and merges that strings need.
    ///
    /// As merges, a string's pieces are joined from the left, one after the other, so what stands between the pieces and
    /// the string become tokens, too.
    ///
    /// - Throws: ``UserFacingError`` when a string is a token already, or can't be reached by merges.
    public init(_ strings: [String], as kind: TokenList.Kind, for tokenizer: Tokenizer)
        throws(UserFacingError)
    {
        self.init()
        guard kind != .merges else {
            var builder: MergeBuilder
            builder = try MergeBuilder(tokenizer)
            for string in strings { try builder.add(string) }
            self = builder.result
            return
        }
        for string in strings {
            guard tokenizer.id(of: string) == nil, !added.contains(where: { $0.content == string }) else {
                throw .unusableToken(string, reason: "it is one already")
            }
            added.append(
                AddedToken(
                    id: Int32(tokenizer.largestID + 1 + added.count), content: string,
                    isSpecial: kind == .special))
        }
    }
}
