internal import Formats

/// Which of the documents that nothing has dropped are chosen, and how many.
public struct DocumentChoice: Sendable {
    /// What documents are measured by; the more of it, the sooner a document is chosen.
    public enum Measure: String, Codable, Sendable, CaseIterable {
        /// The cosine of a document's embedding and the mean of the task's.
        ///
        /// Source: Xie et al., "Efficient Continual Pre-training for Building Domain Specific Large Language Models"
        /// (2311.08545), ETS-DACP.
        case similarity
        /// The logarithm of the importance weight of hashed words and pairs of words: see ``NgramWeights``.
        case ngrams
        /// The same by word and pair, which compares texts of any length.
        case ngramsMean = "ngrams-mean"
        /// The mean cross entropy of a token of the text in nats, the logarithm of the perplexity: what is new to the model.
        ///
        /// Source: 2311.08545, ETA-DACP, whose novelty it is.
        case perplexity
        /// The same in bits by byte of the text, whatever the language makes of tokens.
        case bitsPerByte = "bits-per-byte"
        /// How varied a document is: see ``ClassEntropy``.
        case entropy

        /// Whether a model measures it.
        public var needsModel: Bool { needsLosses || self == .similarity }
        /// Whether it is how well a model predicts.
        var needsLosses: Bool { self == .perplexity || self == .bitsPerByte }
        /// Whether it compares documents with those of a task.
        public var needsTask: Bool { self == .similarity || needsWords }
        /// Whether words are counted.
        var needsWords: Bool { self == .ngrams || self == .ngramsMean }
    }

    /// How what is chosen is spread: groups take turns, the one that has had least its best document; or by embeddings.
    public enum Spread: Sendable, Equatable {
        /// So many clusters of the documents' embeddings.
        case clusters(Int)
        /// The values of a key of documents' lines.
        case topics(field: String)
        /// The embeddings themselves: λ of maximal marginal relevance, from 0 to 1, takes the place of the order.
        case marginal(Double)
    }

    /// How much is chosen.
    public enum Amount: Sendable, Equatable {
        /// A share of the documents, above 0 and at most 1.
        case share(Double)
        /// Bytes of text, as it was cleaned.
        case bytes(Int)
        /// Tokens of the model's tokenizer.
        case tokens(Int)
    }

    /// What documents are measured by; the mean of their ranks counts where these are several.
    public var measures: [Measure] = []
    /// Documents of the task.
    public var task: [String] = []
    /// The key of a text in the task's files.
    public var taskKey: String
    /// The folder of the model that measures; nil for none, and for a model that has no folder.
    public var model: String?
    /// How much is chosen.
    public var amount: Amount
    /// Whether documents are drawn, each the sooner the larger its weight, in place of the largest being taken.
    public var isSampled = false
    /// After so many days a document's weight is half of what it was; nil for weights that do not age.
    public var halfLife: Double?
    /// The key of a document's tags, of which the entropy is; nil for pairs of classes of characters.
    public var tagsField: String?
    /// What chosen documents are spread over; nil where the order alone counts.
    public var spread: Spread?
    /// What the draw follows from.
    public var seed: UInt64 = 0

    /// A choice of so much, by nothing.
    public init(_ amount: Amount, taskKey: String) { (self.amount, self.taskKey) = (amount, taskKey) }

    /// What a measure is called in ledgers and reports.
    func name(of measure: Measure) -> String {
        measure == .entropy ? tagsField == nil ? "class-entropy" : "tag-entropy" : measure.rawValue
    }

    /// Whether documents get embeddings.
    var embeds: Bool { measures.contains(.similarity) || keepsEmbeddings }
    /// Whether embeddings are kept.
    var keepsEmbeddings: Bool {
        switch spread {
        case .clusters, .marginal: true
        case .topics, nil: false
        }
    }
    /// The key of a document's topic; nil where none counts.
    var topicField: String? { if case .topics(let field) = spread { field } else { nil } }
    /// Whether the model computes, and not its tokenizer alone.
    var computes: Bool { embeds || measures.contains(where: \.needsModel) }
    /// Whether tokens are counted.
    var countsTokens: Bool { if case .tokens = amount { true } else { false } }
    /// Whether a model is needed.
    public var needsModel: Bool { computes || countsTokens }

    /// Whether something is measured of a text alone.
    var readsTexts: Bool {
        if case .bytes = amount {
            true
        } else {
            measures.contains(where: \.needsWords) || measures.contains(.entropy) || halfLife != nil
                || topicField != nil
        }
    }

    /// Everything that decides what is chosen.
    var json: JSON {
        var json: JSON = [
            "by": .array(measures.map { .string($0.rawValue) }),
            "to": .array(task.map { .string($0) }), "to_key": .string(taskKey),
            "model": model.map { .string($0) } ?? .null, "sample": .bool(isSampled),
            "seed": isSampled || keepsEmbeddings ? JSON(Int(truncatingIfNeeded: seed)) : .null,
        ]
        if let tagsField { json["tags_field"] = .string(tagsField) }
        if let halfLife { json["half_life"] = JSON(halfLife) }
        switch spread {
        case .clusters(let count): json["clusters"] = JSON(count)
        case .topics(let field): json["topic_field"] = .string(field)
        case .marginal(let balance): json["mmr"] = JSON(balance)
        case nil: break
        }
        switch amount {
        case .share(let share): json["share"] = JSON(share)
        case .bytes(let bytes): json["budget_bytes"] = JSON(bytes)
        case .tokens(let tokens): json["budget_tokens"] = JSON(tokens)
        }
        return json
    }
}

extension DocumentChoice {
    /// Calls `body` with each text of the task, cleaned as documents are.
    ///
    /// - Parameters:
    ///   - settings: how texts are read and cleaned.
    ///   - body: is given each text that is not empty.
    /// - Returns: what of the files was not read, a sentence each.
    /// - Throws: ``UserFacingError`` when a file can't be read or holds no text, and what `body` throws.
    @discardableResult
    func forEachText(
        _ settings: SelectionSettings, _ body: ([UInt8]) throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> [String] {
        var found = 0
        var texts = try ReferenceTexts(task, key: taskKey, settings)
        try texts.forEach { text throws(UserFacingError) in
            guard !text.isEmpty else { return true }
            found += 1
            try body(text)
            return true
        }
        guard found > 0 else { throw .noTask(paths: task) }
        return texts.notes(of: "the task")
    }

    /// The task's files as they are, by which a run that was stopped knows them again.
    func taskFiles(_ settings: SelectionSettings) throws(UserFacingError) -> JSON {
        guard !task.isEmpty else { return .array([]) }
        return .array(try ReferenceTexts(task, key: taskKey, settings).files)
    }
}

extension UserFacingError {
    /// The files of a task hold nothing.
    static func noTask(paths: [String]) -> Self {
        Self(
            .malformed,
            "\(paths.joined(separator: ", ")): no text of a task is there; --to takes some of its documents")
    }
}
