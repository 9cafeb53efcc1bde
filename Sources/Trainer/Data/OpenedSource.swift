public import Formats
internal import OrderedCollections

/// A source of text that is open: its documents as tokens, and how many there are.
public struct OpenedSource: Sendable {
    /// What it is called, where it lies, and its share.
    public fileprivate(set) var source: TextSource
    /// Its documents as tokens.
    let encoder: DocumentEncoder
    /// What one pass over it shows.
    let size: DataSize
    /// What is in it.
    let content: TextContent
}

/// Opens the sources of a run, each once, however many of its stages read it.
///
/// A pipe can be read only once, and counting tokens encodes all text.
public struct SourceCache {
    private let tokenizer: Tokenizer
    private let vocabularySize: Int
    private let threads: Int
    private let new: TokenExposure?
    private var opened: OrderedDictionary<Key, OpenedSource> = [:]

    /// What makes two sources the same: where they lie, how they are read, and how documents are laid out and turned round.
    private struct Key: Hashable {
        let path: String
        let options: TextOptions
        let layout: DocumentLayout
        let infilling: SourceInfilling?

        /// Whether another is of the same documents, laid out alike.
        func isSameText(as other: Key) -> Bool {
            (path, options, layout) == (other.path, other.options, other.layout)
        }
    }

    /// A cache that is empty.
    ///
    /// - Parameters:
    ///   - tokenizer: the model's.
    ///   - vocabularySize: rows of the model's embedding.
    ///   - threads: how many threads count tokens.
    ///   - new: tokens to count by themselves, none of them counted yet; nil for none.
    public init(
        tokenizer: Tokenizer, vocabularySize: Int, threads: Int = 1, counting new: TokenExposure? = nil
    ) {
        self.new = new
        self.tokenizer = tokenizer
        self.vocabularySize = vocabularySize
        self.threads = threads
    }

    /// Opens sources and counts their tokens; what was opened before is taken as it was found then.
    ///
    /// - Parameters:
    ///   - sources: what to open.
    ///   - options: how documents are read.
    ///   - layout: how documents are laid out.
    ///   - infilling: how documents are turned round, but for those of the original domain; nil where none is.
    ///   - length: tokens of a sequence, which no document becomes longer than when it is turned round.
    ///   - isCancelled: asked while tokens are counted; true stops.
    /// - Returns: the sources, in their order.
    /// - Throws: ``UserFacingError`` naming the file and the line that cannot be read, or the source whose weight is none.
    public mutating func open(
        _ sources: [TextSource], options: TextOptions = TextOptions(), layout: DocumentLayout,
        infilling: Infilling? = nil, length: Int = .max, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) -> [OpenedSource] {
        for source in sources where !(source.weight > 0 && source.weight.isFinite) {
            throw .badWeight(path: source.path, weight: source.weight)
        }
        var result: [OpenedSource] = []
        for (number, source) in sources.enumerated() {
            let turned =
                source.isReplay
                ? nil : infilling.map { SourceInfilling(infilling: $0, source: number, length: length) }
            let key = Key(path: source.path, options: options, layout: layout, infilling: turned)
            if var known = opened[key] {
                known.source = source
                result.append(known)
                continue
            }
            // A pipe is read once, however its documents are turned round.
            let same = opened.first { $0.key.isSameText(as: key) }?.value.encoder
            let encoder =
                if let same {
                    try same.turned(turned)
                } else {
                    try DocumentEncoder(
                        path: source.path, options: options, tokenizer: tokenizer.reading(options),
                        layout: layout, vocabularySize: vocabularySize, infilling: turned)
                }
            let found = OpenedSource(
                source: source, encoder: encoder,
                size: try encoder.size(threads: threads, counting: new, isCancelled: isCancelled),
                content: try encoder.content())
            opened[key] = found
            result.append(found)
        }
        return result
    }

    /// Takes some of the documents of a source for all that lie there, from here on.
    ///
    /// - Parameters:
    ///   - encoder: the documents, laid out and not turned round.
    ///   - source: the source that they are of.
    ///   - options: how they are read.
    /// - Throws: ``UserFacingError`` when one can't be read or encoded, or none has a token.
    mutating func put(
        _ encoder: DocumentEncoder, for source: TextSource, options: TextOptions
    ) throws(UserFacingError) {
        let key = Key(path: source.path, options: options, layout: encoder.layout, infilling: nil)
        opened[key] = OpenedSource(
            source: source, encoder: encoder, size: try encoder.size(threads: threads, counting: new),
            content: try encoder.content())
    }

    /// What there is to know of the texts that were opened, a sentence each, and each once.
    public var warnings: [String] { Array(OrderedSet(opened.values.flatMap(\.encoder.warnings))) }

    /// The memory that says where documents lie.
    var byteCount: Int { opened.values.reduce(0) { $0 + 16 * $1.size.documents } }
}
