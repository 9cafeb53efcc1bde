internal import Formats

/// How often training has seen each token that a surgery has added: as a target, and as an input.
///
/// A token is an input where some target sees it, since only then does its row of the embedding learn. So neither
/// padding, nor what fills a sequence, nor a document's last token is one where no other document sees it.
public struct TokenExposure: Sendable, Equatable {
    /// The tokens, in rising order: (N).
    public let tokens: [Int32]
    /// How often each was an input, and a target; what is more than 2³² − 1 stays at that: (N).
    public private(set) var inputs: [UInt32], targets: [UInt32]
    /// Where each token below the highest of them stands among them, -1 for all others.
    private let places: [Int32]

    /// Some tokens, none of them seen yet.
    public init(of tokens: some Sequence<Int>) {
        self.tokens = Set(tokens).sorted().map { Int32($0) }
        var places = [Int32](repeating: -1, count: Int(self.tokens.last ?? -1) + 1)
        for (place, token) in self.tokens.enumerated() { places[Int(token)] = Int32(place) }
        self.places = places
        inputs = [UInt32](repeating: 0, count: self.tokens.count)
        targets = inputs
    }

    /// Counts a batch that was trained on.
    public mutating func count(_ batch: TokenBatch) {
        guard !tokens.isEmpty else { return }
        let length = batch.sequenceLength
        for row in 0..<batch.batch {
            // The first position that a target at or behind the one at hand sees.
            var seen = Int32.max
            for position in (0..<length).reversed() {
                let index = row * length + position
                let target = batch.targets[index]
                if target >= 0 {
                    seen = min(seen, batch.attentionStart[index])
                    if let place = place(of: target) { Self.countOne(&targets[place]) }
                }
                guard position >= seen, let place = place(of: batch.tokens[index]) else { continue }
                Self.countOne(&inputs[place])
            }
        }
    }

    /// Those of a document's tokens that are among them, each as often as it comes.
    func known(in tokens: [Int32]) -> [Int32] { tokens.filter { place(of: $0) != nil } }

    /// Counts tokens that are targets once each.
    mutating func count(targets: [Int32]) {
        for target in targets { if let place = place(of: target) { Self.countOne(&self.targets[place]) } }
    }

    private func place(of token: Int32) -> Int? {
        guard token >= 0, token < places.count, places[Int(token)] >= 0 else { return nil }
        return Int(places[Int(token)])
    }

    private static func countOne(_ count: inout UInt32) {
        if count < .max { count += 1 }
    }

    // MARK: Keeping it

    /// What has to be kept to count on: inputs, and then targets (2 N).
    var state: [UInt32] { inputs + targets }

    /// Counts on from a ``state`` that was kept.
    ///
    /// - Returns: whether it is of as many tokens; where it is not, nothing changes.
    mutating func restore(_ state: [UInt32]) -> Bool {
        guard state.count == 2 * tokens.count else { return false }
        (inputs, targets) = (Array(state.prefix(tokens.count)), Array(state.suffix(tokens.count)))
        return true
    }
}

extension TokenExposure {
    /// The tokens whose rows the last surgery has added to a model, at either end, and that have a text.
    ///
    /// - Parameters:
    ///   - origins: what the surgery did.
    ///   - layout: the model's tensors.
    ///   - tokenizer: the model's; rows that it has no token for only make the embedding a round size.
    init(of origins: ModelOrigins, in layout: ParameterLayout, tokenizer: Tokenizer) {
        let ends = layout.parameters.filter { [.embedding, .head].contains($0.role) }
        let rows = ends.flatMap { origins.newRows[$0.name] ?? [] }.joined()
        self.init(of: rows.filter { tokenizer.token(of: Int32($0)) != nil })
    }
}

// MARK: - Telling it

/// How often the tokens that a surgery has added were targets, in few words.
public struct ExposureSummary: Codable, Sendable, Equatable {
    /// Tokens that were targets about equally often.
    public struct Band: Codable, Sendable, Equatable {
        /// How often at least, and at most; nil where there is no end.
        public let least: Int, most: Int?
        /// How many tokens there are of these.
        public let tokens: Int
    }

    /// A token and how often it was seen.
    public struct Token: Codable, Sendable, Equatable {
        /// Its number, and what it stands for in a text.
        public let id: Int, text: String
        /// How often it was a target, and an input.
        public let targets: Int, inputs: Int
    }

    /// How many tokens there are.
    public let tokens: Int
    /// How many were never targets, 1 to 9 times, 10 to 99 times, 100 to 999 times, and 1,000 times or more.
    public let bands: [Band]
    /// Those that were targets least often, the rarest first.
    public let rarest: [Token]
}

extension TokenExposure {
    /// How many tokens were seen how often, and the rarest of them.
    ///
    /// - Parameters:
    ///   - count: how many of the rarest.
    ///   - text: what a token stands for in a text.
    /// - Returns: the numbers.
    public func summary(rarest count: Int = 10, text: (Int32) -> String) -> ExposureSummary {
        let ranges = [(0, 0), (1, 9), (10, 99), (100, 999), (1_000, nil as Int?)]
        let rarest = tokens.indices.sorted {
            (targets[$0], inputs[$0], $0) < (targets[$1], inputs[$1], $1)
        }.prefix(count)
        return ExposureSummary(
            tokens: tokens.count,
            bands: ranges.map { least, most in
                ExposureSummary.Band(
                    least: least, most: most,
                    tokens: targets.count { (least...(most ?? .max)).contains(Int($0)) })
            },
            rarest: rarest.map { place in
                ExposureSummary.Token(
                    id: Int(tokens[place]), text: text(tokens[place]), targets: Int(targets[place]),
                    inputs: Int(inputs[place]))
            })
    }
}
