internal import Formats

/// What stands in a sequence, and what a token sees of it.
public enum Packing: String, Codable, Sendable, CaseIterable {
    /// Documents of one source, end to end; a token sees its own document only.
    case documents
    /// The same; a token sees all that stands before it.
    case concatenate
    /// Two sources, half a sequence each; a token sees all that stands before it, so that what is known in one language
    /// may be carried over to another (XLDA of Trillion-7B, <https://arxiv.org/abs/2504.15431>).
    case bilingual

    /// Refuses what can't be packed like this.
    ///
    /// - Parameters:
    ///   - sources: how many sources there are.
    ///   - length: tokens of a sequence; nil where it is not known yet.
    ///   - prefix: what stands before a parameter's name in messages: `--` for options.
    /// - Throws: ``UserFacingError`` that says what would be right.
    func check(sources: Int, length: Int?, prefix: String = "") throws(UserFacingError) {
        guard self == .bilingual else { return }
        guard sources > 1 else {
            throw UserFacingError(
                .request,
                """
                \(prefix)packing bilingual puts texts of two sources into a sequence, and there is only one; give another \
                with \(prefix)data or \(prefix)replay
                """)
        }
        guard let length, length % 2 != 0 else { return }
        throw UserFacingError(
            .request,
            "\(prefix)packing bilingual halves a sequence, so \(prefix)length must be even, not \(length)")
    }
}
