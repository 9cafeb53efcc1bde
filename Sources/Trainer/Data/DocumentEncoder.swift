internal import Formats

/// The documents of a source as tokens of a model.
struct DocumentEncoder: Sendable {
    /// How they are laid out.
    private(set) var layout: DocumentLayout
    private let source: Source
    private var tokenizer: Tokenizer
    private var vocabularySize: Int
    private var infilling: SourceInfilling?
    /// The documents that count, in their order; nil for all.
    private var selection: [Int]?

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
    ///   - infilling: how documents are turned round; nil where none is.
    /// - Throws: ``UserFacingError`` naming the file, and the line that cannot be read.
    init(
        path: String, options: TextOptions = TextOptions(), tokenizer: Tokenizer, layout: DocumentLayout,
        vocabularySize: Int, infilling: SourceInfilling? = nil
    ) throws(UserFacingError) {
        guard PackedTokens.isPacked(path) else {
            try self.init(
                paths: [path], options: options, tokenizer: tokenizer, layout: layout,
                vocabularySize: vocabularySize, infilling: infilling)
            return
        }
        guard infilling == nil else { throw .infillingOfTokens(path: path) }
        let packed = try PackedTokens(path: path)
        guard packed.tokenizer == tokenizer.sha256 else {
            throw .otherTokenizer(
                path: path, found: packed.tokenizer, expected: tokenizer.sha256 ?? "unknown")
        }
        self.init(.tokens(packed), tokenizer, layout, vocabularySize, nil)
    }

    /// Opens the documents of several paths as those of one source; none is of packed tokens.
    ///
    /// - Throws: as above.
    init(
        paths: [String], options: TextOptions = TextOptions(), tokenizer: Tokenizer, layout: DocumentLayout,
        vocabularySize: Int, infilling: SourceInfilling? = nil
    ) throws(UserFacingError) {
        let text = try DocumentIndex(paths: paths, options: options, tokenizer: tokenizer)
        self.init(.text(text), tokenizer, layout, vocabularySize, infilling)
    }

    private init(
        _ source: Source, _ tokenizer: Tokenizer, _ layout: DocumentLayout, _ vocabularySize: Int,
        _ infilling: SourceInfilling?
    ) {
        (self.source, self.tokenizer, self.layout) = (source, tokenizer, layout)
        (self.vocabularySize, self.infilling) = (vocabularySize, infilling)
    }

    /// The same documents, turned round in another way or in none.
    ///
    /// - Throws: ``UserFacingError`` when they are tokens, which can't be.
    func turned(_ infilling: SourceInfilling?) throws(UserFacingError) -> DocumentEncoder {
        if infilling != nil, case .tokens = source { throw .infillingOfTokens(path: path) }
        var encoder = self
        encoder.infilling = infilling
        return encoder
    }

    /// The same documents as another tokenizer reads them, laid out alike.
    ///
    /// - Throws: ``UserFacingError`` when they are tokens, which have no text.
    func read(by other: Tokenizer, vocabularySize: Int) throws(UserFacingError) -> DocumentEncoder {
        guard case .text = source else { throw .rowsOfTokens(path: path) }
        var encoder = self
        (encoder.tokenizer, encoder.vocabularySize, encoder.infilling) = (other, vocabularySize, nil)
        encoder.layout = try DocumentLayout(start: layout.start, end: layout.end, tokenizer: other)
        return encoder
    }

    /// Some of the documents alone, numbered anew in the order in which they are given.
    func only(_ documents: [Int]) -> DocumentEncoder {
        var encoder = self
        encoder.selection = documents.map(number)
        return encoder
    }

