public import Formats

/// Why layers can't be arranged as asked.
public enum LayerPlanError: UserFacingError, Equatable {
    /// A run of layers that the source does not have.
    case outside(run: Range<Int>, from: Int)
    /// A number of layers that up-scaling can't give.
    case unreachable(from: Int, to: Int)
    /// A number of layers that two copies can't give.
    case unreachableWithTwo(from: Int, to: Int)
    /// First and last layers that do not make the number asked for.
    case keeping(first: Int?, last: Int?, from: Int, to: Int)

    /// The command line is wrong.
    public var fault: Fault { .usage }

    /// One sentence with the numbers that would do.
    public var description: String {
        switch self {
        case .outside(let run, let count):
            return "layers \(run.lowerBound)..<\(run.upperBound) are asked of a model that has 0..<\(count)"
        case .unreachable(let count, let target):
            let most = count.multipliedReportingOverflow(by: LayerPlan.mostCopies)
            guard count > 0, !most.overflow else { return "a model without layers can't be up-scaled" }
            return
                "depth up-scaling adds layers: from \(count) it reaches \(count + 1) to \(most.partialValue), "
                + "not \(target)"
        case .unreachableWithTwo(let count, let target):
            return
                "the first and the last layers of \(count) make \(count + 1) to \(2 * count), not \(target)"
        case .keeping(let first, let last, let count, let target):
            let asked = [first.map { "the first \($0)" }, last.map { "the last \($0)" }].compactMap(\.self)
            return "\(asked.joined(separator: " and ")) of \(count) layers can't make \(target): "
                + "the two numbers have to add up to \(target) and be \(target - count) to \(count) each"
        }
    }
}
