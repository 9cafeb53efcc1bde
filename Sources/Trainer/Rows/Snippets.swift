internal import Formats

/// A piece of a text in the tokens of a model and in those that it had before.
struct Snippet: Sendable, Equatable {
    /// How many tokens of either reading make up the same text.
    struct Border: Sendable, Equatable {
        var own: Int, old: Int
    }

    /// Its tokens in both readings.
    let own: [Int32], old: [Int32]
    /// Where a token of both ends, in rising order; the last is the end of both.
    let ends: [Border]
    /// The source that it is of, from 0.
    let source: Int
    /// The document.
    let document: DocumentReference
}

/// Looks for snippets that have new tokens, document by document.
///
/// A document is cut where a token of both readings ends, into pieces as long as they may be. A piece is taken as long as one of
/// its new tokens has too few; it counts for each of them.
struct SnippetSearch {
    private let reading: OldReading
    private let wanted: Int
    /// How many tokens a snippet has at most.
    private let room: Int
    /// What each token stands for: of the model, and of its parent.
    private let own: [[UInt8]], old: [[UInt8]]
    /// Where a token stands among the new ones, -1 where it is old.
    private let places: [Int32]
    /// How many snippets have each new token.
    private(set) var counts: [Int]
    /// How many tokens have too few.
    private(set) var lacking: Int
    /// What was found.
    private(set) var snippets: [Snippet] = []
    /// How many documents are not the same text in both readings, because one of them can't spell it.
    private(set) var unlike = 0

    /// A search that has found nothing.
    ///
    /// - Parameters:
    ///   - rule: what is looked for.
    ///   - reading: how texts were read before.
    ///   - tokenizer: the model's.
    ///   - hasStart: whether a start token stands before each snippet.
    init(_ rule: RowDistillation, _ reading: OldReading, _ tokenizer: Tokenizer, hasStart: Bool) {
        self.reading = reading
        (wanted, room) = (rule.snippets, rule.length - (hasStart ? 1 : 0))
        own = (0...max(0, tokenizer.largestID)).map { tokenizer.bytes(of: Int32($0)) }
        old = (0...max(0, reading.tokenizer.largestID)).map { reading.tokenizer.bytes(of: Int32($0)) }
        var places = [Int32](repeating: -1, count: own.count)
        for (place, token) in reading.new.enumerated() { places[Int(token)] = Int32(place) }
        self.places = places
        counts = reading.new.map { _ in 0 }
        lacking = reading.new.count
    }

    /// Looks through a document.
    ///
    /// - Parameters:
    ///   - tokens: its text in the model's tokens.
    ///   - oldTokens: the same in the parent's.
    ///   - source: the source that it is of.
    ///   - document: its name.
    mutating func add(_ tokens: [Int32], _ oldTokens: [Int32], source: Int, _ document: DocumentReference) {
        guard tokens.contains(where: { place(of: $0) != nil }) else { return }
        guard let borders = borders(tokens, oldTokens) else {
            unlike += 1
            return
        }
        var start = 0
        while start + 1 < borders.count, lacking > 0 {
            var end = start
            while end + 1 < borders.count, borders[end + 1].own - borders[start].own <= room,
                borders[end + 1].old - borders[start].old <= room
            {
                end += 1
            }
            defer { start = max(end, start + 1) }
            let (from, to) = (borders[start], borders[end])
            let piece = Array(tokens[from.own..<to.own])
            let new = Set(piece.compactMap { place(of: $0) })
            guard new.contains(where: { counts[$0] < wanted }) else { continue }
            let before = oldTokens[from.old..<to.old].map { reading.tokens[Int($0)] }
            // A token that the model has no more says nothing.
            guard before.allSatisfy({ $0 >= 0 }) else { continue }
            for place in new {
                counts[place] += 1
                if counts[place] == wanted { lacking -= 1 }
            }
            snippets.append(
                Snippet(
                    own: piece, old: before,
                    ends: borders[start + 1...end].map {
                        Snippet.Border(own: $0.own - from.own, old: $0.old - from.old)
                    },
                    source: source, document: document))
        }
    }

    private func place(of token: Int32) -> Int? {
        let place = places[Int(token)]
        return place < 0 ? nil : Int(place)
    }

