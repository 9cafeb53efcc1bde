public import Formats
internal import Models

/// What of a model's own texts is wanted.
public struct ReplayRequest: Sendable, Equatable {
    /// Tokens that one pass over the texts shows at least, starts and ends of documents included.
    public var tokens: Int
    /// Tokens of a document at most, its start and end included; nil for 512, or as many as the model sees.
    public var length: Int?
    /// How tokens are chosen: at temperature 1 as the model has them.
    public var sampling = Sampling(temperature: 1)
    /// Texts whose beginnings some documents begin with, as training reads them; nil where all begin with the start token alone.
    public var prefixes: String?
    /// The share of documents that begin so, above 0 and up to 1.
    public var prefixShare = Self.usualPrefixShare
    /// Tokens of such a beginning at most; it is never more than half of the text that it is from.
    public var prefixTokens = Self.usualPrefixTokens
    /// How the texts of ``prefixes`` are read.
    public var text = TextOptions()

    /// What is taken of ``prefixes`` where nobody says more.
    public static let usualPrefixShare = 0.5, usualPrefixTokens = 16

    /// So many tokens, all documents from the start token.
    public init(tokens: Int) { self.tokens = tokens }

    /// Refuses numbers that can't be.
    ///
    /// - Parameter prefix: what stands before a parameter's name in messages: `--` for options.
    /// - Throws: ``UserFacingError`` that names the parameter.
    public func check(prefix: String = "") throws(UserFacingError) {
        func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }
        for (name, count, least) in [
            ("tokens", tokens, 1), ("length", length ?? 2, 2), ("prefix-tokens", prefixTokens, 1),
        ] where !(least...1_000_000_000_000).contains(count) {
            throw refuse("\(prefix)\(name) must be at least \(least), not \(count)")
        }
        guard prefixShare > 0, prefixShare <= 1 else {
            throw refuse("\(prefix)prefix-share must be above 0 and at most 1, not \(prefixShare)")
        }
        guard
            prefixes != nil || (prefixShare, prefixTokens) == (Self.usualPrefixShare, Self.usualPrefixTokens)
        else {
            throw refuse(
                "\(prefix)prefix-share and \(prefix)prefix-tokens are of \(prefix)prefixes; give a file")
        }
        guard sampling.temperature > 0, sampling.temperature.isFinite else {
            throw refuse(
                """
                \(prefix)temperature must be above 0, not \(sampling.temperature): without chance every document is the same
                """)
        }
        if let topK = sampling.topK, topK < 1 {
            throw refuse("\(prefix)top-k must be at least 1, not \(topK)")
        }
        if let topP = sampling.topP, !(topP > 0 && topP <= 1) {
            throw refuse("\(prefix)top-p must be above 0 and at most 1, not \(topP)")
        }
    }
}

/// What documents begin with: their number decides it, whatever was written before.
struct ReplayBeginnings {
    /// What each begins with; nil for nothing.
    let start: Int32?
    private let request: ReplayRequest
    private let prefixes: DocumentEncoder?
    /// The order of the texts that beginnings are from, in the pass that was asked for last.
    private var order: (pass: Int, documents: [UInt32])?

    init(_ request: ReplayRequest, start: Int32?, prefixes: DocumentEncoder?) {
        (self.request, self.start, self.prefixes) = (request, start, prefixes)
    }

    /// How many documents below a number begin with a text of their own.
    private func count(below number: Int) -> Int {
        prefixes == nil ? 0 : Int(Double(number) * request.prefixShare)
    }

    /// The tokens of a text that a document begins with; none where it begins with the start alone.
    ///
    /// Beginnings are spread evenly, and each text is taken once before any is taken again.
    mutating func prefix(_ number: Int) throws(UserFacingError) -> [Int32] {
        let taken = count(below: number)
        guard let prefixes, count(below: number + 1) > taken else { return [] }
        let pass = taken / prefixes.count
        let documents =
            order.flatMap { $0.pass == pass ? $0.documents : nil }
            ?? documentOrder(count: prefixes.count, seed: request.sampling.seed, source: 0, pass: pass)
        order = (pass, documents)
        let text = try prefixes.text(Int(documents[taken % prefixes.count])).tokens
        return Array(text.prefix(min(request.prefixTokens, (text.count + 1) / 2)))
    }
}
