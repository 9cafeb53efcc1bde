public import Formats

/// How a stage learns the rows that a surgery has added, before any text is trained on: Token Distillation.
///
/// The model reads each snippet twice, in the tokens that it had before the surgery and in those that it has, and its new rows
/// of the embedding are moved until both readings leave the same behind some layer. Where the head is no embedding, its new rows
/// learn to predict the snippet's tokens. All else is frozen. <https://arxiv.org/abs/2505.20133>
///
/// It is typed as `snippets=25 length=50 layer=4 rate=1e-4 batch=16 epochs=1`, some of it at least.
public struct RowDistillation: Codable, Sendable, Equatable {
    /// How many snippets there are for each new token; fewer where the text has fewer.
    public var snippets = 25
    /// How many tokens a snippet has at most in either reading, its start among them.
    public var length = 50
    /// How many layers both readings go through before they are compared; nil for a third of them.
    public var layer: Int?
    /// The rate, which stays what it is.
    public var rate = 1e-4
    /// Snippets of a step.
    public var batch = 16
    /// How often all snippets are shown.
    public var epochs = 1

    /// Reads what was typed.
    ///
    /// - Parameter text: as above.
    /// - Throws: ``UserFacingError`` that quotes what can't be read.
    public init(_ text: String) throws(UserFacingError) {
        let words = text.split(separator: " ").map(String.init)
        guard !words.isEmpty else { throw .badDistillation(text, "say what it takes, as in snippets=25") }
        var seen: Set<String> = []
        for word in words {
            let parts = word.split(separator: "=", maxSplits: 1).map(String.init)
            guard parts.count == 2, Self.names.contains(parts[0]) else {
                let name = parts.first ?? word
                if Self.names.contains(name) {
                    throw .badDistillation(text, "\(name) needs a number, as in \(name)=1")
                }
                throw .unknownWord(name, what: "number", known: Self.names, at: "distil-rows '\(text)'")
            }
            let (name, value) = (parts[0], parts[1])
            guard seen.insert(name).inserted else {
                throw .badDistillation(text, "\(name) stands there twice")
            }
            if name == "rate" {
                guard let rate = Double(value), rate > 0, rate <= 10 else {
                    throw .badDistillation(text, "rate is above 0 and at most 10, not \(value)")
                }
                self.rate = rate
                continue
            }
            let least = name == "length" ? 4 : 1
            guard let count = Int(value), (least...1 << 20).contains(count) else {
                throw .badDistillation(text, "\(name) is a whole number from \(least) on, not \(value)")
            }
            switch name {
            case "snippets": snippets = count
            case "length": length = count
            case "layer": layer = count
            case "batch": batch = count
            default: epochs = count
            }
        }
    }

    private static let names = ["snippets", "length", "layer", "rate", "batch", "epochs"]

    /// Settles the layer for a model of so many.
    ///
    /// - Throws: ``UserFacingError`` when it has fewer than are asked for.
    mutating func settle(layers: Int) throws(UserFacingError) {
        let layer = self.layer ?? max(1, Int((Double(layers) / 3).rounded()))
        guard layer <= layers else {
            throw UserFacingError(
                .request,
                "distil-rows compares behind layer \(layer), and the model has \(layers); give layer=\(layers) or less"
            )
        }
        self.layer = layer
    }

    /// How many snippets lie in a sequence of a stage.
    func perSequence(_ sequenceLength: Int) -> Int { max(1, sequenceLength / length) }

    /// How many sequences a step's snippets take.
    func sequences(_ sequenceLength: Int) -> Int {
        (batch + perSequence(sequenceLength) - 1) / perSequence(sequenceLength)
    }
}

/// What was found of the snippets that a stage distils rows with.
public struct SnippetSummary: Codable, Sendable, Equatable {
    /// How many new tokens there are, and of how many of them some snippet was found.
    public var tokens: Int, found: Int
    /// How many snippets there are.
    public var snippets: Int
    /// The SHA-256 of their tokens in both readings.
    public var sha256: String

    /// How many of each, as manifests and reports have it.
    public var counts: JSON { ["tokens": JSON(tokens), "found": JSON(found), "snippets": JSON(snippets)] }
}

/// What a step's loss is made of where rows are distilled.
public struct RowFigures: Codable, Sendable, Equatable {
    /// The mean square of the difference between both readings behind the layer.
    public var meanSquare: Double
    /// The mean cross entropy of the snippets' tokens, in nats; nil where the head has no rows of its own.
    public var crossEntropy: Double?
    /// How many places were compared.
    public var places: Int

    /// What is minimised: either moves rows of its own.
    var loss: Double { meanSquare + (crossEntropy ?? 0) }

    enum CodingKeys: String, CodingKey {
        case places
        case meanSquare = "mse"
        case crossEntropy = "cross_entropy"
    }
}

extension UserFacingError {
    fileprivate static func badDistillation(_ text: String, _ reason: String) -> Self {
        Self(.request, "distil-rows '\(text)': \(reason)")
    }
}
