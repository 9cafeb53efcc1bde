package import Formats

// Why layers can't be arranged as asked.
extension UserFacingError {
    /// A run of layers that the source does not have.
    package static func layersOutside(run: Range<Int>, from count: Int) -> Self {
        Self(
            .request,
            "layers \(run.lowerBound)..<\(run.upperBound) are asked of a model that has 0..<\(count)")
    }

    /// A number of layers that up-scaling can't give.
    package static func unreachableDepth(from count: Int, to target: Int) -> Self {
        let most = count.multipliedReportingOverflow(by: LayerPlan.mostCopies)
        guard count > 0, !most.overflow else {
            return Self(.request, "a model without layers can't be up-scaled")
        }
        return Self(
            .request,
            "depth up-scaling adds layers: from \(count) it reaches \(count + 1) to \(most.partialValue), "
                + "not \(target)")
    }

    /// A number of layers that two copies can't give.
    package static func unreachableWithTwoRuns(from count: Int, to target: Int) -> Self {
        Self(
            .request,
            "the first and the last layers of \(count) make \(count + 1) to \(2 * count), not \(target)")
    }

    /// First and last layers that do not make the number asked for.
    package static func cannotKeep(first: Int?, last: Int?, from count: Int, to target: Int) -> Self {
        let asked = [first.map { "the first \($0)" }, last.map { "the last \($0)" }].compactMap(\.self)
        return Self(
            .request,
            "\(asked.joined(separator: " and ")) of \(count) layers can't make \(target): "
                + "the two numbers have to add up to \(target) and be \(target - count) to \(count) each")
    }
}
