internal import Formats

/// A context and what may follow it, as tokens.
struct EncodedContinuation: Sendable, Hashable {
    /// What the model sees, and the last token, which it is only asked for.
    let tokens: [Int32]
    /// How many of the tokens, at the end, are the continuation's.
    let count: Int
    /// How many tokens of the context were left out at its start, since the model sees no more.
    let cut: Int
}

/// Encodes contexts and their continuations as lm-evaluation-harness does by default for causal models.
///
/// White space at the end of a context belongs to what follows. Both texts together are encoded, and the context; what is
/// behind as many tokens as the context has is the continuation's. What the tokenizer puts before a text is put before both,
/// unless the text begins with the start token spelled out. An empty context is the start token.
///
/// Source: lm-evaluation-harness 0.4.13, `TemplateLM._encode_pair`, `TemplateLM.loglikelihood`, `HFLM.tok_encode` and
/// `HFLM._loglikelihood_tokens`.
struct ContinuationEncoder: Sendable {
    /// Why a continuation can't be asked for.
    enum Fault: Error, Equatable {
        /// The context is nothing but white space, and the tokenizer puts nothing before a text.
        case noContext
        /// There is no context, and no token that begins or ends a text.
        case noStart
        /// The continuation has no token of its own.
        case noContinuation
        /// The continuation has so many tokens, more than the model sees.
        case tooLong(Int)
        /// A token has no row in the embedding.
        case outOfRange(Int)
        /// The tokenizer gave up.
        case failed(UserFacingError)
    }

    private let tokenizer: Tokenizer
    private let vocabularySize: Int
    private let maximumLength: Int
    private let start: Int32?
    /// How the start token is spelled in a text.
    private let startText: [UInt8]?

    /// An encoder for a model.
    ///
    /// - Parameters:
    ///   - tokenizer: the model's.
    ///   - start: the token that begins a text, else the one that ends it.
    ///   - vocabularySize: rows of the model's embedding.
    ///   - maximumLength: how many tokens the model sees.
    init(_ tokenizer: Tokenizer, start: Int32?, vocabularySize: Int, maximumLength: Int) {
        self.tokenizer = tokenizer
        self.start = start
        self.vocabularySize = vocabularySize
        self.maximumLength = maximumLength
        startText = start.map { Array(tokenizer.decode([$0]).utf8) }
    }

    /// The tokens of a continuation behind its context.
    func encode(_ context: String, _ continuation: String) throws(Fault) -> EncodedContinuation {
        let (context, continuation) = try pair(context, continuation)
        guard !continuation.isEmpty else { throw .noContinuation }
        guard !context.isEmpty else { throw .noContext }
        guard continuation.count <= maximumLength else { throw .tooLong(continuation.count) }
        let all = context + continuation
        if let bad = all.first(where: { $0 < 0 || $0 >= vocabularySize }) { throw .outOfRange(Int(bad)) }
        let cut = max(0, all.count - 1 - maximumLength)
        return EncodedContinuation(tokens: Array(all[cut...]), count: continuation.count, cut: cut)
    }

    /// The tokens of both, apart.
    private func pair(
        _ context: String, _ continuation: String
    ) throws(Fault) -> (context: [Int32], continuation: [Int32]) {
        guard !context.isEmpty else {
            guard let start else { throw .noStart }
            let text = try encode(continuation, addsSpecialTokens: false)
            return text.first == start ? (Array(text.prefix(1)), Array(text.dropFirst())) : ([start], text)
        }
        let whole = try encode(context + continuation)
        let before = try encode(context.withoutTrailingSpace)
        return (before, Array(whole.dropFirst(before.count)))
    }

    private func encode(_ text: String, addsSpecialTokens: Bool? = nil) throws(Fault) -> [Int32] {
        // A text that has the start token has all that belongs before it.
        let hasStart = startText.map { text.utf8.starts(with: $0) } ?? false
        do throws(UserFacingError) {
            return try tokenizer.encode(text, addSpecialTokens: addsSpecialTokens ?? !hasStart)
        } catch {
            throw .failed(error)
        }
    }
}

extension String {
    /// The text without the white space at its end that Python's `str.rstrip` takes away.
    var withoutTrailingSpace: String {
        var scalars = unicodeScalars[...]
        while let last = scalars.last,
            last.properties.isWhitespace || (0x1C...0x1F).contains(last.value)
        {
            scalars.removeLast()
        }
        return String(scalars)
    }
}
