public import Formats
internal import Models

/// Layers left out.
///
/// Sources: ShortGPT (arXiv 2403.03853) for single layers by block influence; Gromov et al. (arXiv 2403.17887) for a block by
/// angular distance.
public struct Pruning: SurgeryOperation {
    /// `prune`.
    public static let name = "prune"
    /// What it takes.
    public static let parameterList = [
        OperationParameter("to", .integer, "how many layers the result is to have"),
        OperationParameter("drop", .string, "the layers to leave out, as in 24-27,29"),
        OperationParameter("scores", .path, "the file of scores that tells which"),
        OperationParameter("by", .choice(Measure.allCases.map(\.rawValue)), "which scores tell"),
    ]

    /// What tells the layers to leave out, of a file of scores.
    public enum Measure: String, Codable, Sendable, CaseIterable {
        /// The layers with the lowest block influence.
        case blockInfluence = "block-influence"
        /// The one block of neighbouring layers with the smallest angular distance between its ends.
        case angularDistance = "angular-distance"
        /// The layers without which the loss is lowest.
        case loss
        /// The layers that went first when they went one after the other, the rest measured anew after each.
        case iterative
    }

    /// How many layers the result is to have; nil where `drop` says it.
    public var to: Int?
    /// The layers to leave out, as in `24-27,29`.
    public var drop: String?
    /// The file with scores of the layers.
    public var scores: String?
    /// Which scores tell; nil for `iterative` where the file has an order, else for the block influence.
    public var by: Measure?

    private enum CodingKeys: String, CodingKey { case to, drop, scores, by }

    /// A request.
    public init(to: Int? = nil, drop: String? = nil, scores: String? = nil, by: Measure? = nil) {
        self.to = to
        self.drop = drop
        self.scores = scores
        self.by = by
    }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        let count = try source.layers().count
        let choice = try self.choice(of: count, in: source, context)
        let kept = (0..<count).filter { !choice.dropped.contains($0) }
        guard !kept.isEmpty else { throw .nothingLeft(of: count) }
        var outcome = try source.rearranged(try LayerPlan(kept.map { LayerPlan.Layer($0) }, of: count))
        outcome.suffix = "prune-\(kept.count)"
        outcome.warnings = choice.warnings + [Self.limit]
        let names = choice.dropped.sorted().map(String.init).joined(separator: ", ")
        outcome.say("left out", "layers \(names)\(choice.reason.map { ", \($0)" } ?? "")")
        return outcome
    }

    /// What healing brings back and what it does not.
    private static let limit =
        "healing brings back most of what is measured by choosing among answers (about 90 %); arithmetic and generation did not "
        + "come back even after 400 B tokens (arXiv 2602.01997), so measure a generative task, not the loss alone"

    /// Layers to leave out, why these, and what there is to say of it.
    private struct Choice {
        var dropped: Set<Int>
        var reason: String?
        var warnings: [String] = []
    }

    private func choice(
        of count: Int, in source: Checkpoint, _ context: OperationContext
    ) throws(UserFacingError) -> Choice {
        if let drop {
            guard scores == nil, by == nil else { throw .twoChoices }
            let dropped = try LayerPlan.list(drop, of: count)
            if let to, to != count - dropped.count {
                throw .otherPruning(asked: to, listed: dropped.count, count: count)
            }
            return Choice(dropped: Set(dropped))
        }
        guard let to, let path = scores else { throw .noChoice }
        guard to > 0, to < count else { throw .unreachablePruning(from: count, to: to) }
        if context.isDryRun, FileSystem.kind(of: path) == nil {
            return Choice(
                dropped: Set(to..<count), warnings: ["\(path) is not there yet, and the step needs it"])
        }
        let scores = try LayerScores(path: path, layers: count)
        let measure = by ?? scores.mainMeasure
        var choice = Choice(
            dropped: Set(try scores.least(count - to, by: measure)),
            reason: "by \(measure.rawValue) (\(path))")
        guard let model = scores.model else {
            choice.warnings = [
                "\(path) does not say which model was measured; only the number of layers was compared"
            ]
            return choice
        }
        guard try model.fingerprint != source.fingerprint() else { return choice }
        // What was not written yet, or has no weights, cannot be what was measured.
        guard context.isDryRun else { throw .otherModel(path: path) }
        choice.warnings = ["\(path) has scores of another model than there is in this dry run"]
        return choice
    }
}

extension LayerScores {
    /// The layers that matter least.
    func least(_ count: Int, by measure: Pruning.Measure) throws(UserFacingError) -> [Int] {
        // What is no number is the highest of all.
        func lowest(_ scores: [Double?]) -> [Int] {
            let scores = scores.map { $0 ?? .infinity }
            return Array(scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }.prefix(count)).sorted()
        }
        switch measure {
        case .blockInfluence: return lowest(blockInfluence)
        case .loss:
            guard let lossWithout else { throw .unmeasured("the loss without each layer") }
            return lowest(lossWithout)
        case .angularDistance:
            guard angularDistance.indices.contains(count - 1) else {
                throw .unmeasured("blocks of \(count) layers")
            }
            // The last layer stays, as the source has it: what it makes goes straight to the head.
            let distances = angularDistance[count - 1].dropLast()
            guard let first = distances.indices.min(by: { distances[$0] < distances[$1] }) else {
                throw .unmeasured("a block of \(count) layers before the last one")
            }
            return Array(first..<first + count)
        case .iterative:
            guard let removed = iterative?.removed, removed.count >= count else {
                throw .unmeasured("an order in which \(count) layers go, one after the other")
            }
            return removed.prefix(count).sorted()
        }
    }

    /// What tells where nobody says what: the order in which layers went one after the other, where there is one.
    var mainMeasure: Pruning.Measure { iterative == nil ? .blockInfluence : .iterative }
}

extension UserFacingError {
    fileprivate static func nothingLeft(of count: Int) -> Self {
        Self(.request, "all \(count) layers would be left out; keep one at least")
    }

    fileprivate static var twoChoices: Self {
        Self(
            .request,
            "the layers to leave out are given (drop), and scores to choose them by (scores); leave one out")
    }

    fileprivate static var noChoice: Self {
        Self(
            .request,
            "say which layers are left out (drop), or how many stay (to) with a file of scores (scores)"
        )
    }

    fileprivate static func otherPruning(asked: Int, listed: Int, count: Int) -> Self {
        Self(
            .request,
            "without \(listed) layers, \(count) become \(count - listed), not \(asked); leave out the one or the other"
        )
    }

    fileprivate static func unreachablePruning(from count: Int, to target: Int) -> Self {
        Self(.request, "pruning takes layers away: from \(count) it reaches 1 to \(count - 1), not \(target)")
    }

    fileprivate static func otherModel(path: String) -> Self {
        Self(
            .inconsistent,
            "\(path) has scores of another model, whose tensors differ from these in name, type, shape or value; measure this one "
                + "(trainer analyze), or name the layers (drop)")
    }

    fileprivate static func unmeasured(_ what: String) -> Self {
        Self(.missing, "the scores do not have \(what); they have to be measured first")
    }
}
