public import Formats

/// Depth Up-Scaling: copies of a model's layers, one above the other, trimmed where they meet.
///
/// Source: SOLAR 10.7B (arXiv 2312.15166), section 2: of n layers, s = 2(n − m): without the last m of the first
/// copy and the first m of the second.
extension LayerPlan {
    /// The most copies of the source's layers that a result may be made of.
    public static let mostCopies = 16

    /// The plan for `count` layers made of as few copies as that takes.
    ///
    /// Two copies do up to twice the layers. Each place where two copies meet loses the same number of layers, half
    /// of them from the end of the lower copy and half from the start of the upper one. When the number is odd, the
    /// upper copy loses one more; when it does not divide by the places, the lower places lose one more.
    ///
    /// - Parameters:
    ///   - sourceCount: how many layers the source has, n.
    ///   - count: how many layers the result is to have, s.
    /// - Returns: the plan, with a run a copy.
    /// - Throws: ``UserFacingError`` when n layers can't be up-scaled to s.
    public static func depthUpScaling(from sourceCount: Int, to count: Int) throws(UserFacingError)
        -> LayerPlan
    {
        let limit = sourceCount.multipliedReportingOverflow(by: mostCopies)
        guard sourceCount > 0, count > sourceCount, !limit.overflow, count <= limit.partialValue else {
            throw .unreachableDepth(from: sourceCount, to: count)
        }
        let copies = (count + sourceCount - 1) / sourceCount
        let seams = copies - 1
        let surplus = copies * sourceCount - count
        var runs: [Range<Int>] = []
        var start = 0
        for seam in 0..<seams {
            let lost = surplus / seams + (seam < surplus % seams ? 1 : 0)
            runs.append(start..<sourceCount - lost / 2)
            start = lost - lost / 2
        }
        runs.append(start..<sourceCount)
        return try LayerPlan(runs: runs, of: sourceCount)
    }

    /// The plan for `count` layers made of the source's first layers and then of its last ones.
    ///
    /// Yi-9B's 48 layers of 32, of which it repeats 12 to 27, are the first 28 and the last 20.
    ///
    /// - Parameters:
    ///   - sourceCount: how many layers the source has.
    ///   - count: how many layers the result is to have.
    ///   - first: how many of the source's first layers to keep; nil for what `last` leaves.
    ///   - last: how many of the source's last layers to keep; nil for what `first` leaves.
    /// - Returns: the plan, with two runs.
    /// - Throws: ``UserFacingError`` when the two do not make `count` layers.
    public static func depthUpScaling(
        from sourceCount: Int, to count: Int, keepFirst first: Int?, keepLast last: Int?
    ) throws(UserFacingError) -> LayerPlan {
        guard first != nil || last != nil else { return try depthUpScaling(from: sourceCount, to: count) }
        guard sourceCount > 0, count > sourceCount, count <= 2 * sourceCount else {
            throw .unreachableWithTwoRuns(from: sourceCount, to: count)
        }
        let lower = first ?? count - (last ?? 0)
        let upper = last ?? count - (first ?? 0)
        let possible = 1...sourceCount
        guard possible.contains(lower), possible.contains(upper), lower + upper == count else {
            throw .cannotKeep(first: first, last: last, from: sourceCount, to: count)
        }
        return try LayerPlan(runs: [0..<lower, sourceCount - upper..<sourceCount], of: sourceCount)
    }
}
