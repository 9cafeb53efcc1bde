public import Formats
internal import Models

/// New layers that begin as the identity: copies whose writers into the residual stream are zero.
///
/// The result computes what the source computes. Source: LLaMA Pro (arXiv 2401.02415), section 3; where to put them:
/// OpT-DeUS (arXiv 2508.08011) found the middle and the top better than the bottom.
public struct Expansion: SurgeryOperation {
    /// `expand`.
    public static let name = "expand"
    /// What it takes.
    public static let parameterList = [
        OperationParameter("to", .integer, "how many layers the result is to have"),
        OperationParameter(
            "after", .string, "the layers behind each of which a new one goes, as in 15,20-23"),
        OperationParameter("placement", .choice(Placement.allCases.map(\.rawValue)), "where new layers go"),
    ]

    /// Where new layers go.
    public enum Placement: String, Codable, Sendable, CaseIterable {
        /// Evenly through the upper two thirds, and not behind the last layer.
        case upperThirds = "upper-thirds"
        /// Evenly through the upper half, and not behind the last layer, as OpT-DeUS has them.
        case upper
        /// Evenly through all layers, the last one's behind it, as LLaMA Pro has them.
        case even
    }

    /// How many layers the result is to have; nil where `after` says it.
    public var to: Int?
    /// The layers behind each of which a new one goes, as in `15,20-23`; nil for where `placement` says.
    public var after: String?
    /// Where new layers go; nil for the upper two thirds.
    public var placement: Placement?

    private enum CodingKeys: String, CodingKey { case to, after, placement }

    /// A request.
    public init(to: Int? = nil, after: String? = nil, placement: Placement? = nil) {
        self.to = to
        self.after = after
        self.placement = placement
    }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        let count = try source.layers().count
        let places = Set(try places(in: count))
        var layers: [LayerPlan.Layer] = []
        for index in 0..<count {
            layers.append(LayerPlan.Layer(index))
            guard places.contains(index) else { continue }
            var block = LayerPlan.Layer(index)
            block.zeroesWriters = true
            layers.append(block)
        }
        var outcome = try source.rearranged(try LayerPlan(layers, of: count))
        outcome.suffix = "expand-\(layers.count)"
        outcome.say(
            "new layers", "\(places.count), which compute nothing yet: the result is the source's exactly")
        return outcome
    }

    /// The layers behind which a new one goes.
    func places(in count: Int) throws(UserFacingError) -> [Int] {
        if let after {
            guard placement == nil else { throw .twoPlacements }
            let places = try LayerPlan.list(after, of: count)
            if let to, to != count + places.count {
                throw .otherExpansion(asked: to, listed: places.count, count: count)
            }
            return places
        }
        guard let to else { throw .noExpansion }
        let candidates =
            switch placement ?? .upperThirds {
            case .upperThirds: Array((count + 2) / 3..<max(count - 1, (count + 2) / 3))
            case .upper: Array(max(count / 2 - 1, 0)..<max(count - 1, 0))
            case .even: Array(0..<count)
            }
        let new = to - count
        guard new > 0, new <= candidates.count else {
            throw .unreachableExpansion(from: count, to: to, most: count + candidates.count)
        }
        // The last of each of as many equal parts.
        return (1...new).map { candidates[$0 * candidates.count / new - 1] }
    }
}

extension UserFacingError {
    fileprivate static var twoPlacements: Self {
        Self(.request, "the places are given (after), and a way to choose them (placement); leave one out")
    }

    fileprivate static var noExpansion: Self {
        Self(
            .request,
            "say how many layers the result is to have (to), or behind which layers new ones go (after)")
    }

    fileprivate static func otherExpansion(asked: Int, listed: Int, count: Int) -> Self {
        Self(
            .request,
            "\(listed) new layers make \(count + listed) of \(count), not \(asked); leave out the one or the other"
        )
    }

    package static func unreachableExpansion(from count: Int, to target: Int, most: Int) -> Self {
        Self(
            .request,
            most > count
                ? "with one new layer behind each, \(count) layers become \(count + 1) to \(most) there, not \(target)"
                : "\(count) layers leave no place there for new ones; name one, as in --after \(max(count - 1, 0))"
        )
    }
}
