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
    }

    /// How many layers the result is to have; nil where `drop` says it.
    public var to: Int?
    /// The layers to leave out, as in `24-27,29`.
    public var drop: String?
    /// The file with scores of the layers.
    public var scores: String?
    /// Which scores tell; nil for the block influence.
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
        var warnings: [String] = []
        var dropped: Set<Int>
        if context.isDryRun, let scores, let to, drop == nil, FileSystem.kind(of: scores) == nil {
            warnings.append("\(scores) is not there yet, and the step needs it")
            dropped = Set(max(to, 0)..<max(count, to))
        } else {
            dropped = Set(try self.dropped(of: count))
        }
        let kept = (0..<count).filter { !dropped.contains($0) }
        guard !kept.isEmpty else { throw .nothingLeft(of: count) }
        var outcome = try source.rearranged(try LayerPlan(kept.map { LayerPlan.Layer($0) }, of: count))
        outcome.suffix = "prune-\(kept.count)"
        outcome.warnings = warnings
        outcome.say("left out", "layers \(dropped.sorted().map(String.init).joined(separator: ", "))")
        outcome.say(
            "healing",
            "brings back most of what is measured by choosing among answers; arithmetic and other tasks of many steps did not "
                + "come back even after 400 B tokens (arXiv 2602.01997): measure such a task, not the loss alone"
        )
        return outcome
    }

    /// The layers to leave out.
    func dropped(of count: Int) throws(UserFacingError) -> [Int] {
        if let drop {
            guard scores == nil, by == nil else { throw .twoChoices }
            let dropped = try LayerPlan.list(drop, of: count)
            if let to, to != count - dropped.count {
                throw .otherPruning(asked: to, listed: dropped.count, count: count)
            }
            return dropped
        }
        guard let to, let scores else { throw .noChoice }
        guard to > 0, to < count else { throw .unreachablePruning(from: count, to: to) }
        return try LayerScores(path: scores, layers: count).least(count - to, by: by ?? .blockInfluence)
    }
}

/// What was measured of a model's layers.
struct LayerScores: Decodable {
    /// Of each layer: 1 − the mean cosine between what enters it and what leaves it.
    let blockInfluence: [Double]
    /// Of each number of neighbouring layers, from 1: for each first layer, the angle between what enters and what leaves, in
    /// parts of π.
    let angularDistance: [[Double]]
    /// Of each layer: the loss without it.
    let lossWithout: [Double]?

    private enum CodingKeys: String, CodingKey {
        case blockInfluence = "block_influence"
        case angularDistance = "angular_distance"
        case lossWithout = "loss_without"
    }

    /// Reads a file of scores.
    ///
    /// - Throws: ``UserFacingError`` when it is not one, or of a model with another number of layers.
    init(path: String, layers: Int) throws(UserFacingError) {
        let json = try JSON.read(path: path)
        do { self = try json.decoded(as: LayerScores.self) } catch {
            throw .noScores(path: path)
        }
        guard blockInfluence.count == layers, angularDistance.first?.count == layers,
            lossWithout.map({ $0.count == layers }) ?? true
        else { throw .otherScores(path: path, found: blockInfluence.count, layers: layers) }
    }

    /// The layers that matter least.
    func least(_ count: Int, by measure: Pruning.Measure) throws(UserFacingError) -> [Int] {
        func lowest(_ scores: [Double]) -> [Int] {
            Array(scores.indices.sorted { (scores[$0], $0) < (scores[$1], $1) }.prefix(count)).sorted()
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
        }
    }
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

    fileprivate static func noScores(path: String) -> Self {
        Self(
            .malformed,
            "\(path) holds no scores of layers: block_influence, a number a layer, and angular_distance, a list of them for "
                + "blocks of each length, are expected")
    }

    fileprivate static func otherScores(path: String, found: Int, layers: Int) -> Self {
        Self(.inconsistent, "\(path) has scores of \(found) layers, and the model has \(layers)")
    }

    fileprivate static func unmeasured(_ what: String) -> Self {
        Self(.missing, "the scores do not have \(what); they have to be measured first")
    }
}
