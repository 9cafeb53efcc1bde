/// How far a set of texts has come back from what a surgery did to it; all numbers are bits per byte.
public struct HealedShare: Codable, Sendable, Equatable {
    /// What the model needed right after the surgery.
    public var raw: Double
    /// What it needs now.
    public var now: Double
    /// What the model before the surgery needs.
    public var parent: Double

    /// A set before and after.
    public init(raw: Double, now: Double, parent: Double) {
        self.raw = raw
        self.now = now
        self.parent = parent
    }

    /// How much of the damage is undone, in per cent: 0 right after the surgery, 100 where the model is as good as its
    /// parent, more where it is better, negative where it became worse.
    ///
    /// Nil where the model was as good as its parent from the start: the surgery did no damage, or copied layers fade in.
    public var percent: Double? {
        raw > parent && !isAsGood(raw) ? 100 * (raw - now) / (raw - parent) : nil
    }

    /// How much more the model needs than its parent, in per cent; nil where it is as good.
    public var percentWorse: Double? {
        now > parent && parent > 0 && !isAsGood(now) ? 100 * (now / parent - 1) : nil
    }

    /// Whether the model is as good as its parent.
    public var isHealed: Bool { isAsGood(now) }

    /// Whether a figure is the parent's or below, but for rounding.
    ///
    /// The same numbers that are added up in other parts, or on another processor, differ by some 1e-8 to 1e-6 of what they are.
    private func isAsGood(_ figure: Double) -> Bool { figure <= parent * (1 + Self.rounding) }

    /// Up to which share of the parent's figure a difference is rounding; `ROUNDING` of rules.py has the same.
    static let rounding = 1e-5
}

extension Collection where Element == HealedShare {
    /// Whether a run is healed by the sets that count: each is as good as the parent's, and there is one.
    public var isHealed: Bool { !isEmpty && allSatisfy(\.isHealed) }
}

/// Ends a run that has stopped to improve: after so many evaluations that are no better than the best.
///
/// A model that goes over to other data gets worse before it gets better, the stability gap
/// (<https://arxiv.org/abs/2406.14833>). So evaluations count only once the mean of the sets has come back to what it was before
/// the first step, or half of the run is over.
public struct Patience: Codable, Sendable, Equatable {
    /// How many evaluations in a row may be no better than the best, 1 or more.
    public var evaluations: Int
    /// The mean before the first step; nil before it is known.
    private var start: Double?
    /// The lowest mean since evaluations count; nil before they do.
    private var best: Double?
    /// Evaluations since it.
    private var waited = 0

    /// Patience that has seen nothing.
    public init(evaluations: Int) { self.evaluations = evaluations }

    /// Hears of an evaluation.
    ///
    /// The first is that before the first step.
    ///
    /// - Parameters:
    ///   - bitsPerByte: what the sets need, the same sets each time; without any, nothing ever ends.
    ///   - step: steps that are done.
    ///   - steps: all steps of the run.
    /// - Returns: whether the run should end.
    public mutating func isOver(bitsPerByte: [Double], after step: Int, of steps: Int) -> Bool {
        guard !bitsPerByte.isEmpty else { return false }
        let mean = bitsPerByte.reduce(0, +) / Double(bitsPerByte.count)
        guard let start else {
            start = mean
            return false
        }
        guard let best else {
            if mean <= start || 2 * step >= steps { best = mean }
            return false
        }
        waited = mean < best ? 0 : waited + 1
        if mean < best { self.best = mean }
        return waited >= evaluations
    }
}
