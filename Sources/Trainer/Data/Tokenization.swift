public import Formats

/// The documents of files as tokens: given one by one, counted, or packed into a file.
public struct Tokenization: Sendable {
    private let tokenizer: Tokenizer
    private let documents: DocumentIndex
    private let layout: DocumentLayout?
    private let threads: Int

    /// Opens files of documents and checks all their lines.
    ///
    /// - Parameters:
    ///   - files: files, folders, patterns, pipes, or `-` for standard input.
    ///   - options: how documents are read.
    ///   - tokenizer: what encodes.
    ///   - layout: how training lays documents out, to count its tokens; nil does not count them.
    ///   - threads: how many threads encode.
    /// - Throws: ``UserFacingError`` naming the file and the line that cannot be read.
    public init(
        of files: [String], options: TextOptions = TextOptions(), by tokenizer: Tokenizer,
        layout: DocumentLayout? = nil, threads: Int
    ) throws(UserFacingError) {
        self.tokenizer = tokenizer.reading(options)
        self.layout = layout
        self.threads = threads
        documents = try DocumentIndex(paths: files, options: options, tokenizer: tokenizer)
    }

    /// What to tell of the texts, a sentence each.
    public var warnings: [String] { documents.findings.warnings(for: tokenizer) }

    /// How many documents there are.
    public var count: Int { documents.count }

    /// About how many bytes of text are encoded at once.
    private static let bytesAtOnce = 4 << 20

    /// Gives every document in order; some are encoded at once, so that memory does not grow with the files.
    ///
    /// - Parameters:
    ///   - isCancelled: asked after each document; true stops.
    ///   - body: is given a document's tokens and bytes.
    /// - Throws: ``UserFacingError`` when a document can't be read or encoded, or it was stopped, and what `body` throws.
    public func forEachDocument(
        isCancelled: () -> Bool = { false }, _ body: (EncodedDocument) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        var start = 0
        while start < count {
            let range = start..<documents.end(of: Self.bytesAtOnce, from: start)
            let encoded = try mapConcurrently(range.count, threads: threads) {
                index throws(UserFacingError) in
                try documents.encoded(range.lowerBound + index, by: tokenizer)
            }
            for document in encoded {
                try body(document)
                if isCancelled() { throw .interrupted(" before all documents were encoded; begin again") }
            }
            start = range.upperBound
        }
    }

    /// Counts everything.
    public func statistics() throws(UserFacingError) -> TokenStatistics {
        var statistics = TokenStatistics(of: tokenizer, findings: documents.findings, layout: layout)
        try forEachDocument { document throws(UserFacingError) in
            statistics.count(document)
        }
        return statistics
    }

    /// Packs all documents into a file that training reads by memory map; see ``PackedTokens``.
    ///
    /// The file appears when it is whole.
    ///
    /// - Parameters:
    ///   - path: the file; one that exists is replaced.
    ///   - tool: name and version of what writes.
    ///   - isCancelled: asked now and then; true ends the work and leaves nothing behind.
    ///   - progress: is given how many documents are done.
    /// - Returns: what was written.
    /// - Throws: ``UserFacingError`` when something can't be read, encoded or written, or when it was stopped.
    public func write(
        to path: String, tool: String, isCancelled: () -> Bool = { false }, progress: (Int) -> Void = { _ in }
    ) throws(UserFacingError) -> TokenStatistics {
        guard let sha256 = tokenizer.sha256 else {
            throw .unusableTokenizer(
                path: path, reason: "a tokenizer without a file can't be named in a packed file")
        }
        let writer = try PackedFileWriter(
            path: path, documents: count, largestID: tokenizer.largestID, tokenizer: sha256, tool: tool,
            hasSynthetic: documents.hasSynthetic)
        var statistics = TokenStatistics(of: tokenizer, findings: documents.findings, layout: layout)
        try forEachDocument(isCancelled: isCancelled) { document throws(UserFacingError) in
            try writer.append(document)
            statistics.count(document)
            progress(statistics.documents)
        }
        try writer.close()
        return statistics
    }
}
