public import Formats

/// What a tokenizer makes of texts, in figures.
public struct TokenStatistics: Sendable, Encodable {
    /// How many documents there are.
    public private(set) var documents = 0
    /// The tokens of all of them, special ones included.
    public private(set) var tokens = 0
    /// The bytes of their text.
    public private(set) var bytes = 0
    /// Tokens that stand for what the tokenizer does not know.
    public private(set) var unknown = 0
    /// The tokens of the longest document.
    public private(set) var longest = 0
    /// How many tokens the tokenizer has.
    public let vocabulary: Int
    /// What there is to know of the texts.
    public private(set) var findings: TextFindings
    /// The special tokens that are put around each document.
    private let around: Int
    private let layout: DocumentLayout?
    private var trained = 0
    private let unknownID: Int32?
    private var isUsed: [Bool]

    enum CodingKeys: String, CodingKey {
        case trainingTokens = "training_tokens"
        case documents, tokens, bytes, unknown, longest, vocabulary, used
        case bytesPerToken = "bytes_per_token"
        case tokensPerDocument = "tokens_per_document"
        case skippedLines = "skipped_lines"
        case controlTokens = "control_tokens"
        case decomposedHangul = "decomposed_hangul"
        case carriageReturns = "carriage_returns"
        case byteOrderMarks = "byte_order_marks"
        case nulCharacters = "nul_characters"
    }

    init(of tokenizer: Tokenizer, findings: TextFindings, layout: DocumentLayout?) {
        (self.findings, self.layout) = (findings, layout)
        vocabulary = tokenizer.largestID + 1
        around = (try? tokenizer.encode("").count) ?? 0
        unknownID = tokenizer.unknownID
        isUsed = Array(repeating: false, count: vocabulary)
    }

    mutating func count(_ document: EncodedDocument) {
        documents += 1
        tokens += document.tokens.count
        bytes += document.byteCount
        if let layout { trained += layout.count(ofText: layout.textCount(of: document.tokens.count)) }
        longest = max(longest, document.tokens.count)
        for token in document.tokens {
            isUsed[Int(token)] = true
            if token == unknownID { unknown += 1 }
        }
    }

    /// Adds what was counted in other texts with the same tokenizer and layout.
    mutating func add(_ other: TokenStatistics) {
        documents += other.documents
        tokens += other.tokens
        bytes += other.bytes
        trained += other.trained
        unknown += other.unknown
        longest = max(longest, other.longest)
        for (token, isUsed) in other.isUsed.enumerated() where isUsed { self.isUsed[token] = true }
        findings.add(other.findings)
    }

    /// Adds what was found in texts.
    mutating func add(_ found: TextFindings) { findings.add(found) }

    /// Says why the first line was passed over; nil where nobody knows any more.
    mutating func name(firstSkipped: String?) { findings.name(firstSkipped: firstSkipped) }

    /// The tokens that one pass of training shows, starts and ends of documents included; nil where these are not known.
    public var trainingTokens: Int? { layout == nil ? nil : trained }

    /// How many different tokens occur.
    public var used: Int { isUsed.reduce(0) { $0 + ($1 ? 1 : 0) } }

    /// Bytes of text for each token, those left out that are put around documents.
    public var bytesPerToken: Double {
        Double(bytes) / Double(max(1, tokens - around * documents))
    }

    /// The mean length of a document in tokens.
    public var tokensPerDocument: Double { Double(tokens) / Double(max(1, documents)) }

    /// Writes the figures.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(documents, forKey: .documents)
        try container.encode(tokens, forKey: .tokens)
        try container.encodeIfPresent(trainingTokens, forKey: .trainingTokens)
        try container.encode(bytes, forKey: .bytes)
        try container.encode(bytesPerToken, forKey: .bytesPerToken)
        try container.encode(tokensPerDocument, forKey: .tokensPerDocument)
        try container.encode(longest, forKey: .longest)
        try container.encode(unknown, forKey: .unknown)
        try container.encode(used, forKey: .used)
        try container.encode(vocabulary, forKey: .vocabulary)
        try container.encode(findings.skippedLines, forKey: .skippedLines)
        try container.encode(findings.controlTokenCount, forKey: .controlTokens)
        try container.encode(findings.decomposedHangul, forKey: .decomposedHangul)
        try container.encode(findings.carriageReturns, forKey: .carriageReturns)
        try container.encode(findings.byteOrderMarks, forKey: .byteOrderMarks)
        try container.encode(findings.nulCharacters, forKey: .nulCharacters)
    }
}
