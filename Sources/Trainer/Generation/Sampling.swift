internal import Foundation
internal import Formats

/// How the next token is chosen.
///
/// The logits are divided by the temperature, then all but the largest `topK` are left out, then the least likely ones as
/// long as the others' probabilities sum to `topP` at least: what transformers does, in its order.
public struct Sampling: Sendable, Equatable {
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

    /// The tokens that may follow and the probability of each, the most likely first.
    func distribution(_ logits: [Float]) -> [(token: Int, probability: Double)] {
        var order = Array(logits.indices)
        // Of equal logits the lower token comes first, so that the order is the same always.
        order.sort { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
        if let topK, topK < order.count {
            // Those that are as large as the last one stay, too.
            let least = logits[order[max(topK, 1) - 1]]
            order = Array(order.prefix { logits[$0] >= least })
        }
        let top = Double(logits[order[0]])
        var weights = order.map { exp((Double(logits[$0]) - top) / temperature) }
        if let topP, topP < 1 {
            let limit = topP * weights.reduce(0, +)
            var (sum, count) = (0.0, 0)
            while count < weights.count, count == 0 || sum < limit {
                sum += weights[count]
                count += 1
            }
            weights.removeSubrange(count...)
        }
        let total = weights.reduce(0, +)
        return zip(order, weights).map { ($0, $1 / total) }
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
        let distribution = sampling.distribution(logits)
        var sum = 0.0
        for (token, probability) in distribution {
            sum += probability
            if point < sum { return Int32(token) }
        }
        return distribution.last.map { Int32($0.token) }
    }
}
