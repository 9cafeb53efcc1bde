internal import Formats

/// What of a run becomes its result.
public enum RunResult: String, Codable, Sendable, CaseIterable {
    /// The weights after the last step.
    case last
    /// The weights after the evaluation at which the sets needed the fewest bits per byte.
    case best
    /// The running average of the weights over the last stage.
    case average
}

/// A time as people write it: `90s`, `45m`, `3h30m`, `2d`.
struct RunTime: Sendable, Equatable {
    /// How long it is.
    let seconds: Double

    /// Reads a time.
    ///
    /// - Parameters:
    ///   - text: numbers of days, hours, minutes and seconds, in that order.
    ///   - name: what the time is of, for messages.
    /// - Throws: ``UserFacingError`` for anything else, and for no time at all.
    init(_ text: String, of name: String) throws(UserFacingError) {
        let match = text.wholeMatch(of: /(?:(\d{1,6})d)?(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?/)
        let parts = match.map { [$0.1, $0.2, $0.3, $0.4].map { $0.flatMap { Double($0) } ?? 0 } } ?? []
        seconds = zip(parts, [86_400, 3_600, 60, 1]).reduce(0) { $0 + $1.0 * $1.1 }
        guard seconds > 0 else {
            throw UserFacingError(.request, "\(name) is a time as in 90s, 45m or 3h30m, not '\(text)'")
        }
    }
}
