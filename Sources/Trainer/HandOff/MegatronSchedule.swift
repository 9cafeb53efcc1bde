internal import Foundation

/// A learning rate's course in Megatron's words, which NeMo AutoModel has taken over: shares of the peak.
///
/// It is what `OptimizerParamScheduler.get_lr` computes for the styles `constant` and `WSD` (megatron-core 0.16,
/// `optimizer_param_scheduler.py`): a line from ``first`` to 1 in ``warmup`` steps, the peak, and at the end a curve down to
/// ``least``. Its other curves are `WSD` as well, whose end then begins behind the warm-up.
struct MegatronSchedule: Equatable {
    /// How it falls at the end.
    enum End: String, CaseIterable { case linear, cosine, sqrt = "minus_sqrt" }

    var warmup = 0, first = 1.0
    /// With which step it has come to ``least``.
    var steps = 1, least = 0.0
    /// How it falls, and in how many steps; nil where it does not.
    var end: End?, endSteps = 1

    /// What Megatron calls it.
    var style: String { end == nil ? "constant" : "WSD" }

    /// The share of the peak at a step, which counts from 0.
    func factor(at step: Int) -> Double {
        if warmup > 0 && step <= warmup { return first + (1 - first) * Double(step) / Double(warmup) }
        return least + (1 - least) * left(at: step)
    }

    /// What is left of the way from 1 to ``least``.
    private func left(at step: Int) -> Double {
        let way = min(1, max(0, Double(step - (steps - endSteps)) / Double(endSteps)))
        return switch end {
        case nil: 1
        case .linear: 1 - way
        case .cosine: (1 + cos(.pi * way)) / 2
        case .sqrt: 1 - way.squareRoot()
        }
    }

    /// The course that comes nearest to some shares, and the step at which it is farthest off.
    ///
    /// - Parameter factors: the share of each step, one at least.
    /// - Returns: the course, how far it is off at most, and at which step.
    static func nearest(to factors: [Double]) -> (schedule: MegatronSchedule, deviation: Double, step: Int) {
        let steps = factors.count
        let isPeak: (Double) -> Bool = { $0 >= 1 - 1e-9 }
        let (warmup, fall) = (factors.firstIndex(where: isPeak) ?? 0, factors.lastIndex(where: isPeak) ?? 0)
        var best = (schedule: MegatronSchedule(), deviation: Double.infinity, step: 0)
        let ends: [End?] = [nil] + End.allCases
        for end in ends {
            var one = MegatronSchedule(
                warmup: warmup, first: warmup == 0 ? 1 : factors[0], steps: max(steps, warmup + 1), end: end)
            one.endSteps = max(1, one.steps - fall)
            // The floor follows from the last step, where something is left of the way.
            let left = one.left(at: steps - 1)
            if left < 1 { one.least = min(1, max(0, (factors[steps - 1] - left) / (1 - left))) }
            let distances = factors.enumerated().map { abs(one.factor(at: $0) - $1) }
            let farthest = distances.max() ?? 0
            if farthest < best.deviation { best = (one, farthest, distances.firstIndex(of: farthest) ?? 0) }
        }
        return best
    }
}
