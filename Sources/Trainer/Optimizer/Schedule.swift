internal import Foundation

/// The learning rate's course, as a share of its peak.
public struct Schedule: Codable, Sendable, Equatable {
    /// What follows the warm-up.
    public enum Shape: String, Codable, Sendable, CaseIterable {
        /// The peak to the end.
        case constant
        /// Half a cosine wave down to the floor (<https://arxiv.org/abs/1608.03983>).
        case cosine
        /// Evenly down to the floor.
        case linear
        /// The peak, and in the last part down to the floor by 1 − √: warm-up, stable, decay
        /// (<https://arxiv.org/abs/2405.18392>, section 3).
        case wsd
    }

    /// What follows the warm-up.
    public var shape: Shape
    /// Steps in which the rate rises evenly to its peak.
    public var warmup: Int
    /// All steps of the run.
    public var steps: Int
    /// What is left of the peak at the end, from 0 to 1.
    public var floor: Double
    /// The part of all steps in which `wsd` falls, from 0 to 1.
    public var decayShare: Double

    /// A course of `steps` steps.
    public init(shape: Shape, warmup: Int, steps: Int, floor: Double, decayShare: Double = 0.2) {
        self.decayShare = decayShare
        self.shape = shape
        self.warmup = warmup
        self.steps = steps
        self.floor = floor
    }

    /// The share of the peak rate at `step`, which counts from 0.
    public func factor(at step: Int) -> Double {
        if step < warmup { return Double(step + 1) / Double(warmup) }
        func progress(from start: Int) -> Double {
            min(1, max(0, Double(step - start) / Double(max(1, steps - start))))
        }
        let height =
            switch shape {
            case .constant: 1.0
            case .cosine: (1 + cos(.pi * progress(from: warmup))) / 2
            case .linear: 1 - progress(from: warmup)
            case .wsd: 1 - progress(from: decayStart).squareRoot()
            }
        return shape == .constant ? 1 : floor + (1 - floor) * height
    }

    /// The step at which `wsd` begins to fall: a run that was kept before it may become any longer.
    private var decayStart: Int {
        max(warmup, steps - Int((Double(steps) * decayShare).rounded()))
    }
}