    /// How many tokens of either reading lie before each place at which a token of both ends, 0 first; nil where the two are not
    /// the same text.
    private func borders(_ tokens: [Int32], _ oldTokens: [Int32]) -> [Snippet.Border]? {
        guard tokens.flatMap({ own[Int($0)] }) == oldTokens.flatMap({ old[Int($0)] }) else { return nil }
        var borders = [Snippet.Border(own: 0, old: 0)]
        var (index, ownEnd, oldEnd) = (0, 0, 0)
        for (place, token) in oldTokens.enumerated() {
            oldEnd += old[Int(token)].count
            while index < tokens.count, ownEnd < oldEnd {
                ownEnd += own[Int(tokens[index])].count
                index += 1
            }
            // A token that stands for nothing ends no text.
            guard ownEnd == oldEnd, index > borders[borders.count - 1].own else { continue }
            borders.append(Snippet.Border(own: index, old: place + 1))
        }
        return borders
    }

    /// New tokens of which no snippet was found.
    var missing: [Int32] { zip(reading.new, counts).filter { $0.1 == 0 }.map { $0.0 } }
}

extension SnippetSearch {
    /// How many documents are encoded at once.
    private static let documentsAtOnce = 256

    /// Looks through the documents of sources, one source after the other, each in an order that chance decides.
    ///
    /// - Throws: ``UserFacingError`` when one can't be read, is packed, or it was stopped.
    mutating func search(
        _ sources: [OpenedSource], options: TextOptions, seed: UInt64, threads: Int, isCancelled: () -> Bool
    ) throws(UserFacingError) {
        for (number, source) in sources.enumerated() where lacking > 0 {
            let encoder = source.encoder
            let before = try encoder.read(
                by: reading.tokenizer.reading(options), vocabularySize: reading.tokens.count)
            let order = documentOrder(count: encoder.count, seed: seed, source: number, pass: 0)
            var start = 0
            while start < order.count, lacking > 0 {
                if isCancelled() { throw .interrupted(" before all snippets were found; begin again") }
                let some = order[start..<min(start + Self.documentsAtOnce, order.count)]
                let read: [(own: [Int32], old: [Int32])] = try mapConcurrently(some.count, threads: threads) {
                    index throws(UserFacingError) in
                    let document = Int(some[some.startIndex + index])
                    return (try encoder.text(document).tokens, try before.text(document).tokens)
                }
                for (document, tokens) in zip(some, read) {
                    add(
                        tokens.own, tokens.old, source: number,
                        DocumentReference(path: encoder.path, number: Int(document) + 1))
                }
                start += some.count
            }
        }
    }

    /// What was found.
    var summary: SnippetSummary {
        var bytes: [UInt8] = []
        for snippet in snippets {
            for number in snippet.own + [-1] + snippet.old + [-1] { bytes.append(number: number) }
        }
        return SnippetSummary(
            tokens: counts.count, found: counts.count { $0 > 0 }, snippets: snippets.count,
            sha256: FileDigest.sha256(bytes))
    }
}

extension SnippetSearch {
    /// What was found, and what its user should know.
    ///
    /// - Parameters:
    ///   - old: how texts were read before.
    ///   - tokenizer: the model's, for the names of tokens.
    ///   - length: how many tokens a snippet has at most.
    /// - Returns: the summary, and sentences.
    /// - Throws: ``UserFacingError`` where there is no snippet.
    func checked(
        of old: OldReading, in tokenizer: Tokenizer, length: Int
    ) throws(UserFacingError) -> (summary: SnippetSummary, warnings: [String]) {
        let documents =
            "\(Units.grouped(unlike)) documents with new tokens are not the same text in the tokens of \(old.path)"
        guard !snippets.isEmpty else {
            throw UserFacingError(
                .missing,
                """
                distil-rows: the text has no snippet with one of the \(Units.grouped(counts.count)) new tokens within \
                \(length) tokens of both readings\(unlike > 0 ? "; \(documents)" : ""); give text that has them, or a larger length
                """)
        }
        var warnings: [String] = []
        let none = missing
        if !none.isEmpty {
            let some = none.prefix(8).map { tokenizer.text(of: $0) }.joined(separator: ", ")
            warnings.append(
                """
                \(Units.grouped(none.count)) of \(Units.grouped(counts.count)) new tokens are in no snippet, so their rows of the \
                embedding stay as they are: \(some)\(none.count > 8 ? " and others" : "")
                """)
        }
        if unlike > 0 { warnings.append("\(documents), so no snippet is of them") }
        return (summary, warnings)
    }
}

