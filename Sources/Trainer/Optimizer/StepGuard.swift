internal import Foundation

/// Decides whether a step's loss and gradient norm may move the weights.
///
/// A value is a finding where it is not finite, or more than ``sigma`` standard deviations above the mean of the last 128
/// steps that were taken. Values of steps that were not taken stay out of the window, and falls are no findings. The window is a
/// part of a run's state; with other data, as in another stage, a new guard begins.
///
/// - SeeAlso: OLMo-core's `SkipStepOptimizer`, whose window, six deviations and half a window of patience these are
///   (<https://github.com/allenai/OLMo-core>, src/olmo_core/optim/skip_step_optimizer.py). It judges falls as well, and keeps
///   skipped steps in its window.
public struct StepGuard: Codable, Sendable, Equatable {
    /// What follows from a finding.
    public enum Policy: String, Codable, Sendable, CaseIterable {
        /// Spikes are not looked for; what is not finite ends the run.
        case off
        /// The run ends.
        case stop
        /// The step is left out.
        case skip
        /// The run goes back to its last checkpoint and leaves out what led here.
        case rollback
    }

    /// A number that a step must not move the weights with.
    public struct Finding: Sendable, Equatable, CustomStringConvertible {
        /// `loss` or `gradient norm`.
        public let what: String
        /// What it is.
        public let value: Double
        /// What the steps before were like; nil where the value is not finite.
        public let before: Before?

        /// Mean and standard deviation of a window.
        public struct Before: Sendable, Equatable {
            /// The mean.
            public let mean: Double
            /// The standard deviation, at least ``StepGuard/leastDeviation`` of the mean.
            public let deviation: Double
        }

        /// How many deviations it is above the mean; infinity where it is not finite.
        public var deviations: Double { before.map { (value - $0.mean) / $0.deviation } ?? .infinity }

        /// The finding in words, as "the loss is 9.71, 14.3 standard deviations above the mean of 2.5".
        public var description: String {
            guard let before else { return "the \(what) is not a finite number" }
            func short(_ number: Double) -> String { String(format: "%.3g", number) }
            return """
                the \(what) is \(short(value)), \(short(deviations)) standard deviations above the mean of \
                \(short(before.mean))
                """
        }
    }

    /// What is to be done with a step.
    public enum Verdict: Sendable, Equatable {
        /// It moves the weights.
        case take
        /// It is left out.
        case skip(Finding)
        /// The run goes back to its last checkpoint and leaves out what led here.
        case rollBack(Finding)
        /// The run ends.
        case stop(Finding)
    }

    /// What follows from a finding.
    public var policy: Policy
    /// How many standard deviations a value may be above the mean.
    public var sigma: Double
    /// How many findings in a row there may be; one more ends the run, since the weights themselves may be broken.
    public var mostInARow: Int
    /// How many findings there were since a step was taken that had not been taken before.
    public private(set) var inARow = 0
    /// How many steps are taken again, after the run went back, before the one at which the last finding was.
    private var again = 0
    /// The last values that moved the weights, the oldest first.
    private var losses: [Double] = []
    private var norms: [Double] = []

    /// How many steps are remembered.
    public static let window = 128
    /// From how many on they are judged by.
    public static let fewest = 64
    /// The least deviation that counts, as a share of the mean: rounding alone moves equal values.
    public static let leastDeviation = 0.01

    /// A guard that has seen nothing.
    public init(_ policy: Policy, sigma: Double = 6, mostInARow: Int = 10) {
        self.policy = policy
        self.sigma = sigma
        self.mostInARow = mostInARow
    }

    /// Judges a step before it moves the weights, and remembers its values where it may.
    ///
    /// - Parameters:
    ///   - loss: the mean loss of its targets, in nats.
    ///   - gradientNorm: the norm of all gradients before clipping.
    /// - Returns: what is to be done with the step; what is found is of the value that is further from its mean.
    public mutating func judge(loss: Double, gradientNorm: Double) -> Verdict {
        let findings = [
            finding("loss", loss, among: losses), finding("gradient norm", gradientNorm, among: norms),
        ].compactMap(\.self)
        guard let worst = findings.max(by: { $0.deviations < $1.deviations }) else {
            if again > 0 { again -= 1 } else { inARow = 0 }
            if policy != .off {
                losses = (losses + [loss]).suffix(Self.window)
                norms = (norms + [gradientNorm]).suffix(Self.window)
            }
            return .take
        }
        inARow += 1
        if inARow > mostInARow { return .stop(worst) }
        return switch policy {
        case .off, .stop: .stop(worst)
        case .skip: .skip(worst)
        case .rollback: .rollBack(worst)
        }
    }

    /// Puts the window back to that of a checkpoint; findings in a row are counted on, so that a run does not go back to
    /// the same place for ever.
    ///
    /// - Parameters:
    ///   - kept: the guard of the checkpoint.
    ///   - steps: how many steps lie between the checkpoint and the one with the finding.
    public mutating func goBack(to kept: StepGuard, retaking steps: Int) {
        (losses, norms) = (kept.losses, kept.norms)
        again += steps
    }

    private func finding(_ what: String, _ value: Double, among values: [Double]) -> Finding? {
        guard value.isFinite else { return Finding(what: what, value: value, before: nil) }
        guard values.count >= Self.fewest else { return nil }
        // In two passes, so that equal values leave no remainder of squares.
        let mean = values.reduce(0, +) / Double(values.count)
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let deviation = max(
            (squares / Double(values.count - 1)).squareRoot(), Self.leastDeviation * abs(mean))
        guard deviation > 0, value - mean > sigma * deviation else { return nil }
        return Finding(what: what, value: value, before: Finding.Before(mean: mean, deviation: deviation))
    }
}
