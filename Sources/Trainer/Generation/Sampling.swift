internal import Foundation
internal import Formats
internal import HeapModule

/// How the next token is chosen.
///
/// The logits are divided by the temperature, then all but the largest `topK` are left out, then the least likely ones as
/// long as the others' probabilities sum to `topP` at least: what transformers does, in its order.
public struct Sampling: Codable, Sendable, Equatable {
    /// What logits are divided by; 0 takes the largest logit, always.
    public var temperature: Double
    /// How many of the largest logits are left; nil for all of them.
    public var topK: Int?
    /// The share of probability that is left, above 0; nil for all of it (<https://arxiv.org/abs/1904.09751>).
    public var topP: Double?
    /// What chance follows from.
    public var seed: UInt64

    /// The largest logit, unless more is said.
    public init(temperature: Double = 0, topK: Int? = nil, topP: Double? = nil, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }

    /// Whether some tokens can't follow at all.
    var leavesOut: Bool { topK != nil || topP.map { $0 < 1 } ?? false }

    /// The tokens that may follow and the probability of each.
    ///
    /// The most likely come first where any is left out. Only those that stay are put in order, not all of a vocabulary.
    func distribution(_ logits: [Float]) -> [(token: Int, probability: Double)] {
        let top = Double(logits.max() ?? 0)
        func weight(_ candidate: Candidate) -> Double { exp((Double(candidate.logit) - top) / temperature) }
        var left = logits.enumerated().map { Candidate(token: $0, logit: $1) }
        if let topK, topK < left.count {
            // Those that are as large as the last one stay, too.
            left = Self.largest(of: left) { $0.count < max(topK, 1) || $0.last?.logit == $1.logit }
        }
        if let topP, topP < 1 {
            let limit = topP * left.reduce(0) { $0 + weight($1) }
            var sum = 0.0
            left = Self.largest(of: left) { taken, next in
                guard taken.isEmpty || sum < limit else { return false }
                sum += weight(next)
                return true
            }
        }
        let weights = left.map(weight)
        let total = weights.reduce(0, +)
        return zip(left, weights).map { ($0.token, $1 / total) }
    }

    /// The largest first, as long as `goesOn` says so of those before and the next.
    private static func largest(
        of candidates: [Candidate], while goesOn: (_ taken: [Candidate], _ next: Candidate) -> Bool
    ) -> [Candidate] {
        var heap = Heap(candidates)
        var taken: [Candidate] = []
        while let next = heap.max, goesOn(taken, next) { taken.append(heap.removeMax()) }
        return taken
    }

    /// A token that may follow.
    private struct Candidate: Comparable {
        let token: Int
        let logit: Float

        /// Of equal logits the lower token is the larger one, so that the order is the same always.
        static func < (a: Candidate, b: Candidate) -> Bool {
            a.logit != b.logit ? a.logit < b.logit : a.token > b.token
        }
    }
}

/// Chooses the tokens of one sequence, one after the other.
struct TokenSampler {
    let sampling: Sampling
    private var generator: SplitMix64

    /// A sampler for the sequence of that number: chance is another for each, and the same whatever is computed beside it.
    init(_ sampling: Sampling, sequence: Int) {
        self.sampling = sampling
        generator = SplitMix64(
            seed: sampling.seed &+ UInt64(truncatingIfNeeded: sequence) &* 0xD1B5_4A32_D192_ED03)
    }

    /// The next token; nil where logits are no finite numbers.
    mutating func choose(_ logits: [Float]) -> Int32? {
        var (best, largest) = (0, -Float.infinity)
        var isFinite = true
        for (token, logit) in logits.enumerated() {
            isFinite = isFinite && logit.isFinite
            if logit > largest { (best, largest) = (token, logit) }
        }
        guard isFinite else { return nil }
        guard sampling.temperature > 0 else { return Int32(best) }
        let point = Double(generator.next() >> 11) * 0x1p-53
        guard sampling.leavesOut else { return choose(logits, top: Double(largest), at: point) }
        let distribution = sampling.distribution(logits)
        var sum = 0.0
        for (token, probability) in distribution {
            sum += probability
            if point < sum { return Int32(token) }
        }
        return distribution.last.map { Int32($0.token) }
    }

    /// The token at a point of the distribution of all tokens, in their order.
    private func choose(_ logits: [Float], top: Double, at point: Double) -> Int32 {
        var total = 0.0
        let weights = logits.map { logit in
            let weight = exp((Double(logit) - top) / sampling.temperature)
            total += weight
            return weight
        }
        var sum = 0.0
        for (token, weight) in weights.enumerated() {
            sum += weight
            if point * total < sum { return Int32(token) }
        }
        return Int32(logits.count - 1)
    }
}