/// Snippets in an order that chance decides, pass by pass, as many in a step as it should have.
///
/// Several lie in a sequence, none of which sees another, each at the same place in both readings.
struct Snippets: TrainingData {
    private let all: [Snippet]
    private let names: [String]
    private let rule: RowDistillation
    private let length: Int
    private let start: Int32?
    private let seed: UInt64
    /// The tokens of each source's snippets.
    private let sizes: [Int]
    private var order: [UInt32] = []
    /// How many were handed out, and how many tokens of each source.
    private var next = 0
    private var shown: [Int]

    /// What snippets of a source are called.
    static func name(_ source: String) -> String { "\(source), snippets" }

    /// Snippets that were found.
    ///
    /// - Parameters:
    ///   - found: the snippets.
    ///   - names: what their sources are called.
    ///   - rule: how many a step has, and how often they are shown.
    ///   - length: tokens of a sequence.
    ///   - start: what stands before each; nil for nothing.
    ///   - seed: decides the order.
    init(
        _ found: [Snippet], of names: [String], _ rule: RowDistillation, length: Int, start: Int32?,
        seed: UInt64
    ) {
        (all, self.rule, self.length, self.start, self.seed) = (found, rule, length, start, seed)
        self.names = names.map(Self.name)
        var sizes = names.map { _ in 0 }
        for snippet in found { sizes[snippet.source] += snippet.own.count }
        (self.sizes, shown) = (sizes, names.map { _ in 0 })
        order = shuffled(inPass: 0)
    }

    /// Looks for snippets in sources: see ``SnippetSearch``.
    ///
    /// - Parameters:
    ///   - rule: what is looked for.
    ///   - opened: the sources.
    ///   - old: how texts were read before.
    ///   - tokenizer: the model's.
    ///   - options: how texts are read.
    ///   - length: tokens of a sequence.
    ///   - seed: decides the order of documents and of snippets.
    ///   - threads: how many threads encode.
    ///   - isCancelled: asked now and then; true stops.
    /// - Returns: the snippets, what was found, and what there is to know of it, a sentence each.
    /// - Throws: ``UserFacingError`` when a text can't be read, there is no snippet, or it was stopped.
    static func find(
        _ rule: RowDistillation, in opened: [OpenedSource], _ old: OldReading, _ tokenizer: Tokenizer,
        options: TextOptions, length: Int, seed: UInt64, threads: Int, isCancelled: () -> Bool
    ) throws(UserFacingError) -> (data: Snippets, summary: SnippetSummary, warnings: [String]) {
        let start = opened.first?.encoder.layout.start
        var search = SnippetSearch(rule, old, tokenizer, hasStart: start != nil)
        try search.search(
            opened, options: options, seed: seed, threads: threads, isCancelled: isCancelled)
        let (summary, warnings) = try search.checked(of: old, in: tokenizer, length: rule.length)
        let data = Snippets(
            search.snippets, of: opened.map(\.source.name), rule, length: length, start: start, seed: seed)
        return (data, summary, warnings)
    }

    private var limit: Int { all.count * rule.epochs }

    /// How many steps show them.
    var steps: Int { (limit + rule.batch - 1) / rule.batch }

    /// The memory that they take.
    var byteCount: Int {
        all.reduce(8 * all.count) { $0 + 4 * ($1.own.count + $1.old.count) + 16 * $1.ends.count + 256 }
    }

    private func shuffled(inPass pass: Int) -> [UInt32] {
        var generator = generator(seed: seed, source: 0, stream: UInt64(pass) + 1)
        return permutation(of: all.count, from: &generator)
    }

    private var progress: [(name: String, shown: Int, size: Int)] {
        names.indices.filter { sizes[$0] > 0 }.map { (names[$0], shown[$0], sizes[$0]) }
    }

    /// What was shown so far; a source without a snippet is none.
    var sources: [SourceProgress] {
        progress.map { SourceProgress(name: $0.name, shown: $0.shown, size: $0.size) }
    }

