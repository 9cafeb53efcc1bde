public import Formats

/// After which steps of a run its sets are evaluated; before the first and after the last always.
public enum EvaluationSchedule: Codable, Sendable, Equatable, CustomStringConvertible {
    /// After these percentages of the steps, each from 0 to 100.
    case percentages([Double])
    /// After every so many steps, 1 or more.
    case every(Int)

    /// Often at first, when a healing moves most.
    public static let usual = percentages([0, 1, 2, 5, 10, 20, 50, 100])

    /// In words, as in `every 50 steps`.
    public var description: String {
        switch self {
        case .percentages(let list): "after \(list.map(Units.plain).joined(separator: ", ")) %"
        case .every(let steps): "every \(steps) steps"
        }
    }

    /// Refuses percentages and numbers of steps that can't be.
    ///
    /// - Throws: ``UserFacingError`` that names the number.
    public func check() throws(UserFacingError) {
        switch self {
        case .percentages(let percentages):
            for percentage in percentages where !(0...100).contains(percentage) {
                throw UserFacingError(
                    .request, "sets are evaluated after 0 to 100 % of the steps, not after \(percentage)")
            }
        case .every(let count):
            guard count > 0 else {
                throw UserFacingError(
                    .request, "sets are evaluated every 1 or more steps, not every \(count)")
            }
        }
    }

    /// The numbers of steps after which sets are evaluated in a run of `count` steps, from 0 on, each once.
    public func steps(of count: Int) -> [Int] {
        let inner: [Int] =
            switch self {
            case .percentages(let percentages):
                percentages.map { Int((Double(count) * $0 / 100).rounded()) }
            case .every(let steps): Array(stride(from: steps, to: count, by: steps))
            }
        return Set(inner + [0, count]).sorted()
    }
}