    /// A document's number among all that lie there.
    private func number(_ index: Int) -> Int { selection?[index] ?? index }

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
        if let selection { return selection.count }
        return switch source {
        case .text(let file): file.count
        case .tokens(let packed): packed.count
        }
    }

    /// Whether a document is marked as synthetic.
    func isSynthetic(_ index: Int) -> Bool {
        switch source {
        case .text(let file): file.isSynthetic(number(index))
        case .tokens(let packed): packed.isSynthetic(number(index))
        }
    }

    /// Whether any document that lies there is.
    var hasSynthetic: Bool {
        switch source {
        case .text(let file): file.hasSynthetic
        case .tokens(let packed): packed.hasSynthetic
        }
    }

    /// The tokens of one document, laid out; none where its text has none.
    func tokens(_ index: Int) throws(UserFacingError) -> [Int32] { try document(index).tokens }

    /// The tokens of one document, laid out, and whether it was turned round for infilling.
    private func document(
        _ index: Int
    ) throws(UserFacingError) -> (tokens: [Int32], form: SourceInfilling.Form) {
        var form = SourceInfilling.Form.asItIs
        if let infilling, case .text(let file) = source {
            let text = try file.text(number(index))
            let turned: (form: SourceInfilling.Form, tokens: [Int32]?)
            do {
                turned = try infilling.document(text, number(index), layout, tokenizer)
            } catch {
                throw error.within(path)
            }
            if let tokens = turned.tokens { return (try check(tokens), turned.form) }
            form = turned.form
        }
        let text = try text(index).tokens
        return (text.isEmpty ? [] : layout.document(ofText: text), form)
    }

    /// Refuses tokens that the embedding has no row for.
    private func check(_ tokens: [Int32]) throws(UserFacingError) -> [Int32] {
        if let bad = tokens.first(where: { $0 < 0 || $0 >= vocabularySize }) {
            throw .tokenOutOfRange(path: path, token: Int(bad), vocabularySize: vocabularySize)
        }
        return tokens
    }

    /// The tokens of one document's text, and its bytes.
    func text(_ index: Int) throws(UserFacingError) -> EncodedDocument {
        let document: EncodedDocument
        switch source {
        case .text(let file):
            document = try file.encoded(number(index), by: tokenizer)
        case .tokens(let packed):
            document = EncodedDocument(
                tokens: packed.tokens(number(index)), byteCount: packed.byteCount(number(index)))
        }
        return EncodedDocument(
            tokens: Array(layout.text(in: try check(document.tokens))), byteCount: document.byteCount)
    }

    /// How many tokens the documents have, laid out; encodes all of them where they are text.
    ///
    /// - Parameters:
    ///   - threads: how many threads encode.
    ///   - new: tokens to count by themselves, none of them counted yet; nil for none.
    ///   - isCancelled: asked now and then; true stops.
    /// - Returns: the size.
    /// - Throws: ``UserFacingError`` when a document can't be encoded, when none has a token, or when it was stopped.
    func size(
        threads: Int, counting new: TokenExposure? = nil, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) -> DataSize {
        var size = DataSize(documents: count, new: new, synthetic: hasSynthetic ? 0 : nil)
        var start = 0
        while start < count {
            let (first, end): (Int, Int)
            let counts: [(tokens: Int, form: SourceInfilling.Form, new: [Int32])]
            switch source {
            case .text(let file):
                // Documents that were chosen are few.
                (first, end) = (
                    start, selection?.count ?? file.end(of: Self.bytesAtOnce, from: start)
                )
                counts = try mapConcurrently(end - first, threads: threads) { index throws(UserFacingError) in
                    let document = try document(first + index)
                    return (document.tokens.count, document.form, new?.known(in: document.tokens) ?? [])
                }
            case .tokens(let packed):
                (first, end) = (start, min(start + Self.documentsAtOnce, count))
                counts = (first..<end).map {
                    let place = number($0)
                    return (
                        layout.count(ofText: layout.textCount(of: packed.tokenCount(place))), .asItIs,
                        new?.known(in: packed.tokens(place)) ?? []
                    )
                }
            }
            for (offset, count) in counts.enumerated() {
                size.add(
                    count.tokens, count.form, new: count.new,
                    isSynthetic: hasSynthetic && isSynthetic(first + offset))
            }
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
    /// Documents that are turned round for infilling: with the middle behind the suffix, and with the suffix first.
    private(set) var psm = 0, spm = 0
    /// Documents that would have been, and are longer than a sequence.
    private(set) var tooLong = 0
    /// Documents that would have been, and have one of its tokens already.
    private(set) var hasMarks = 0

    /// The tokens of documents that are marked as synthetic; nil where none is.
    private(set) var synthetic: Int?

    /// How often a pass predicts each of the tokens that were counted by themselves; nil where none were.
    private(set) var new: TokenExposure?

    init(documents: Int, new: TokenExposure? = nil, synthetic: Int? = nil) {
        (self.documents, self.new, self.synthetic) = (documents, new, synthetic)
    }

    /// Counts a document.
    mutating func add(
        _ count: Int, _ form: SourceInfilling.Form, new targets: [Int32] = [], isSynthetic: Bool = false
    ) {
        tokens += count
        if isSynthetic { synthetic = (synthetic ?? 0) + count }
        new?.count(targets: targets)
        longest = max(longest, count)
        switch form {
        case .asItIs: break
        case .psm: psm += 1
        case .spm: spm += 1
        case .tooLong: tooLong += 1
        case .hasMarks: hasMarks += 1
        }
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
    /// Whether it is marked as synthetic.
    public var isSynthetic = false
}

extension DocumentIndex {
    /// A document's tokens, as its tokenizer encodes it by itself, special ones included; an empty one has none.
    func encoded(_ index: Int, by tokenizer: Tokenizer) throws(UserFacingError) -> EncodedDocument {
        let text = try self.text(index)
        let isSynthetic = isSynthetic(index)
        guard !text.isEmpty else {
            return EncodedDocument(tokens: [], byteCount: 0, isSynthetic: isSynthetic)
        }
        do {
            return EncodedDocument(
                tokens: try tokenizer.encode(text), byteCount: text.utf8.count, isSynthetic: isSynthetic)
        } catch {
            throw error.within(path)
        }
    }
}
