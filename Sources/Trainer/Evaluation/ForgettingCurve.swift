/// What a run forgot of its old domain for what it learned of the new one, evaluation by evaluation.
///
/// Two runs are compared at equal adaptation, since one that learns less also forgets less.
public struct ForgettingCurve: Sendable, Equatable {
    /// An evaluation; both numbers are bits per byte.
    public struct Point: Sendable, Equatable {
        /// What the new domain needs: the adaptation, the lower the better.
        public var newDomain: Double
        /// By how much what the old domain needs has risen since the run began; negative where it fell.
        public var forgetting: Double

        /// An evaluation.
        public init(newDomain: Double, forgetting: Double) {
            self.newDomain = newDomain
            self.forgetting = forgetting
        }
    }

    /// The evaluations in the order of the run.
    public var points: [Point]

    /// The curve of a run.
    public init(_ points: [Point]) { self.points = points }

    /// What was forgotten when the new domain first needed so many bits per byte, on the line between two evaluations.
    ///
    /// - Returns: nil where the run began with fewer or never came so low.
    public func forgetting(at bitsPerByte: Double) -> Double? {
        guard let first = points.first, first.newDomain >= bitsPerByte,
            let index = points.firstIndex(where: { $0.newDomain <= bitsPerByte })
        else { return nil }
        let reached = points[index]
        guard index > 0, reached.newDomain < bitsPerByte else { return reached.forgetting }
        let before = points[index - 1]
        let way = (before.newDomain - bitsPerByte) / (before.newDomain - reached.newDomain)
        return before.forgetting + way * (reached.forgetting - before.forgetting)
    }

    /// What two runs have forgotten where they have learned the same.
    public struct Comparison: Sendable, Equatable {
        /// The bits per byte of the new domain at which they are compared.
        public var newDomain: Double
        /// What each has forgotten there.
        public var forgetting: Double, other: Double
    }

    /// Compares with another run where both have learned the same.
    ///
    /// - Parameters:
    ///   - other: the other run.
    ///   - bitsPerByte: of the new domain; nil for the lowest that both have reached.
    /// - Returns: nil where a run was never there.
    public func compared(with other: ForgettingCurve, at bitsPerByte: Double? = nil) -> Comparison? {
        let lowest = [self, other].compactMap { $0.points.map(\.newDomain).min() }
        guard lowest.count == 2, let at = bitsPerByte ?? lowest.max(), let own = forgetting(at: at),
            let others = other.forgetting(at: at)
        else { return nil }
        return Comparison(newDomain: at, forgetting: own, other: others)
    }
}
