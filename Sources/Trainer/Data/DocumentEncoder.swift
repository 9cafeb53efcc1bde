internal import Formats

/// The documents of a source as tokens of a model.
struct DocumentEncoder: Sendable {
    /// How they are laid out.
    let layout: DocumentLayout
    private let source: Source
    private let tokenizer: Tokenizer
    private let vocabularySize: Int

    private enum Source: Sendable {
        case text(DocumentIndex)
        case tokens(PackedTokens)
    }

    /// Opens documents, or tokens that were packed with the same tokenizer.
    ///
    /// - Parameters:
    ///   - path: a file, a folder, a pattern, a pipe, `-` for standard input, a packed file, or a folder of shards.
    ///   - options: how documents are read.
    ///   - tokenizer: the model's.
    ///   - layout: how documents are laid out.
    ///   - vocabularySize: rows of the model's embedding.
    /// - Throws: ``UserFacingError`` naming the file, and the line that cannot be read.
    init(
        path: String, options: TextOptions = TextOptions(), tokenizer: Tokenizer, layout: DocumentLayout,
        vocabularySize: Int
    ) throws(UserFacingError) {
        self.tokenizer = tokenizer
        self.layout = layout
        self.vocabularySize = vocabularySize
        guard PackedTokens.isPacked(path) else {
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
        case .tokens(let packed): return try packed.content()
        }
    }

    /// How many documents there are.
    var count: Int {
        switch source {
        case .text(let file): file.count
        case .tokens(let packed): packed.count
        }
    }

    /// The tokens of one document, laid out; none where its text has none.
    func tokens(_ index: Int) throws(UserFacingError) -> [Int32] {
        let text = try text(index).tokens
        return text.isEmpty ? [] : layout.document(ofText: text)
    }

    /// The tokens of one document's text, and its bytes.
    func text(_ index: Int) throws(UserFacingError) -> EncodedDocument {
        let document: EncodedDocument
        switch source {
        case .text(let file):
            document = try file.encoded(index, by: tokenizer)
        case .tokens(let packed):
            document = EncodedDocument(tokens: packed.tokens(index), byteCount: packed.byteCount(index))
        }
        if let bad = document.tokens.first(where: { $0 < 0 || $0 >= vocabularySize }) {
            throw .tokenOutOfRange(path: path, token: Int(bad), vocabularySize: vocabularySize)
        }
        return EncodedDocument(
            tokens: Array(layout.text(in: document.tokens)), byteCount: document.byteCount)
    }

    /// How many tokens the documents have, laid out; encodes all of them where they are text.
    ///
    /// - Parameters:
    ///   - threads: how many threads encode.
    ///   - isCancelled: asked now and then; true stops.
    /// - Returns: the size.
    /// - Throws: ``UserFacingError`` when a document can't be encoded, when none has a token, or when it was stopped.
    func size(threads: Int, isCancelled: () -> Bool = { false }) throws(UserFacingError) -> DataSize {
        var size = DataSize(documents: count)
        var start = 0
        while start < count {
            let (first, end): (Int, Int)
            let counts: [Int]
            switch source {
            case .text(let file):
                (first, end) = (start, file.end(of: Self.bytesAtOnce, from: start))
                counts = try mapConcurrently(end - first, threads: threads) { index throws(UserFacingError) in
                    try text(first + index).tokens.count
                }
            case .tokens(let packed):
                (first, end) = (start, min(start + Self.documentsAtOnce, count))
                counts = (first..<end).map { layout.textCount(of: packed.tokenCount($0)) }
            }
            for count in counts { size.add(layout.count(ofText: count)) }
            if isCancelled() { throw .interrupted(" before all tokens were counted; begin again") }
            start = end
        }
        guard size.tokens > 0 else { throw .noTokens(path: path) }
        return size
    }

    /// About how many bytes of text are encoded at once.
    private static let bytesAtOnce = 4 << 20
    /// How many packed documents are counted before it is asked whether to stop.
    private static let documentsAtOnce = 1 << 20
}

/// How much there is in a source, laid out.
struct DataSize: Sendable {
    /// All documents, those without a token included.
    let documents: Int
    /// The tokens that one pass shows.
    private(set) var tokens = 0
    /// The tokens of the longest document.
    private(set) var longest = 0

    init(documents: Int) { self.documents = documents }

    /// Counts a document.
    mutating func add(_ count: Int) {
        tokens += count
        longest = max(longest, count)
    }
}

/// What is in a source of text: its documents as they are read, whatever files they lie in.
struct TextContent: Sendable, Equatable {
    /// The bytes of all documents, or of the files of tokens.
    let byteCount: Int
    /// Their SHA-256.
    let sha256: String
}

/// A document as tokens.
public struct EncodedDocument: Sendable {
    /// The tokens.
    public let tokens: [Int32]
    /// The bytes of the text that they stand for.
    public let byteCount: Int
}

extension DocumentIndex {
    /// A document's tokens, as its tokenizer encodes it by itself, special ones included; an empty one has none.
    func encoded(_ index: Int, by tokenizer: Tokenizer) throws(UserFacingError) -> EncodedDocument {
        let text = try self.text(index)
        guard !text.isEmpty else { return EncodedDocument(tokens: [], byteCount: 0) }
        do {
            return EncodedDocument(tokens: try tokenizer.encode(text), byteCount: text.utf8.count)
        } catch {
            throw error.within(path)
        }
    }
}
