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
    /// A document in a `.txt` of more than 1 MiB is encoded in parts of about that size, so that memory is bounded; at a
    /// cut a few tokens may differ from those of the whole.
    ///
    /// - Parameters:
    ///   - corpus: the texts.
    ///   - threads: how many texts are encoded at the same time.
    ///   - isCancelled: asked again and again; true stops.
    ///   - progress: told how many bytes are read, of how many.
    /// - Returns: the figures.
    /// - Throws: ``UserFacingError`` that names the first line that can't be used, or when it was stopped.
    public func figures(
        of corpus: Documents, threads: Int = 1, isCancelled: () -> Bool = { false },
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(UserFacingError) -> TextFigures {
        let total = Mutex((figures: TextFigures(), failure: (part: Int, error: UserFacingError)?.none))
        try corpus.forEachBatch(isCancelled: isCancelled, progress: progress) {
            batch throws(UserFacingError) in
            DispatchQueue.concurrentPerform(iterations: max(threads, 1)) { worker in
                var (figures, findings) = (TextFigures(), TextFindings())
                for part in stride(from: worker, to: batch.parts.count, by: max(threads, 1)) {
                    do throws(UserFacingError) {
                        guard let text = try batch.text(part, noting: &findings) else { continue }
                        figures.bytes += text.count
                        do throws(UserFacingError) {
                            figures.tokens += try self.count(text)
                        } catch {
                            throw error.within(batch.place(of: part))
                        }
                    } catch {
                        total.withLock {
                            if $0.failure.map({ part < $0.part }) ?? true { $0.failure = (part, error) }
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
        if figures.bytes == 0 { throw .noDocuments(paths: corpus.paths) }
        return figures
    }

    private func count(_ text: [UInt8]) throws(UserFacingError) -> Int {
        try encode(String(decoding: text, as: UTF8.self), addSpecialTokens: false).count
    }
}
