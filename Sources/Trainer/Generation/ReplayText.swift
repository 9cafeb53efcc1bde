internal import Formats

/// A document that a model has written by itself, as a line of JSON.
struct ReplayText: Sendable, Equatable {
    /// Why a document has no more text.
    enum End: String, Sendable, CaseIterable {
        /// The model ended it, or began the next one.
        case model
        /// It is as long as a document may be.
        case length
        /// What follows is no text: a control token, a row without a token, or bytes that are not UTF-8.
        case noText = "no-text"
    }

    /// The text, that which it began with included.
    var text: String
    /// Which of the documents of its seed it is, from 0.
    var index: Int
    /// Why it has no more text.
    var end: End
    /// How many characters (Unicode scalars) at its beginning are of a real text.
    var prefix: Int
    /// How many tokens the text is in, as the model saw it, those of its beginning included; none of what follows it.
    var tokens: Int
}

extension ReplayText {
    /// The document that a model has written.
    ///
    /// It ends before the first token that no text stands for, and before the first character that is not whole: read
    /// again, those would be something else.
    ///
    /// - Parameters:
    ///   - continuation: what the model wrote.
    ///   - prefix: the tokens of a real text that it began with.
    ///   - index: its number.
    ///   - tokenizer: the model's.
    init(_ continuation: Continuation, prefix: [Int32], index: Int, tokenizer: Tokenizer) {
        let isEnded = continuation.stop == .endOfText
        let all = prefix + (isEnded ? continuation.tokens.dropLast() : continuation.tokens)
        let whole = all.prefix {
            tokenizer.token(of: $0) != nil && tokenizer.addedToken($0)?.isSpecial != true
        }
        let decoded = tokenizer.decode(Array(whole)).unicodeScalars
        let sound = decoded.prefix { $0 != Self.damage }
        // At the end of what was cut a character may lack bytes that would have followed.
        let isCutInCharacter = decoded.dropFirst(sound.count).allSatisfy { $0 == Self.damage }
        text = String(sound)
        self.index = index
        tokens =
            sound.count == decoded.count
            ? whole.count : Self.count(of: Array(whole), for: sound.count, tokenizer)
        if whole.count < all.count || sound.count < decoded.count && (isEnded || !isCutInCharacter) {
            end = .noText
        } else {
            end = isEnded ? .model : .length
        }
        self.prefix = min(sound.count, Self.soundCount(prefix, tokenizer))
    }

    /// What a decoder writes for bytes that are not UTF-8.
    private static let damage: Unicode.Scalar = "\u{FFFD}"

    /// How many whole characters tokens begin with.
    private static func soundCount(_ tokens: [Int32], _ tokenizer: Tokenizer) -> Int {
        tokenizer.decode(tokens).unicodeScalars.prefix { $0 != damage }.count
    }

