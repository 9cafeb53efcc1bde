internal import Dispatch
internal import Synchronization

/// How much text became how many tokens.
public struct TextFigures: Sendable, Equatable {
    /// The text's bytes.
    public var bytes = 0
    /// Its tokens, without the special ones around a text.
    public var tokens = 0

    /// The bytes that a token stands for on average.
    public var bytesPerToken: Double { Double(bytes) / Double(max(tokens, 1)) }

    /// A text's figures.
    public init(bytes: Int = 0, tokens: Int = 0) {
        self.bytes = bytes
        self.tokens = tokens
    }
}

extension Tokenizer {
    /// Encodes a corpus and counts.
    ///
    /// - Parameters:
    ///   - corpus: the texts.
    ///   - threads: how many texts are encoded at the same time.
    ///   - progress: told how many bytes are read, of how many; false stops.
    /// - Returns: the figures; nil when it was stopped.
    /// - Throws: ``CorpusError`` that names the first line that can't be used.
    public func figures(
        of corpus: TextCorpus, threads: Int = 1,
        progress: (_ done: Int, _ total: Int) -> Bool = { _, _ in true }
    ) throws(CorpusError) -> TextFigures? {
        let total = Mutex((figures: TextFigures(), failure: (line: Int, error: CorpusError)?.none))
        let isFinished = try corpus.forEachBatch(progress: progress) { batch throws(CorpusError) in
            DispatchQueue.concurrentPerform(iterations: max(threads, 1)) { worker in
                var figures = TextFigures()
                for line in stride(from: worker, to: batch.lines.count, by: max(threads, 1)) {
                    do throws(CorpusError) {
                        guard let text = try batch.text(line) else { continue }
                        figures.bytes += text.count
                        figures.tokens += try self.count(text)
                    } catch {
                        total.withLock {
                            if $0.failure.map({ line < $0.line }) ?? true { $0.failure = (line, error) }
                        }
                        return
                    }
                }
                total.withLock {
                    $0.figures.bytes += figures.bytes
                    $0.figures.tokens += figures.tokens
                }
            }
            if let failure = total.withLock({ $0.failure }) { throw failure.error }
        }
        let figures = total.withLock { $0.figures }
        if figures.bytes == 0 && isFinished { throw .empty(paths: corpus.paths) }
        return isFinished ? figures : nil
    }

    private func count(_ text: [UInt8]) throws(CorpusError) -> Int {
        do {
            return try encode(String(decoding: text, as: UTF8.self), addSpecialTokens: false).count
        } catch {
            throw .tokenizer(error)
        }
    }
}
