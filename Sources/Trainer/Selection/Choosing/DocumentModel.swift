internal import Formats
internal import Models

/// A model that documents are measured with: where it places them, and how well it predicts them.
///
/// A document is its start token and its text, in the windows of evaluation, so each token is seen once.
final class DocumentModel {
    /// What tells the model from others.
    let fingerprint: String
    /// The channels of an embedding.
    let width: Int
    /// What there is to know of the model, a sentence each.
    let notes: [String]
    private let model: PretrainedModel
    private let tokenizer: Tokenizer
    private let layout: DocumentLayout
    private let path: String
    private let threads: Int
    private var transformer: Transformer<DefaultEngine>?

    /// What was measured of a document.
    struct Measured {
        /// The tokens of its text.
        var tokens = 0
        /// Those that were predicted, and the sum of their cross entropies.
        var predicted = 0
        var nats = 0.0
        /// The mean of what the last norm leaves of its tokens; empty where it has none.
        var embedding: [Double] = []
    }

    /// Opens a model; its weights are read when they are needed.
    ///
    /// - Parameters:
    ///   - checkpoint: the model, which need not have been written.
    ///   - options: how texts are read.
    ///   - threads: how many threads compute.
    /// - Throws: ``UserFacingError`` naming what is wrong with it.
    init(_ checkpoint: Checkpoint, options: TextOptions, threads: Int) throws(UserFacingError) {
        (path, self.threads) = (checkpoint.path, threads)
        do {
            model = try PretrainedModel(checkpoint)
            tokenizer = try model.tokenizer().reading(options)
        } catch {
            throw error as? UserFacingError ?? UserFacingError(.unsupported, "\(path): \(error)")
        }
        let found = try model.documentLayout(tokenizer, endOfText: .nothing)
        (layout, notes) = (found.layout, model.notes + found.notes)
        fingerprint = try model.unchanged.fingerprint()
        width = model.architecture.hiddenSize
    }

    /// Reads the weights.
    func load(isCancelled: () -> Bool) throws(UserFacingError) {
        guard transformer == nil else { return }
        let length = model.usualLength
        do {
            transformer = try model.evaluated(
                batch: max(1, EvaluationRequest.tokensAtOnce / length), length: length,
                on: DefaultEngine(threads: threads), isCancelled: isCancelled)
        } catch {
            throw error as? UserFacingError ?? UserFacingError(.unsupported, "\(path): \(error)")
        }
    }

    /// Measures documents.
    ///
    /// - Parameters:
    ///   - texts: UTF-8.
    ///   - losses: whether it is measured how well they are predicted.
    ///   - embeddings: whether they get embeddings.
    ///   - check: called between batches; what it throws ends the work.
    /// - Returns: what was measured of each; where the weights have not been read, their tokens alone.
    /// - Throws: ``UserFacingError`` when a text can't be encoded.
    func measure(
        _ texts: [[UInt8]], losses: Bool = false, embeddings: Bool = true,
        _ check: () throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> [Measured] {
        let (tokenizer, layout, rows, path) = (tokenizer, layout, model.architecture.vocabularySize, path)
        let sequences = try mapConcurrently(texts.count, threads: threads) { index throws(UserFacingError) in
            guard !texts[index].isEmpty else { return [Int32]() }
            let tokens = layout.text(in: try tokenizer.encode(String(decoding: texts[index], as: UTF8.self)))
            if let bad = tokens.first(where: { $0 < 0 || $0 >= rows }) {
                throw .tokenOutOfRange(path: path, token: Int(bad), vocabularySize: rows)
            }
            return Array(tokens)
        }
        var measured = sequences.map { Measured(tokens: $0.count) }
        guard let transformer else { return measured }
        // Behind the last token of a text nothing is predicted.
        let documents = sequences.map { $0.isEmpty ? [] : layout.document(ofText: $0) + [-1] }
        let windows = PackedWindows(rolling: documents, window: model.usualLength, into: model.usualLength)
        for batch in windows.batches(of: transformer.plan.batch) {
            try check()
            let states = embeddings ? transformer.lastStates(of: batch.sequences) : []
            let nats =
                !losses
                ? [] : embeddings ? transformer.lossesOfStates() : transformer.losses(of: batch.sequences)
            for (window, rows) in batch.windows {
                let own = rows.lowerBound + window.first - window.input.lowerBound..<rows.upperBound
                if embeddings { add(states, own, to: &measured[window.sequence].embedding) }
                guard losses else { continue }
                for row in own where batch.sequences.targets[row] >= 0 {
                    measured[window.sequence].predicted += 1
                    measured[window.sequence].nats += Double(nats[row])
                }
            }
        }
        guard measured.allSatisfy(\.nats.isFinite) else { throw .statesNotFinite(path: path) }
        for index in measured.indices where !measured[index].embedding.isEmpty {
            let count = Double(documents[index].count - 1)
            for channel in 0..<width { measured[index].embedding[channel] /= count }
            guard measured[index].embedding.allSatisfy(\.isFinite) else { throw .statesNotFinite(path: path) }
        }
        return measured
    }

    private func add(_ states: [Float], _ rows: Range<Int>, to sum: inout [Double]) {
        if sum.isEmpty { sum = [Double](repeating: 0, count: width) }
        for row in rows {
            for channel in 0..<width { sum[channel] += Double(states[row * width + channel]) }
        }
    }
}

/// The cosine of two vectors; 0 where one of them is zero.
func cosine(_ one: [Double], _ other: [Double]) -> Double {
    var (product, first, second) = (0.0, 0.0, 0.0)
    for index in one.indices {
        product += one[index] * other[index]
        first += one[index] * one[index]
        second += other[index] * other[index]
    }
    let size = (first * second).squareRoot()
    return size > 0 ? product / size : 0
}

extension UserFacingError {
    /// A model computes what is no number.
    fileprivate static func statesNotFinite(path: String) -> Self {
        Self(
            .diverged,
            "\(path): what the model computes of a document are no finite numbers, though all weights are; measure with another model"
        )
    }
}
