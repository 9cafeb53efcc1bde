public import Formats
internal import Models

/// Depth Up-Scaling: copies of a model's layers, one above the other, trimmed where they meet.
///
/// Source: SOLAR 10.7B (arXiv 2312.15166), section 2: of n layers, s = 2(n − m): without the last m of the first
/// copy and the first m of the second.
public struct DepthUpScaling: SurgeryOperation {
    /// `dus`.
    public static let name = "dus"
    /// What it takes.
    public static let parameterList = [
        OperationParameter(
            "from", .integer, "how many layers the model has, to be sure that it is the right one"),
        OperationParameter("to", .integer, "how many layers the result is to have", isRequired: true),
        OperationParameter("keep-first", .integer, "how many of the first layers the lower copy keeps"),
        OperationParameter("keep-last", .integer, "how many of the last layers the upper copy keeps"),
        OperationParameter(
            "noise", .number, "the share of noise in the matrices of repeated layers, 0 to 0.2"),
        OperationParameter("seed", .integer, "what the noise follows from"),
        OperationParameter("budget", .integer, "how many tokens of healing are planned"),
    ]

    /// How many layers the user believes the model has; nil for whatever it has.
    public var from: Int?
    /// How many layers the result is to have.
    public var to: Int
    /// How many of the first layers to keep; nil for half of the result.
    public var keepFirst: Int?
    /// How many of the last layers to keep; nil for half of the result.
    public var keepLast: Int?
    /// The share of noise in the copies' matrices, from 0 to 0.2; nil for none.
    public var noise: Float?
    /// What the noise follows from; nil for 0.
    public var seed: UInt64?
    /// How many tokens of healing are planned; nil where nobody said.
    public var budget: Int?

    private enum CodingKeys: String, CodingKey {
        case from, to, noise, seed, budget
        case keepFirst = "keep-first"
        case keepLast = "keep-last"
    }

    /// A request.
    public init(
        from: Int? = nil, to: Int, keepFirst: Int? = nil, keepLast: Int? = nil, noise: Float? = nil,
        seed: UInt64? = nil, budget: Int? = nil
    ) {
        self.from = from
        self.to = to
        self.keepFirst = keepFirst
        self.keepLast = keepLast
        self.noise = noise
        self.seed = seed
        self.budget = budget
    }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        guard seed == nil || noise ?? 0 != 0 else { throw .seedWithoutNoise }
        let count = try source.layers().count
        if let from, from != count {
            throw .otherLayerCount(path: source.path, asked: from, found: count)
        }
        let plan = try LayerPlan.depthUpScaling(from: count, to: to, keepFirst: keepFirst, keepLast: keepLast)
        var outcome = try source.rearranged(plan)
        if let noise, noise != 0 {
            guard (0...LayerNoise.most).contains(noise) else { throw .tooNoisy(noise) }
            try outcome.addNoise(noise, seed: seed ?? 0, to: plan)
        }
        outcome.suffix = "dus-\(to)"
        outcome.advise(HealingBudget(of: source, outcome.checkpoint, tokens: budget))
        return outcome
    }
}

extension Checkpoint {
    /// The model with more layers, by Depth Up-Scaling (arXiv 2312.15166).
    ///
    /// - Parameter request: how many layers, and which.
    /// - Returns: the result, not written yet.
    /// - Throws: ``UserFacingError`` when the model has other layers than the request says, the request can't be
    ///   reached, or the configuration can't follow. Nothing has been written then.
    public func depthUpScaled(_ request: DepthUpScaling) throws(UserFacingError) -> Outcome {
        try applying(request)
    }
}

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

// MARK: - Errors

extension UserFacingError {
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

    /// A seed that nothing follows from.
    fileprivate static var seedWithoutNoise: Self {
        Self(.request, "--seed decides the noise of copies; give --noise, too, or leave it out")
    }

    /// More noise than has been found to do good.
    package static func tooNoisy(_ share: Float) -> Self {
        Self(
            .request,
            "--noise \(share): give a share from 0 to \(LayerNoise.most); more was found to do harm "
                + "(arXiv 2405.15319, appendix I)")
    }
}
