internal import Dispatch
internal import Synchronization

/// The distinct words of a corpus, as they come to the model, with how often each comes.
struct WordCounts: Sendable {
    /// The words.
    private(set) var words = ByteStringTable()
    /// How often each comes.
    private(set) var counts: [Int] = []
    /// How many bytes of text they were counted in.
    private(set) var textBytes = 0
    /// What there is to know of the texts.
    private(set) var findings = TextFindings()

    /// Adds a word that came some times.
    mutating func add(_ word: Span<UInt8>, count: Int = 1) {
        let index = words.insert(word)
        if index == counts.count { counts.append(count) } else { counts[index] += count }
    }

    /// Adds the words of a text.
    mutating func add(text: [UInt8], _ tokenizer: Tokenizer) throws(UserFacingError) {
        textBytes += text.count
        let divides = tokenizer.dividesWords || tokenizer.preTokenizer.endsInBytes
        let pieces = try tokenizer.words(of: text)
        let bytes = pieces.bytes.span
        for piece in pieces.pieces where piece.token < 0 {
            let word = bytes.extracting(piece.start..<piece.end)
            if divides {
                add(word)
            } else {
                Tokenizer.forEachSpacedWord(in: word) { add(word.extracting($0)) }
            }
        }
    }

    /// Adds everything that others have counted.
    mutating func add(_ other: WordCounts) {
        textBytes += other.textBytes
        for index in 0..<other.words.count {
            other.words.withString(index) { add($0, count: other.counts[index]) }
        }
    }
}

extension WordCounts {
    /// Counts the words of a corpus on several threads.
    ///
    /// The counts do not depend on the number of threads; the order of the words does.
    ///
    /// - Parameters:
    ///   - corpus: the texts.
    ///   - tokenizer: what divides them.
    ///   - threads: how many texts are worked on at the same time.
    ///   - isCancelled: asked again and again; true stops.
    ///   - progress: told how many bytes are read, of how many.
    /// - Returns: the words.
    /// - Throws: ``UserFacingError`` that names the first line that can't be used, or when it was stopped.
    static func counted(
        in corpus: Documents, _ tokenizer: Tokenizer, threads: Int, isCancelled: () -> Bool = { false },
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(UserFacingError) -> WordCounts {
        let counters = (0..<max(threads, 1)).map { _ in Counter() }
        var findings = TextFindings()
        let passedOver = try corpus.forEachBatch(isCancelled: isCancelled, progress: progress) {
            batch throws(UserFacingError) in
            let shares = shares(of: batch, among: counters.count)
            DispatchQueue.concurrentPerform(iterations: counters.count) { worker in
                counters[worker].count(batch, shares[worker], tokenizer)
            }
            // The shares are in the order of the file, so the first failure is the first line's.
            for counter in counters { findings.add(try counter.taken()) }
        }
        var total = WordCounts()
        for counter in counters { counter.state.withLock { total.add($0) } }
        findings.add(passedOver)
        total.findings = findings
        guard total.words.count > 0 else {
            throw .noDocuments(paths: corpus.paths, skipped: findings.firstSkipped)
        }
        return total
    }

    /// Divides a batch's texts so that each share has about as many bytes.
    private static func shares(of batch: DocumentBatch, among count: Int) -> [Range<Int>] {
        var shares: [Range<Int>] = []
        var start = 0
        for share in 1...count {
            let target = batch.bytes.count * share / count
            var end = start
            while end < batch.parts.count, batch.parts[end].lowerBound < target || share == count { end += 1 }
            shares.append(start..<end)
            start = end
        }
        return shares
    }

    /// What one thread counts.
    private final class Counter: Sendable {
        let state = Mutex(WordCounts())
        /// What was found in the last batch, or why it can't be used.
        private let outcome = Mutex<Result<TextFindings, UserFacingError>>(.success(TextFindings()))

        func count(_ batch: DocumentBatch, _ parts: Range<Int>, _ tokenizer: Tokenizer) {
            state.withLock { counts in
                var findings = TextFindings()
                do throws(UserFacingError) {
                    for part in parts {
                        guard let text = try batch.text(part, noting: &findings), !text.isEmpty else {
                            continue
                        }
                        tokenizer.countControlTokens(in: text.span, into: &findings.controlTokens)
                        do throws(UserFacingError) {
                            try counts.add(text: text, tokenizer)
                        } catch {
                            throw error.within(batch.place(of: part))
                        }
                    }
                    outcome.withLock { $0 = .success(findings) }
                } catch {
                    outcome.withLock { $0 = .failure(error) }
                }
            }
        }

        func taken() throws(UserFacingError) -> TextFindings { try outcome.withLock(\.self).get() }
    }
}
