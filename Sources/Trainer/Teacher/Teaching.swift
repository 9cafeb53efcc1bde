/// The text on which a teacher teaches.
public enum TaughtText: String, Codable, Sendable, CaseIterable {
    /// All of it.
    case all
    /// That of the model's original domain: the sources of `replay`.
    case replay
}

/// How a stage learns from a teacher: (1 − α) · cross entropy + α · T² · KL(teacher ‖ student), both at temperature T.
///
/// The loss is that of Hinton et al., <https://arxiv.org/abs/1503.02531>; T² keeps the two gradients of one size.
public struct Teaching: Codable, Sendable, Equatable {
    /// α, above 0 and at most 1.
    public var weight: Double
    /// T.
    public var temperature: Double
    /// Where it teaches.
    public var text: TaughtText
    /// How it teaches in the midst of the model, too; nil where it does not.
    public var hidden: HiddenTeaching?
}

extension Teaching {
    /// What hidden states add to the mean loss of a step's targets.
    func hiddenLoss(of figures: TeacherFigures?) -> Double {
        guard let hidden, let figures, let square = figures.hidden else { return 0 }
        return hidden.weight * square * Double(figures.taught) / Double(max(1, figures.targets))
    }
}

/// How many targets a teacher has taught.
public struct TaughtTargets: Codable, Sendable, Equatable {
    /// Those that it could teach, and all there were.
    public internal(set) var taught = 0, targets = 0

    static func + (sum: TaughtTargets, step: TeacherFigures) -> TaughtTargets {
        TaughtTargets(taught: sum.taught + step.taught, targets: sum.targets + step.targets)
    }
}

/// What a step's loss is made of where there is a teacher.
public struct TeacherFigures: Codable, Sendable, Equatable {
    /// The mean cross entropy of all targets, in nats.
    public var crossEntropy: Double
    /// The mean KL(teacher ‖ student) of the targets that were taught, at the temperature, in nats; nil where none was.
    public var divergence: Double?
    /// The mean square of the difference of hidden states over the targets that were taught; nil where none was, or where they
    /// are not compared.
    public var hidden: Double?
    /// How many targets were taught, and how many there were.
    public var taught: Int, targets: Int

    enum CodingKeys: String, CodingKey {
        case taught, targets
        case hidden = "hidden_mse"
        case crossEntropy = "cross_entropy"
        case divergence = "kl"
    }
}

extension TokenBatch {
    /// The rows, in order, whose target a teacher has and of which it can read all that they see.
    ///
    /// - Parameters:
    ///   - tokens: its token for each of the model's, negative where it has none.
    ///   - text: where it teaches.
    /// - Returns: their places among the batch's tokens.
    func taughtRows(tokens: [Int32], on text: TaughtText) -> [Int] {
        var rows: [Int] = []
        // The last token of the sequence that the teacher does not have, up to the one at hand.
        var unknown = -1
        for row in self.tokens.indices {
            let position = row % sequenceLength
            if position == 0 { unknown = -1 }
            if tokens[Int(self.tokens[row])] < 0 { unknown = position }
            let target = targets[row]
            guard target >= 0, tokens[Int(target)] >= 0, unknown < Int(attentionStart[row]) else { continue }
            if text == .all || isReplay.indices.contains(row) && isReplay[row] { rows.append(row) }
        }
        return rows
    }

    /// One of its sequences as a teacher reads it; what the teacher has no token for becomes its token 0, which no row
    /// sees that it teaches.
    func sequence(_ index: Int, tokens: [Int32]) -> TokenBatch {
        let range = index * sequenceLength..<(index + 1) * sequenceLength
        var batch = TokenBatch(
            batch: 1, sequenceLength: sequenceLength,
            tokens: self.tokens[range].map { max(0, tokens[Int($0)]) },
            targets: [Int32](repeating: -1, count: sequenceLength))
        batch.attentionStart = Array(attentionStart[range])
        batch.countsPositionsFromRowStart = countsPositionsFromRowStart
        return batch
    }
}
