internal import Foundation
public import Formats
internal import Models

/// What a model makes of a set of documents.
public struct EvaluationResult: Codable, Sendable, Equatable {
    /// The mean cross entropy of a token, in nats.
    public let loss: Double
    /// e to the power of the loss.
    public let perplexity: Double
    /// The bits that the model needs for a byte of the text; nil for tokens without a text.
    public let bitsPerByte: Double?
    /// Tokens that were predicted.
    public let tokens: Int
    /// Bytes of the text; nil for tokens without a text.
    public let bytes: Int?

    /// What is known of a set where the model holds what is no number: nothing.
    public static let unknown = EvaluationResult(sum: .nan, tokens: 0, bytes: nil)

    /// A result from the sum of all cross entropies.
    init(sum: Double, tokens: Int, bytes: Int?) {
        loss = sum / Double(tokens)
        perplexity = exp(loss)
        bitsPerByte = bytes.map { sum / log(2) / Double($0) }
        self.tokens = tokens
        self.bytes = bytes
    }

    enum CodingKeys: String, CodingKey {
        case loss, perplexity, tokens, bytes
        case bitsPerByte = "bits_per_byte"
    }
}

/// Documents to evaluate on, encoded.
public struct EvaluationSet: Sendable {
    /// What the set is called.
    public let name: String
    /// What there is to know of the texts, a sentence each.
    public let warnings: [String]
    private let tokens: [Int32]
    private let bytes: Int

    /// Reads and encodes a file of documents.
    ///
    /// - Throws: ``UserFacingError`` naming the file and what is wrong with it.
    init(
        name: String, path: String, options: TextOptions, tokenizer: Tokenizer, rows: Int
    ) throws(UserFacingError) {
        let encoder = try DocumentEncoder(
            path: path, options: options, tokenizer: tokenizer.reading(options), rows: rows, separator: nil)
        warnings = encoder.warnings
        self.name = name
        (tokens, bytes) = try encoder.allTokens()
        guard tokens.count > 1 else { throw .noTokens(path: path) }
    }

    /// Reads sets for a model, each from a file; opens the model's tokenizer unless it is given.
    ///
    /// - Throws: a `UserFacingError` naming the file.
    static func read(
        _ files: [(name: String, path: String)], options: TextOptions, for model: PretrainedModel,
        tokenizer opened: Tokenizer? = nil
    ) throws -> [EvaluationSet] {
        guard !files.isEmpty else { return [] }
        let tokenizer = try opened ?? model.tokenizer()
        return try files.map { file in
            try EvaluationSet(
                name: file.name, path: file.path, options: options, tokenizer: tokenizer,
                rows: model.architecture.vocabularySize)
        }
    }

    /// What `model` makes of it.
    ///
    /// All documents, one after the other, are cut into windows of the model's planned length that predict as
    /// many tokens, so that each token but the very first is predicted once.
    ///
    /// - Throws: ``UserFacingError`` when `isCancelled`, which is asked before each batch, stopped it.
    public func evaluate<Device: Engine>(
        _ model: Transformer<Device>, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) -> EvaluationResult {
        let (batch, length) = (model.plan.batch, model.plan.sequenceLength)
        var sum = 0.0
        for start in stride(from: 0, to: tokens.count - 1, by: batch * length) {
            if isCancelled() { throw .interrupted("; nothing is kept") }
            // What lies beyond the end is filled with the first token and not asked for.
            var input = [Int32](repeating: tokens[0], count: batch * length)
            var targets = [Int32](repeating: -1, count: batch * length)
            for position in 0..<min(batch * length, tokens.count - 1 - start) {
                input[position] = tokens[start + position]
                targets[position] = tokens[start + position + 1]
            }
            sum += model.loss(
                TokenBatch(batch: batch, sequenceLength: length, tokens: input, targets: targets))
        }
        return EvaluationResult(sum: sum, tokens: tokens.count - 1, bytes: bytes)
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
