internal import Foundation

/// How positions turn queries and keys: pair i of a head's N turned channels turns by position · θ^(−2i/N).
///
/// - SeeAlso: Su et al., *RoFormer*, section 3.4, <https://arxiv.org/abs/2104.09864>.
public struct RotaryEmbedding: Equatable, Sendable {
    /// θ: the base of the frequencies; `rope_theta` in config.json.
    public var theta: Double
    /// N: how many channels of a head turn, from its first; even.
    public var size: Int
    /// Whether pairs are neighbours (0, 1), (2, 3) …; otherwise they are (i, i + N / 2).
    public var isInterleaved: Bool
    /// What changes the frequencies for sequences longer than those trained on.
    public var scaling: Scaling

    /// Ways to stretch the frequencies.
    public enum Scaling: Equatable, Sendable {
        /// The frequencies as they are.
        case none
        /// All of them divided by a factor (<https://arxiv.org/abs/2306.15595>).
        case linear(factor: Double)
        /// A base that grows with sequences longer than `originalLength` ("dynamic NTK").
        case dynamic(factor: Double, originalLength: Double)
        /// Llama 3.1's: long waves divided by `factor`, short ones kept, a ramp between.
        case llama3(
            factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalLength: Double)
        /// YaRN (<https://arxiv.org/abs/2309.00071>, section 3.2).
        case yarn(YaRN)
        /// LongRoPE (<https://arxiv.org/abs/2402.13753>): a divisor for each pair, other ones for long sequences.
        case longRoPE(short: [Double], long: [Double], originalLength: Double, attentionFactor: Double)
    }

    /// YaRN's numbers.
    public struct YaRN: Equatable, Sendable {
        /// What long waves are divided by.
        public var factor: Double
        /// The length that the model was first trained on.
        public var originalLength: Double
        /// How often a wave turns within it: more than `betaFast` is kept, less than `betaSlow` is divided.
        public var betaFast: Double, betaSlow: Double
        /// What cosines and sines are multiplied by.
        public var attentionFactor: Double
        /// Whether the ramp between begins and ends at whole pairs.
        public var truncates: Bool

        /// YaRN with these numbers.
        public init(
            factor: Double, originalLength: Double, betaFast: Double, betaSlow: Double,
            attentionFactor: Double, truncates: Bool
        ) {
            self.factor = factor
            self.originalLength = originalLength
            self.betaFast = betaFast
            self.betaSlow = betaSlow
            self.attentionFactor = attentionFactor
            self.truncates = truncates
        }
    }

    /// Rotary embedding of `size` channels with the base `theta`.
    public init(theta: Double, size: Int, isInterleaved: Bool = false, scaling: Scaling = .none) {
        self.theta = theta
        self.size = size
        self.isInterleaved = isInterleaved
        self.scaling = scaling
    }

    /// The frequencies of the pairs: (N / 2), in radians a position.
    ///
    /// Some scalings depend on the longest sequence that is computed at once.
    public func frequencies(longest: Int = 0) -> [Float] {
        // In float32 like the reference: the angles of far positions depend on the last bit.
        func power(_ base: Double, _ i: Int) -> Float { Float(pow(base, Double(2 * i) / Double(size))) }
        let pairs = 0..<size / 2
        switch scaling {
        case .none: return pairs.map { 1 / power(theta, $0) }
        case .linear(let factor): return pairs.map { 1 / power(theta, $0) / Float(factor) }
        case .dynamic(let factor, let original):
            let length = max(Double(longest), original)
            let exponent = Double(size) / Double(size - 2)
            let base = theta * pow(factor * length / original - (factor - 1), exponent)
            return pairs.map { 1 / power(base, $0) }
        case .llama3: return pairs.map { Float(stretched(Double(1 / power(theta, $0)))) }
        case .yarn(let yarn):
            let ramp = yarn.ramp(theta: theta, size: size)
            return pairs.map { i in
                let kept = 1 / power(theta, i)
                let divided = 1 / (Float(yarn.factor) * power(theta, i))
                let share = Float(1) - ramp(i)
                return divided * (1 - share) + kept * share
            }
        case .longRoPE(let short, let long, let original, _):
            let factors = Double(longest) > original ? long : short
            return pairs.map { 1 / (Float(factors[$0]) * power(theta, $0)) }
        }
    }

