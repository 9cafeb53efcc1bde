internal import Foundation
public import Formats
internal import Models

/// What a model makes of a set of documents.
public struct EvaluationResult: Codable, Sendable, Equatable {
    /// The mean cross entropy of a token of the text, in nats.
    public let loss: Double
    /// e to the power of the loss.
    public let perplexity: Double
    /// The bits that the model needs for a byte of the text; nil for tokens without a text.
    public let bitsPerByte: Double?
    /// Tokens of the text that were predicted.
    public let tokens: Int
    /// Bytes of the text; nil for tokens without a text.
    public let bytes: Int?
    /// How well the ends of the texts are predicted; nil where texts have no end.
    public let endOfText: EndOfTextResult?

    /// What is known of a set where the model holds what is no number: nothing.
    public static let unknown = EvaluationResult(sum: .nan, tokens: 0, bytes: nil)

    /// A result from the sum of all cross entropies.
    init(sum: Double, tokens: Int, bytes: Int?, endOfText: EndOfTextResult? = nil) {
        loss = sum / Double(tokens)
        perplexity = exp(loss)
        bitsPerByte = bytes.map { sum / log(2) / Double($0) }
        self.tokens = tokens
        self.bytes = bytes
        self.endOfText = endOfText
    }

    enum CodingKeys: String, CodingKey {
        case loss, perplexity, tokens, bytes
        case bitsPerByte = "bits_per_byte"
        case endOfText = "end_of_text"
    }
}

/// What a model makes of the ends of texts.
public struct EndOfTextResult: Codable, Sendable, Equatable {
    /// The mean cross entropy of an end, in nats.
    public let loss: Double
    /// The mean probability of the end of text where a text ends.
    public let probability: Double
    /// How many texts end.
    public let documents: Int
}

/// Documents to evaluate on, encoded.
///
/// Each is evaluated by itself: its tokens and its end after the start token, in windows that each predict as many tokens
/// as the model's planned length, the last one the rest with as much context as makes that length. So every token is
/// predicted once. It is what lm-evaluation-harness's `loglikelihood_rolling` does with `add_bos_token=False`
/// (<https://github.com/EleutherAI/lm-evaluation-harness>, `get_rolling_token_windows`).
public struct EvaluationSet: Sendable {
    /// What the set is called.
    public let name: String
    /// What there is to know of the texts, a sentence each.
    public let warnings: [String]
    /// The documents, laid out.
    private let documents: [[Int32]]
    /// Whether the last of them is only the beginning of one.
    private let isCut: Bool
    /// Bytes of the texts; nil where one is cut.
    let bytes: Int?
    /// The token that ends them.
    private let end: Int32?

    /// Reads and encodes a file of documents.
    ///
    /// With `tokens` only so many tokens are taken, of documents in an order that chance decides, the same always; the last
    /// one may be cut and then has no end.
    ///
    /// - Throws: ``UserFacingError`` naming the file and what is wrong with it.
    init(
        name: String, path: String, options: TextOptions = TextOptions(), tokenizer: Tokenizer,
        layout: DocumentLayout, vocabularySize: Int, tokens limit: Int? = nil
    ) throws(UserFacingError) {
        let encoder = try DocumentEncoder(
            path: path, options: options, tokenizer: tokenizer.reading(options), layout: layout,
            vocabularySize: vocabularySize)
        try self.init(name: name, of: encoder, tokens: limit)
    }

    /// Encodes documents; with `tokens` as many as that of them.
    ///
    /// - Throws: ``UserFacingError`` naming what they are of, and what is wrong with it.
    init(name: String, of encoder: DocumentEncoder, tokens limit: Int? = nil) throws(UserFacingError) {
        let (layout, path) = (encoder.layout, encoder.path)
        warnings = encoder.warnings
        self.name = name
        end = layout.end
        var (documents, bytes): ([[Int32]], Int) = ([], 0)
        var (texts, predicted, isCut) = (0, 0, false)
        let order = limit.map { _ in documentOrder(count: encoder.count, seed: 0, source: 0, pass: 0) }
        for place in 0..<encoder.count {
            let room = (limit ?? .max) - predicted
            guard room > 0 else { break }
            let text = try encoder.text(order.map { Int($0[place]) } ?? place)
            bytes += text.byteCount
            texts += text.tokens.count
            let unpredicted = layout.start == nil ? 1 : 0
            if text.tokens.count - unpredicted > room {
                let document = layout.document(ofText: text.tokens.prefix(room + unpredicted))
                documents.append(layout.end == nil ? document : document.dropLast())
                predicted += room
                isCut = true
            } else {
                documents.append(layout.document(ofText: text.tokens))
                predicted += max(0, text.tokens.count - unpredicted)
            }
        }
        // One token alone is a context without anything behind it.
        guard predicted > 0 else { throw texts == 0 ? .noTokens(path: path) : .nothingToPredict(path: path) }
        (self.documents, self.isCut) = (documents, isCut)
        self.bytes = isCut ? nil : bytes
    }

