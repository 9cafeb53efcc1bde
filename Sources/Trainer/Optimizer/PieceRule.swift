public import Formats
internal import Foundation

/// A piece of a schedule as it is typed: `linear 100 0-1`, `constant 70% 1`, `sqrt rest 1-0.1`.
///
/// It is kept as its text.
public struct PieceRule: Sendable, Equatable {
    /// How long a piece is.
    public enum Length: Sendable, Equatable {
        /// So many steps.
        case steps(Int)
        /// A percentage of the run's steps, above 0 to 100.
        case percent(Double)
        /// What the others leave.
        case rest
    }

    /// The rule as it was typed.
    public let text: String
    /// How the rate goes.
    public let shape: Schedule.Piece.Shape
    /// How long.
    public let length: Length
    /// The shares of the peak between which it goes, from 0 to 1.
    public let from: Double, to: Double

    private static let form =
        "it must be SHAPE LENGTH FROM-TO, as in 'linear 100 0-1', 'constant 70% 1' or 'sqrt rest 1-0.1'"

    /// Reads a rule.
    ///
    /// - Parameter text: a shape, a length and the shares of the peak between which it goes, or one where it stays.
    /// - Throws: ``UserFacingError`` that quotes the rule and says what is right.
    public init(_ text: String) throws(UserFacingError) {
        self.text = text
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 3 else { throw .badPiece(text, Self.form) }
        guard let shape = Schedule.Piece.Shape(rawValue: words[0]) else {
            throw .unknownWord(
                words[0], what: "shape", known: Schedule.Piece.Shape.allCases.map(\.rawValue),
                at: "the piece '\(text)'")
        }
        self.shape = shape
        length = try Self.length(words[1], text)
        guard let (from, to) = Self.shares(words[2]), [from, to].allSatisfy({ (0...1).contains($0) }) else {
            throw .badPiece(
                text, "'\(words[2])' must be shares of the peak from 0 to 1, as in 1-0.1, or one that stays")
        }
        switch (shape == .constant, from == to) {
        case (true, false): throw .badPiece(text, "a constant stays at one share, as in 'constant 70% 1'")
        case (false, true): throw .badPiece(text, "a rate that stays is 'constant \(words[1]) \(words[2])'")
        default: break
        }
        (self.from, self.to) = (from, to)
    }

    private static func length(_ word: String, _ text: String) throws(UserFacingError) -> Length {
        if word == "rest" { return .rest }
        if word.hasSuffix("%") {
            guard let percent = Double(word.dropLast()), percent > 0, percent <= 100 else {
                throw .badPiece(text, "'\(word)' must be above 0% and at most 100%")
            }
            return .percent(percent)
        }
        guard let steps = Int(word), (1...1_000_000_000_000).contains(steps) else {
            throw .badPiece(
                text, "'\(word)' must be a number of steps from 1, a percentage as in 70%, or 'rest'")
        }
        return .steps(steps)
    }

    /// Two shares with a dash between them, where an exponent may have one, too; or one for both.
    private static func shares(_ word: String) -> (Double, Double)? {
        if let both = Double(word) { return (both, both) }
        for dash in word.indices where word[dash] == "-" {
            if let from = Double(word[..<dash]), let to = Double(word[word.index(after: dash)...]) {
                return (from, to)
            }
        }
        return nil
    }

    /// Reads the pieces of a run.
    ///
    /// - Throws: ``UserFacingError`` that quotes a rule that can't be read or that leaves another nothing.
    static func list(_ texts: [String]) throws(UserFacingError) -> [PieceRule] {
        var rules: [PieceRule] = []
        var percent = 0.0
        for text in texts {
            let rule = try PieceRule(text)
            if rule.length == .rest, let other = rules.first(where: { $0.length == .rest }) {
                throw .badPiece(text, "'\(other.text)' takes the rest already; give one of them a length")
            }
            if case .percent(let more) = rule.length { percent += more }
            // Percentages are typed in decimals, whose sum is not exact.
            guard percent < 100.000001 else {
                throw .badPiece(text, "with it the percentages are more than 100%; give smaller ones")
            }
            rules.append(rule)
        }
        return rules
    }

    /// How many steps each rule takes in a run.
    ///
    /// Ends are rounded, not lengths, so that percentages of 100 take all steps.
    static func steps(of rules: [PieceRule], all: Int) -> [Int] {
        var (given, percent, end) = (0, 0.0, 0)
        var steps = rules.map { rule in
            switch rule.length {
            case .steps(let count): given += count
            case .percent(let share): percent += share
            case .rest: break
            }
            let start = end
            end = given + Int((Double(all) * percent / 100).rounded())
            return end - start
        }
        if let rest = rules.firstIndex(where: { $0.length == .rest }) { steps[rest] = max(0, all - end) }
        return steps
    }
}

extension PieceRule: Codable {
    /// Reads the text of a rule.
    public init(from decoder: any Decoder) throws {
        try self.init(decoder.singleValueContainer().decode(String.self))
    }

    /// Writes the text of the rule.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(text)
    }
}

extension UserFacingError {
    /// A piece of a schedule that can't be read, or does not fit.
    static func badPiece(_ text: String, _ reason: String) -> Self {
        Self(.request, "the piece '\(text)': \(reason)")
    }
}
