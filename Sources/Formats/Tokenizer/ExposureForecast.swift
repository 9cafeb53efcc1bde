/// How often text will show each of some new tokens, and so how many of them it can teach.
///
/// The row of a token that is hardly seen stays about where it began. A hundred times is a rule of thumb: Korean vocabularies
/// whose median token was seen 143 times lost to the old one, and Apertus-8B-Greek took no token that its text has fewer than
/// about 1,000 times.
public struct ExposureForecast: Sendable, Equatable {
    /// How often a token must be seen at least.
    public static let enough = 100

    /// How many new tokens there are.
    public let tokens: Int
    /// How many of them will be seen less often than ``enough``.
    public let rare: Int
    /// How often the median one will be seen.
    public let median: Double

    /// A forecast.
    ///
    /// - Parameter counts: how often each new token will be seen.
    public init(_ counts: [Double]) {
        tokens = counts.count
        rare = counts.count { $0 < Double(Self.enough) }
        let sorted = counts.sorted()
        median = sorted.isEmpty ? 0 : sorted[sorted.count / 2]
    }

    /// How many tokens the text can teach.
    public var taught: Int { tokens - rare }

    /// Whether its user should know: more than one in ten is rare.
    ///
    /// A few always are, as what longer tokens are merged from.
    public var isPoor: Bool { 10 * rare > tokens }

    /// What there is to know of it; nil where it is not poor.
    ///
    /// - Parameters:
    ///   - text: what shows the tokens, as in `in one pass over the corpus`.
    ///   - advice: what to do.
    /// - Returns: a sentence.
    public func warning(_ text: String, advice: String) -> String? {
        guard isPoor else { return nil }
        return """
            \(Units.grouped(rare)) of \(Units.grouped(tokens)) new tokens are seen fewer than \(Self.enough) times \(text), the median \
            one \(Units.grouped(Int(median.rounded()))) times; rows that are hardly seen stay about where they began. That can teach \
            \(Units.grouped(taught)) tokens: \(advice)
            """
    }
}
