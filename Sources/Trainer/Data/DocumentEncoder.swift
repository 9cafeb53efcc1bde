internal import Formats

/// Turns a file's documents into tokens of a model.
struct DocumentEncoder: Sendable {
    private let source: Source
    private let tokenizer: Tokenizer
    /// Rows of the model's embedding.
    private let rows: Int
    /// What ends a document, where the tokenizer itself marks neither its start nor its end.
    private let separator: Int32?

    private enum Source: Sendable {
        case text(DocumentIndex)
        case tokens(PackedTokens)
    }

    /// Opens documents, or tokens that were packed with the same tokenizer.
    ///
    /// - Parameters:
    ///   - path: a file, a folder, a pattern, a pipe, `-` for standard input, or a packed file.
    ///   - options: how documents are read.
    ///   - tokenizer: the model's.
    ///   - rows: rows of the model's embedding.
    ///   - separator: what ends a document, where the tokenizer itself marks neither its start nor its end.
    /// - Throws: ``UserFacingError`` naming the file, and the line that cannot be read.
    init(
        path: String, options: TextOptions, tokenizer: Tokenizer, rows: Int, separator: Int32?
    ) throws(UserFacingError) {
        self.tokenizer = tokenizer
        self.rows = rows
        self.separator = separator
        guard path.hasSuffix(PackedTokens.ending) else {
            source = .text(try DocumentIndex(path: path, options: options, tokenizer: tokenizer))
            return
        }
        let packed = try PackedTokens(path: path)
        guard packed.tokenizer == tokenizer.sha256 else {
            throw .otherTokenizer(
                path: path, found: packed.tokenizer, expected: tokenizer.sha256 ?? "unknown")
        }
        source = .tokens(packed)
    }

    /// The path as it was given.
    var path: String {
        switch source {
        case .text(let file): file.path
        case .tokens(let packed): packed.path
        }
    }

    /// What there is to know of the texts, a sentence each.
    var warnings: [String] {
        guard case .text(let file) = source else { return [] }
        return file.findings.warnings(for: tokenizer).map { "\(path): \($0)" }
    }

    /// What is in it, by which a kept run knows it again.
    func content() throws(UserFacingError) -> TextContent {
        switch source {
        case .text(let file): return TextContent(byteCount: file.byteCount, sha256: file.sha256)
        case .tokens(let packed):
            let file = try InputFile(path: packed.path)
            return TextContent(byteCount: file.size, sha256: try FileDigest.sha256(file))
        }
    }

    /// How many documents there are.
    var count: Int {
        switch source {
        case .text(let file): file.count
        case .tokens(let packed): packed.count
        }
    }

    /// The tokens of one document, as the tokenizer encodes it, and the separator.
    func tokens(_ index: Int) throws(UserFacingError) -> [Int32] {
        var tokens = try document(index).tokens
        if let separator, !tokens.isEmpty { tokens.append(separator) }
        return tokens
    }

    /// The tokens of all documents, one after the other, without separators, and the bytes of their text.
    func allTokens() throws(UserFacingError) -> (tokens: [Int32], bytes: Int) {
        var tokens: [Int32] = []
        var bytes = 0
        for index in 0..<count {
            let document = try document(index)
            tokens += document.tokens
            bytes += document.byteCount
        }
        return (tokens, bytes)
    }

    private func document(_ index: Int) throws(UserFacingError) -> EncodedDocument {
        let document: EncodedDocument
        switch source {
        case .text(let file):
            document = try file.encoded(index, by: tokenizer)
        case .tokens(let packed):
            document = EncodedDocument(tokens: packed.tokens(index), byteCount: packed.byteCount(index))
        }
        if let bad = document.tokens.first(where: { $0 < 0 || $0 >= rows }) {
            throw .tokenOutOfRange(path: path, token: Int(bad), rows: rows)
        }
        return document
    }

    /// What should end a document: nothing where the tokenizer marks documents itself, else `endOfText`.
    static func separator(of tokenizer: Tokenizer, endOfText: Int?) throws(UserFacingError) -> Int32? {
        let marks: Bool
        do {
            marks =
                try tokenizer.encode("", addSpecialTokens: true)
                != tokenizer.encode("", addSpecialTokens: false)
        } catch {
            throw error.within("tokenizer.json")
        }
        return marks ? nil : endOfText.map(Int32.init)
    }
}

/// What is in a source of text: its documents as they are read, whatever files they lie in.
struct TextContent: Sendable, Equatable {
    /// The bytes of all documents, or of a file of tokens.
    let byteCount: Int
    /// Their SHA-256.
    let sha256: String
}

/// A document as tokens, as its tokenizer encodes it by itself.
public struct EncodedDocument: Sendable {
    /// The tokens, special ones included.
    public let tokens: [Int32]
    /// The bytes of the text that they stand for.
    public let byteCount: Int
}

extension DocumentIndex {
    /// A document's tokens.
    func encoded(_ index: Int, by tokenizer: Tokenizer) throws(UserFacingError) -> EncodedDocument {
        let text = try self.text(index)
        do {
            return EncodedDocument(tokens: try tokenizer.encode(text), byteCount: text.utf8.count)
        } catch {
            throw error.within(path)
        }
    }
}
