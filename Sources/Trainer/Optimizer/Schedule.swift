internal import Foundation

/// The learning rate's course, as a share of its peak.
public struct Schedule: Codable, Sendable, Equatable {
    /// What follows the warm-up.
    public enum Shape: String, Codable, Sendable, CaseIterable {
        /// The peak to the end.
        case constant
        /// Half a cosine wave down to the floor (<https://arxiv.org/abs/1608.03983>).
        case cosine
    }

    /// What follows the warm-up.
    public var shape: Shape
    /// Steps in which the rate rises evenly to its peak.
    public var warmup: Int
    /// All steps of the run.
    public var steps: Int
    /// What is left of the peak at the end, from 0 to 1.
    public var floor: Double

    /// A course of `steps` steps.
    public init(shape: Shape, warmup: Int, steps: Int, floor: Double) {
        self.shape = shape
        self.warmup = warmup
        self.steps = steps
        self.floor = floor
    }

    /// The share of the peak rate at `step`, which counts from 0.
    public func factor(at step: Int) -> Double {
        if step < warmup { return Double(step + 1) / Double(warmup) }
        switch shape {
        case .constant: return 1
        case .cosine:
            let progress = Double(step - warmup) / Double(max(1, steps - warmup))
            return floor + (1 - floor) / 2 * (1 + cos(.pi * min(1, progress)))
        }
    }
}