    /// Reads sets for a model, each from a file; opens the model's tokenizer unless it is given.
    ///
    /// - Throws: a `UserFacingError` naming the file.
    static func read(
        _ files: [(name: String, path: String)], options: TextOptions = TextOptions(),
        for model: PretrainedModel,
        tokenizer opened: Tokenizer? = nil, endOfText: EndOfText, tokens: Int? = nil,
        warn: (String) -> Void = { _ in }
    ) throws -> [EvaluationSet] {
        guard !files.isEmpty else { return [] }
        let tokenizer = try opened ?? model.tokenizer()
        let (layout, notes, _) = try model.documentLayout(tokenizer, endOfText: endOfText)
        notes.forEach(warn)
        return try files.map { file in
            try EvaluationSet(
                name: file.name, path: file.path, options: options, tokenizer: tokenizer, layout: layout,
                vocabularySize: model.architecture.vocabularySize, tokens: tokens)
        }
    }

    /// How many documents were read.
    var documentCount: Int { documents.count }

    /// The SHA-256 of all tokens, document by document.
    var sha256: String {
        var bytes: [UInt8] = []
        for document in documents {
            for number in [Int32(document.count)] + document { bytes.append(number: number) }
        }
        return FileDigest.sha256(bytes)
    }

    /// The memory that the tokens take, and the windows over them.
    var byteCount: Int { documents.reduce(0) { $0 + 4 * $1.count + 64 } }

    /// What `model` makes of it.
    ///
    /// - Parameters:
    ///   - model: a model that is planned for rows as long as a window at least.
    ///   - window: how many tokens a window predicts; nil for as many as a row has.
    ///   - isCancelled: asked before each batch; true stops.
    /// - Returns: the result.
    /// - Throws: ``UserFacingError`` when it was stopped.
    public func evaluate<Device: Engine>(
        _ model: Transformer<Device>, window: Int? = nil, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) -> EvaluationResult {
        var sum = EvaluationSum()
        for batch in batches(of: model.plan.batch, length: model.plan.sequenceLength, window: window) {
            if isCancelled() { throw .interrupted("; nothing is kept") }
            sum.add(model.losses(of: batch.sequences), of: batch)
        }
        return sum.result(bytes: bytes)
    }

    /// How many rows of `length` tokens the windows take, which are as long where nothing else is said.
    func rowCount(length: Int, window: Int? = nil) -> Int {
        packed(into: length, window: window ?? length).rows.count
    }

    /// The windows, of `length` tokens where nothing else is said, in `size` rows of `length` tokens at once.
    func batches(of size: Int, length: Int, window: Int? = nil) -> some Sequence<EvaluationBatch> {
        packed(into: length, window: window ?? length).batches(of: size).lazy.map { batch in
            var batch = batch
            batch.ends = batch.windows.compactMap { window, rows in
                let isWhole = end != nil && !(isCut && window.sequence == documents.count - 1)
                let reachesEnd = window.input.upperBound == documents[window.sequence].count - 1
                return isWhole && reachesEnd ? rows.upperBound - 1 : nil
            }
            return batch
        }
    }

    private func packed(into length: Int, window: Int) -> PackedWindows {
        PackedWindows(rolling: documents, window: window, into: length)
    }
}

/// The cross entropies of batches, being summed.
struct EvaluationSum {
    private var nats = 0.0, tokens = 0
    private var endNats = 0.0, endProbability = 0.0, texts = 0

    /// Nothing yet.
    init() {}

    /// What was summed elsewhere.
    init(nats: Double, tokens: Int, endNats: Double, endProbability: Double, texts: Int) {
        (self.nats, self.tokens) = (nats, tokens)
        (self.endNats, self.endProbability, self.texts) = (endNats, endProbability, texts)
    }

    /// Adds those of the rows of a batch.
    mutating func add(_ losses: [Float], of batch: EvaluationBatch) {
        var losses = losses
        for row in batch.ends {
            endNats += Double(losses[row])
            endProbability += exp(-Double(losses[row]))
            losses[row] = 0
        }
        nats += losses.reduce(0) { $0 + Double($1) }
        tokens += batch.sequences.targetCount - batch.ends.count
        texts += batch.ends.count
    }

    /// What they come to.
    func result(bytes: Int?) -> EvaluationResult {
        EvaluationResult(
            sum: nats, tokens: tokens, bytes: bytes,
            endOfText: texts == 0
                ? nil
                : EndOfTextResult(
                    loss: endNats / Double(texts), probability: endProbability / Double(texts),
                    documents: texts))
    }
}

extension TokenDataset {
    /// What `model`, planned for one row of these rows' length, makes of them.
    ///
    /// `visit` is given consecutive blocks of logits (rows, V).
    ///
    /// - Throws: ``UserFacingError`` when `isCancelled`, which is asked before each row, stopped it.
    public func evaluate<Device: Engine>(
        _ model: Transformer<Device>, isCancelled: () -> Bool = { false },
        visit: ((Tensor<Device.Buffer>) -> Void)? = nil
    ) throws(UserFacingError) -> EvaluationResult {
        var sum = 0.0
        var tokens = 0
        for row in 0..<count {
            if isCancelled() { throw .interrupted("; nothing is kept") }
            let batch = rows(row..<row + 1)
            sum += model.loss(batch, visit: visit.map { visit in { visit($1) } })
            tokens += batch.targetCount
        }
        return EvaluationResult(sum: sum, tokens: tokens, bytes: nil)
    }
}
