extension Tokenizer {
    /// Learns tokens from a corpus on top of those that there are.
    ///
    /// The corpus is divided into words and encoded; then, again and again, the pair of neighbouring tokens that comes
    /// most often becomes a token (of equal ones that with the lower ids). The new merges come after the existing ones,
    /// so text in which no new token applies is encoded as it was, and each new token, standing alone, becomes itself.
    /// Memory is bounded by the distinct words. A document in a `.txt` of more than 1 MiB is divided into words in parts of
    /// about that size, between two lines where it has any.
    ///
    /// In vocabularies of characters (SentencePiece's), a character that is missing becomes a token when that saves more
    /// tokens, its bytes being one, than any pair does.
    ///
    /// Source: Teaching Old Tokenizers New Words (arXiv 2512.03989); Sennrich et al., arXiv 1508.07909.
    ///
    /// - Parameters:
    ///   - count: how many tokens.
    ///   - corpus: what to learn them from.
    ///   - threads: how many texts are divided at the same time; the result does not depend on it.
    ///   - isCancelled: asked again and again; true stops.
    ///   - progress: told how many bytes of the corpus are read, of how many.
    /// - Returns: the tokens and merges.
    /// - Throws: ``UserFacingError`` when the corpus can't be used or has not as many to give, or when it was stopped.
    public func learning(
        _ count: Int, from corpus: Documents, threads: Int = 1, isCancelled: () -> Bool = { false },
        progress: (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(UserFacingError) -> LearnedTokens {
        let words = try WordCounts.counted(
            in: corpus, self, threads: threads, isCancelled: isCancelled, progress: progress)
        var learner = try MergeLearner(self, words)
        var learned = try learner.learn(count, isCancelled: isCancelled)
        learned.findings = words.findings
        guard learned.tokens.count == count else {
            throw .tooFewTokens(asked: count, given: learned.tokens.count, words: words.counts.count)
        }
        return learned
    }
}
