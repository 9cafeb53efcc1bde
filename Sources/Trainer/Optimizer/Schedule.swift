public import Formats
internal import Foundation

/// The learning rate's course, as a share of its peak: pieces that follow each other.
///
/// What is kept is the description, since the number of steps is known late; ``pieces`` follow from it.
public struct Schedule: Codable, Sendable, Equatable {
    /// What the course is.
    public enum Shape: String, Codable, Sendable, CaseIterable {
        /// A warm-up, then the peak to the end.
        case constant
        /// A warm-up, then half a cosine wave down to the floor (<https://arxiv.org/abs/1608.03983>).
        case cosine
        /// A warm-up, then evenly down to the floor.
        case linear
        /// A warm-up, then the peak, and in the last part down to the floor by 1 − √: warm-up, stable, decay
        /// (<https://arxiv.org/abs/2405.18392>, section 3).
        case wsd
        /// A warm-up, half a cosine wave down to a rate that is held, and in the last part down to the floor by 1 − √
        /// (<https://arxiv.org/abs/2403.08763>, on schedules without an end).
        case infinite
        /// The decay of `wsd` alone, from the peak over the whole run.
        case sqrt
        /// The pieces of ``Schedule/joined``.
        case joined

        /// Whether a warm-up comes first.
        public var hasWarmup: Bool { self != .sqrt && self != .joined }
    }

    /// A part of the course.
    public struct Piece: Sendable, Equatable {
        /// How a piece goes from one share to another.
        public enum Shape: String, Sendable, CaseIterable {
            /// It stays.
            case constant
            /// Evenly.
            case linear
            /// By half a cosine wave: slowly at both ends.
            case cosine
            /// By the root of the steps that are done: fast at first.
            case sqrt
        }

        /// How it goes.
        public var shape: Shape
        /// Steps, 0 or more.
        public var steps: Int
        /// The shares of the peak between which it goes, from 0 to 1.
        public var from: Double, to: Double

        /// The share of the peak at a step, which counts from 0 at the piece's first.
        ///
        /// A piece that falls begins at ``from`` and comes to ``to`` with the step behind its last; one that rises comes to
        /// ``to`` with its last. So no step is lost at a rate of 0.
        public func factor(at step: Int) -> Double {
            let done = Double(to > from ? step + 1 : step) / Double(max(1, steps))
            let way = min(1, max(0, done))
            let (gone, left) =
                switch shape {
                case .constant: (0.0, 1.0)
                case .linear: (way, 1 - way)
                case .cosine: ((1 - cos(.pi * way)) / 2, (1 + cos(.pi * way)) / 2)
                case .sqrt: (way.squareRoot(), 1 - way.squareRoot())
                }
            return to > from ? from + (to - from) * gone : to + (from - to) * left
        }
    }

    /// What the course is.
    public var shape: Shape
    /// Steps in which the rate rises evenly to its peak, where the shape has a warm-up.
    public var warmup: Int
    /// The share of the peak from which it rises, from 0 to 1.
    public var warmupFrom: Double
    /// All steps of the run.
    public var steps: Int
    /// What is left of the peak at the end, from 0 to 1.
    public var floor: Double
    /// The part of all steps in which `wsd` and `infinite` fall at the end, from 0 to 1.
    public var decayShare: Double
    /// The part of all steps in which `infinite` falls to the rate that is held, from 0 to 1.
    public var cooldownShare: Double
    /// What `infinite` holds, as a share of the peak.
    public var holdRatio: Double
    /// What `joined` is made of.
    public var joined: [PieceRule]

    /// A course of `steps` steps.
    public init(
        shape: Shape, warmup: Int, warmupFrom: Double = 0, steps: Int, floor: Double,
        decayShare: Double = 0.2,
        cooldownShare: Double = 0.25, holdRatio: Double = 0.55, joined: [PieceRule] = []
    ) {
        self.shape = shape
        self.warmup = warmup
        self.warmupFrom = warmupFrom
        self.steps = steps
        self.floor = floor
        self.decayShare = decayShare
        self.cooldownShare = cooldownShare
        self.holdRatio = holdRatio
        self.joined = joined
    }

    /// The share of the peak rate at `step`, which counts from 0.
    public func factor(at step: Int) -> Double {
        var step = step
        let pieces = pieces
        for piece in pieces.dropLast() {
            if step < piece.steps { return piece.factor(at: step) }
            step -= piece.steps
        }
        return pieces.last?.factor(at: step) ?? 1
    }

    /// What the course is made of, in order; the last piece holds its end.
    public var pieces: [Piece] {
        let rise = Piece(shape: .linear, steps: warmup, from: warmupFrom, to: 1)
        func rest(_ shape: Piece.Shape, to end: Double) -> Piece {
            Piece(shape: shape, steps: max(0, steps - warmup), from: 1, to: end)
        }
        switch shape {
        case .constant: return [rise, rest(.constant, to: 1)]
        case .cosine: return [rise, rest(.cosine, to: floor)]
        case .linear: return [rise, rest(.linear, to: floor)]
        case .wsd:
            return [
                rise, Piece(shape: .constant, steps: decayStart - warmup, from: 1, to: 1), decay(from: 1),
            ]
        case .infinite:
            let cooldown = min(share(cooldownShare), decayStart - warmup)
            return [
                rise, Piece(shape: .cosine, steps: cooldown, from: 1, to: holdRatio),
                Piece(
                    shape: .constant, steps: decayStart - warmup - cooldown, from: holdRatio, to: holdRatio),
                decay(from: holdRatio),
            ]
        case .sqrt: return [Piece(shape: .sqrt, steps: steps, from: 1, to: floor)]
        case .joined:
            return zip(joined, PieceRule.steps(of: joined, all: steps)).map { rule, steps in
                Piece(shape: rule.shape, steps: steps, from: rule.from, to: rule.to)
            }
        }
    }

    /// Refuses pieces that don't make up the run, once its steps are known; other shapes always do.
    ///
    /// - Throws: ``UserFacingError`` that says how many steps the pieces take.
    public func check() throws(UserFacingError) {
        guard shape == .joined else { return }
        let pieces = pieces
        let taken = pieces.reduce(0) { $0 + $1.steps }
        if taken != steps {
            throw UserFacingError(
                .request,
                """
                the pieces of the schedule take \(Units.grouped(taken)) steps, and the run has \(Units.grouped(steps)); \
                give lengths that fit, or let one of them take the 'rest'
                """)
        }
        for (rule, piece) in zip(joined, pieces) where rule.length == .rest && piece.steps == 0 {
            throw .badPiece(rule.text, "nothing of the run's \(Units.grouped(steps)) steps is left for it")
        }
    }

    private func share(_ share: Double) -> Int { Int((Double(steps) * share).rounded()) }

    /// The step at which the last decay begins: a run that was kept before it may become any longer.
    private var decayStart: Int { max(warmup, steps - share(decayShare)) }

    private func decay(from start: Double) -> Piece {
        Piece(shape: .sqrt, steps: max(0, steps - decayStart), from: start, to: floor)
    }
}
