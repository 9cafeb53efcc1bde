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
    private let bytes: Int
    /// The token that ends them.
    private let end: Int32?

    /// Reads and encodes a file of documents.
    ///
    /// - Throws: ``UserFacingError`` naming the file and what is wrong with it.
    init(
        name: String, path: String, options: TextOptions = TextOptions(), tokenizer: Tokenizer,
        layout: DocumentLayout, vocabularySize: Int
    ) throws(UserFacingError) {
        let encoder = try DocumentEncoder(
            path: path, options: options, tokenizer: tokenizer.reading(options), layout: layout,
            vocabularySize: vocabularySize)
        warnings = encoder.warnings
        self.name = name
        end = layout.end
        var (documents, bytes): ([[Int32]], Int) = ([], 0)
        var (texts, predicted) = (0, 0)
        for index in 0..<encoder.count {
            let text = try encoder.text(index)
            bytes += text.byteCount
            texts += text.tokens.count
            documents.append(layout.document(ofText: text.tokens))
            predicted += layout.start == nil ? max(0, text.tokens.count - 1) : text.tokens.count
        }
        // One token alone is a context without anything behind it.
        guard predicted > 0 else { throw texts == 0 ? .noTokens(path: path) : .nothingToPredict(path: path) }
        (self.documents, self.bytes) = (documents, bytes)
    }

    /// Reads sets for a model, each from a file; opens the model's tokenizer unless it is given.
    ///
    /// - Throws: a `UserFacingError` naming the file.
    static func read(
        _ files: [(name: String, path: String)], options: TextOptions = TextOptions(),
        for model: PretrainedModel,
        tokenizer opened: Tokenizer? = nil, endOfText: EndOfText, warn: (String) -> Void = { _ in }
    ) throws -> [EvaluationSet] {
        guard !files.isEmpty else { return [] }
        let tokenizer = try opened ?? model.tokenizer()
        let (layout, notes) = try model.documentLayout(tokenizer, endOfText: endOfText)
        notes.forEach(warn)
        return try files.map { file in
            try EvaluationSet(
                name: file.name, path: file.path, options: options, tokenizer: tokenizer, layout: layout,
                vocabularySize: model.architecture.vocabularySize)
        }
    }

    /// The memory that the tokens take, and the windows over them.
    var byteCount: Int { documents.reduce(0) { $0 + 4 * $1.count + 64 } }

    /// What `model` makes of it.
    ///
    /// - Throws: ``UserFacingError`` when `isCancelled`, which is asked before each batch, stopped it.
    public func evaluate<Device: Engine>(
        _ model: Transformer<Device>, isCancelled: () -> Bool = { false }
    ) throws(UserFacingError) -> EvaluationResult {
        let (batch, length) = (model.plan.batch, model.plan.sequenceLength)
        let rows = packed(into: length)
        var (nats, tokens) = (0.0, 0)
        var (endNats, endProbability, texts) = (0.0, 0.0, 0)
        for start in stride(from: 0, to: rows.count, by: batch) {
            if isCancelled() { throw .interrupted("; nothing is kept") }
            var sequences = TokenBatch(batch: 0, sequenceLength: length, tokens: [], targets: [])
            var ends: [Int] = []
            for index in start..<start + batch {
                append(index < rows.count ? rows[index] : [], to: &sequences, ends: &ends)
            }
            var losses = model.losses(of: sequences)
            for row in ends {
                endNats += Double(losses[row])
                endProbability += exp(-Double(losses[row]))
                losses[row] = 0
            }
            nats += losses.reduce(0) { $0 + Double($1) }
            tokens += sequences.targetCount - ends.count
            texts += ends.count
        }
        return EvaluationResult(
            sum: nats, tokens: tokens, bytes: bytes,
            endOfText: texts == 0
                ? nil
                : EndOfTextResult(
                    loss: endNats / Double(texts), probability: endProbability / Double(texts),
                    documents: texts))
    }

    /// A part of a document that the model sees at once.
    private struct Window {
        let document: Int
        /// The tokens that go in; each predicts the one behind it.
        let input: Range<Int>
        /// The first of them whose prediction counts.
        let first: Int
    }

    private func windows(_ length: Int) -> [Window] {
        documents.enumerated().flatMap { index, document in
            let predicted = document.count - 1
            return stride(from: 0, to: predicted, by: length).map { done in
                let end = min(done + length, predicted)
                return Window(document: index, input: max(0, end - length)..<end, first: done)
            }
        }
    }

    /// The windows in rows of `length` tokens, several in a row where they are short: the longest that is left, and then
    /// the shortest as long as they fit.
    private func packed(into length: Int) -> [[Window]] {
        let windows = windows(length).sorted {
            ($0.input.count, $0.document, $0.first) > ($1.input.count, $1.document, $1.first)
        }
        var rows: [[Window]] = []
        var (longest, shortest) = (0, windows.count - 1)
        while longest <= shortest {
            var row = [windows[longest]]
            var room = length - windows[longest].input.count
            longest += 1
            while longest <= shortest, windows[shortest].input.count <= room {
                room -= windows[shortest].input.count
                row.append(windows[shortest])
                shortest -= 1
            }
            rows.append(row)
        }
        return rows
    }

    /// Puts a row's windows beside each other; none sees another.
    private func append(_ row: [Window], to batch: inout TokenBatch, ends: inout [Int]) {
        let length = batch.sequenceLength
        var (tokens, targets, starts): ([Int32], [Int32], [Int32]) = ([], [], [])
        for window in row {
            let document = documents[window.document]
            let start = Int32(tokens.count)
            for place in window.input {
                tokens.append(document[place])
                targets.append(place < window.first ? -1 : document[place + 1])
                starts.append(start)
            }
            if end != nil, window.input.upperBound == document.count - 1 {
                ends.append(batch.batch * length + tokens.count - 1)
            }
        }
        // What fills the row sees itself and is not asked for anything.
        for place in tokens.count..<length {
            tokens.append(0)
            targets.append(-1)
            starts.append(Int32(place))
        }
        batch.append(tokens, targets: targets, attentionStart: starts)
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