    /// The fewest tokens, from the first on, that have so many whole characters; more of them have no fewer.
    private static func count(of tokens: [Int32], for characters: Int, _ tokenizer: Tokenizer) -> Int {
        var (low, high) = (0, tokens.count)
        while low < high {
            let middle = (low + high) / 2
            if soundCount(Array(tokens.prefix(middle)), tokenizer) < characters {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return low
    }
}

// MARK: - As a line

extension ReplayText {
    /// What all lines of a file say of where they are from.
    struct Maker: Codable, Sendable, Equatable {
        /// The model's name.
        var model: String
        /// The seed of all chance.
        var seed: UInt64
    }

    /// The line, its end included.
    func line(_ maker: Maker) -> [UInt8] {
        let line: JSON = [
            "text": .string(text), Synthesis.key: .string(Synthesis.replay.name),
            "model": .string(maker.model),
            "seed": .number(JSONNumber(maker.seed)), "index": JSON(index), "end": .string(end.rawValue),
            "prefix": JSON(prefix), "tokens": JSON(tokens),
        ]
        return line.serialized(indent: nil) + [UInt8(ascii: "\n")]
    }

    /// What a line says; nil where it is none that was written here.
    init?(line: [UInt8]) {
        guard let json = try? JSON(parsing: line, file: "a line"), let text = json["text"]?.string,
            let index = json["index"]?.int, let end = json["end"]?.string.flatMap(End.init),
            let prefix = json["prefix"]?.int, let tokens = json["tokens"]?.int
        else { return nil }
        (self.text, self.index, self.end, self.prefix, self.tokens) = (text, index, end, prefix, tokens)
    }
}

// MARK: - Figures

/// What a model's own texts are, in numbers.
public struct ReplayFigures: Codable, Sendable, Equatable {
    /// How many documents there are.
    public internal(set) var documents = 0
    /// The tokens that one pass of training shows: of the texts as they are read again, starts and ends included.
    public internal(set) var tokens = 0
    /// The same of the tokens as they were sampled: a text can often be spelled in other tokens than the tokenizer's.
    public internal(set) var sampled = 0
    /// The bytes of the texts.
    public internal(set) var bytes = 0
    /// Documents that the model has ended, that are as long as they may be, and that end before what is no text.
    public internal(set) var ended = 0, cut = 0, broken = 0
    /// Documents that begin with a real text.
    public internal(set) var prefixed = 0
    /// Documents that had no text at all and were left out.
    public internal(set) var empty = 0
    /// Documents whose text the tokenizer changes, so that a model trained on them sees another.
    public internal(set) var altered = 0
    /// The share of runs of four tokens that stood in the same document before: rep-4 of arXiv 1908.04319.
    public internal(set) var repetition = 0.0
    /// The share of the first runs of four tokens, 262,144 at most and of all documents, that are different.
    public internal(set) var distinct = 1.0

    /// What their user should know before a model is trained on them, a sentence each.
    public var warnings: [String] {
        var warnings: [String] = []
        if 2 * cut > documents {
            warnings.append(
                """
                \(Units.grouped(cut)) of \(Units.grouped(documents)) documents are as long as a document may be, and training \
                ends each of them there; a higher --length lets the model end more of them itself
                """)
        }
        if broken > 0 {
            warnings.append(
                """
                \(Units.grouped(broken)) of \(Units.grouped(documents)) documents end where the model wrote what is no text: a \
                control token, a row without a token, or bytes that are not UTF-8
                """)
        }
        if altered > 0 {
            warnings.append(
                """
                \(Units.grouped(altered)) of \(Units.grouped(documents)) documents are another text after the tokenizer has \
                encoded and decoded them, and training reads that
                """)
        }
        if repetition > 0.5 {
            warnings.append(
                """
                more than half of what the model wrote repeats itself within a document; such text is no stand-in for what it \
                was trained on. Look at the file, and raise --temperature or leave --top-k and --top-p out
                """)
        }
        return warnings
    }
}

/// Counts documents one by one.
struct ReplayCount {
    private(set) var figures = ReplayFigures()
    /// The number of the document that is next.
    private(set) var next = 0
    private let tokenizer: Tokenizer
    private let layout: DocumentLayout
    private var runs = 0, repeated = 0
    private var first: Set<SIMD4<Int32>> = [], firstCount = 0

    /// How many runs of four tokens are compared with each other over all documents.
    private static let mostFirst = 1 << 18

    init(_ tokenizer: Tokenizer, _ layout: DocumentLayout) {
        (self.tokenizer, self.layout) = (tokenizer, layout)
    }

    mutating func count(_ text: ReplayText) throws(UserFacingError) {
        let tokens = Array(layout.text(in: try tokenizer.encode(text.text)))
        figures.documents += 1
        figures.tokens += layout.count(ofText: tokens.count)
        figures.sampled += layout.count(ofText: text.tokens)
        figures.bytes += text.text.utf8.count
        switch text.end {
        case .model: figures.ended += 1
        case .length: figures.cut += 1
        case .noText: figures.broken += 1
        }
        figures.prefixed += text.prefix > 0 ? 1 : 0
        figures.empty += text.index - next
        next = text.index + 1
        // By bytes: Swift's own comparison takes composed and decomposed characters for one.
        figures.altered += tokenizer.decode(tokens).utf8.elementsEqual(text.text.utf8) ? 0 : 1
        countRuns(tokens)
    }

    private mutating func countRuns(_ tokens: [Int32]) {
        guard tokens.count >= 4 else { return }
        var own: Set<SIMD4<Int32>> = []
        for start in 0...tokens.count - 4 {
            let run = SIMD4(tokens[start], tokens[start + 1], tokens[start + 2], tokens[start + 3])
            runs += 1
            if !own.insert(run).inserted { repeated += 1 }
            if firstCount < Self.mostFirst {
                firstCount += 1
                first.insert(run)
            }
        }
        figures.repetition = Double(repeated) / Double(runs)
        figures.distinct = Double(first.count) / Double(firstCount)
    }
}