    /// What cosines and sines are multiplied by.
    public var attentionFactor: Double {
        switch scaling {
        case .none, .linear, .dynamic, .llama3: 1
        case .yarn(let yarn): yarn.attentionFactor
        case .longRoPE(_, _, _, let factor): factor
        }
    }

    /// Whether the frequencies depend on the longest sequence that is computed at once.
    public var dependsOnLength: Bool {
        switch scaling {
        case .none, .linear, .llama3, .yarn: false
        case .dynamic, .longRoPE: true
        }
    }

    /// The length beyond which LongRoPE has other factors; nil for other scalings.
    public var lengthOfShortFactors: Double? {
        switch scaling {
        case .longRoPE(_, _, let length, _): length
        case .none, .linear, .dynamic, .llama3, .yarn: nil
        }
    }

    /// The length to which "dynamic" frequencies were made to grow; nil for other scalings.
    public var grownLength: Double? {
        switch scaling {
        case .dynamic(let factor, let length): factor * length
        case .none, .linear, .llama3, .yarn, .longRoPE: nil
        }
    }

    /// Llama 3.1's rule for one frequency.
    private func stretched(_ frequency: Double) -> Double {
        guard case .llama3(let factor, let low, let high, let length) = scaling else { return frequency }
        let waves = length * frequency / (2 * .pi)  // how often it turns within the original length
        if waves < low { return frequency / factor }
        if waves > high { return frequency }
        let smooth = (waves - low) / (high - low)
        return (1 - smooth) * frequency / factor + smooth * frequency
    }

    /// Cosines and sines of the angles of positions 0 ..< `length`: (T, N / 2) each.
    ///
    /// `longest` is the longest sequence among them; all of them are one when it is nil.
    public func table(length: Int, longest: Int? = nil) -> (cosine: [Float], sine: [Float]) {
        table(positions: 0..<length, longest: longest ?? length)
    }

    /// Cosines and sines of the angles of some positions of a sequence that is `longest` long: (T, N / 2) each.
    public func table(positions: Range<Int>, longest: Int) -> (cosine: [Float], sine: [Float]) {
        let frequencies = frequencies(longest: longest)
        let factor = Float(attentionFactor)
        var cosine: [Float] = []
        var sine: [Float] = []
        cosine.reserveCapacity(positions.count * frequencies.count)
        sine.reserveCapacity(positions.count * frequencies.count)
        for position in positions {
            for frequency in frequencies {
                let angle = Double(Float(position) * frequency)
                cosine.append(Float(cos(angle)) * factor)
                sine.append(Float(sin(angle)) * factor)
            }
        }
        return (cosine, sine)
    }
}

extension RotaryEmbedding.YaRN {
    /// What cosines and sines are multiplied by where nothing is said of it (section 3.4).
    static func attentionFactor(_ factor: Double, mscale: Double = 1) -> Double {
        factor <= 1 ? 1 : 0.1 * mscale * log(factor) + 1
    }

    /// The share of pair i that is divided, from 0 to 1.
    fileprivate func ramp(theta: Double, size: Int) -> (Int) -> Float {
        /// The pair that turns `turns` times within the original length.
        func pair(turning turns: Double) -> Double {
            Double(size) * log(originalLength / (turns * 2 * .pi)) / (2 * log(theta))
        }
        var low = pair(turning: betaFast)
        var high = pair(turning: betaSlow)
        if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
        low = max(low, 0)
        high = min(high, Double(size - 1))
        if low == high { high += 0.001 }
        return { Float(min(1, max(0, (Double($0) - low) / (high - low)))) }
    }
}