    /// What will have been shown at the end.
    var sourcesAtEnd: [SourceProgress] {
        progress.map { SourceProgress(name: $0.name, shown: $0.size * rule.epochs, size: $0.size) }
    }

    var position: DataPosition { DataPosition(rows: next) }

    mutating func move(to position: DataPosition) throws(UserFacingError) {
        guard let rows = position.rows, (0...limit).contains(rows) else {
            throw .badPosition(path: "the snippets")
        }
        next = 0
        shown = shown.map { _ in 0 }
        while next < rows { take() }
    }

    mutating func begin(at position: DataPosition) throws(UserFacingError) { try move(to: position) }

    @discardableResult private mutating func take() -> Snippet {
        let (pass, place) = next.quotientAndRemainder(dividingBy: all.count)
        if place == 0 { order = shuffled(inPass: pass) }
        let snippet = all[Int(order[place])]
        shown[snippet.source] += snippet.own.count
        next += 1
        return snippet
    }

    mutating func next(_ count: Int) -> TokenBatch {
        let filler = all[0].own[0]
        func empty() -> TokenBatch {
            var batch = TokenBatch(
                batch: count, sequenceLength: length,
                tokens: [Int32](repeating: filler, count: count * length),
                targets: [Int32](repeating: -1, count: count * length))
            // What lies between snippets sees itself.
            batch.attentionStart = batch.tokens.indices.map { Int32($0 % length) }
            return batch
        }
        var (batch, before) = (empty(), empty())
        var shared: [(own: Int32, old: Int32)] = []
        for index in 0..<min(rule.batch, limit - next) {
            let snippet = take()
            let (sequence, slot) = index.quotientAndRemainder(dividingBy: rule.perSequence(length))
            let first = sequence * length + slot * rule.length
            batch.put(snippet.own, after: start, at: first, isPredicted: true)
            before.put(snippet.old, after: start, at: first, isPredicted: false)
            // The place of the last token of so many.
            let offset = first + (start == nil ? 0 : 1) - 1
            shared += snippet.ends.map { (Int32(offset + $0.own), Int32(offset + $0.old)) }
            batch.documents.append(snippet.document)
        }
        batch.old = OldTokens(
            tokens: before.tokens, attentionStart: before.attentionStart, own: shared.map { $0.own },
            old: shared.map { $0.old })
        return batch
    }
}

extension TokenBatch {
    /// The snippets of a step one by one, for an engine that reads each as a sequence of its own: (B, 6, T), T being the tokens of one
    /// at most.
    ///
    /// Each has its tokens, its targets and the first position that each sees; its tokens in the old reading, and the first position
    /// that each of those sees; and for each token the place in the old reading with which it is compared, -1 for none.
    func snippets(_ rule: RowDistillation) -> [Int32] {
        guard let old else { preconditionFailure("a batch of snippets has both readings") }
        var compared = [Int32](repeating: -1, count: tokens.count)
        for (own, old) in zip(old.own, old.old) { compared[Int(own)] = old }
        var parts: [Int32] = []
        for index in 0..<rule.batch {
            let (sequence, slot) = index.quotientAndRemainder(dividingBy: rule.perSequence(sequenceLength))
            let start = Int32(slot * rule.length)
            let first = sequence * sequenceLength + slot * rule.length
            let range = first..<first + rule.length
            parts += tokens[range]
            parts += targets[range]
            parts += attentionStart[range].map { $0 - start }
            parts += old.tokens[range]
            parts += old.attentionStart[range].map { $0 - start }
            parts += compared[range].map { $0 < 0 ? -1 : $0 - Int32(first) }
        }
        return parts
    }

    /// Puts a text at a place, which begins with a token that is not predicted, where there is one.
    fileprivate mutating func put(_ text: [Int32], after start: Int32?, at first: Int, isPredicted: Bool) {
        let all = [start].compactMap(\.self) + text
        for (index, token) in all.enumerated() {
            tokens[first + index] = token
            attentionStart[first + index] = Int32(first % sequenceLength)
            if isPredicted, index > 0 { targets[first + index - 1] = token }
        }
    }
}

extension UserFacingError {
    /// Snippets are to be read in other tokens than those that were packed.
    static func rowsOfTokens(path: String) -> Self {
        Self(
            .unsupported,
            "\(path): distil-rows reads texts in the tokens that the model had, and these are packed in others; give the text"
        )
    }
}
