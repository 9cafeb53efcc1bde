internal import Foundation

/// How positions turn queries and keys: pair i of a head's channels turns by position · θ^(−2i/D).
///
/// - SeeAlso: Su et al., *RoFormer*, section 3.4, <https://arxiv.org/abs/2104.09864>.
public struct RotaryEmbedding: Equatable, Sendable {
    /// θ: the base of the frequencies; `rope_theta` in config.json.
    public var theta: Double
    /// What changes the frequencies for sequences longer than those trained on.
    public var scaling: Scaling

    /// Ways to stretch the frequencies.
    public enum Scaling: Equatable, Sendable {
        /// The frequencies as they are.
        case none
        /// All of them divided by a factor (<https://arxiv.org/abs/2306.15595>).
        case linear(factor: Double)
        /// Llama 3.1's: long waves divided by `factor`, short ones kept, a ramp between.
        case llama3(
            factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalLength: Double)
    }

    /// Rotary embedding with the base `theta`.
    public init(theta: Double, scaling: Scaling = .none) {
        self.theta = theta
        self.scaling = scaling
    }

    /// The frequencies of a head with `headSize` channels: (D / 2), in radians a position.
    public func frequencies(headSize: Int) -> [Float] {
        (0..<headSize / 2).map { i in
            // In float32 like the reference: the angles of far positions depend on the last bit.
            let frequency = 1 / Float(pow(theta, Double(2 * i) / Double(headSize)))
            switch scaling {
            case .none: return frequency
            case .linear(let factor): return frequency / Float(factor)
            case .llama3: return Float(stretched(Double(frequency)))
            }
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

    /// Cosines and sines of the angles of positions 0 ..< `length`: (T, D / 2) each.
    public func table(length: Int, headSize: Int) -> (cosine: [Float], sine: [Float]) {
        let frequencies = frequencies(headSize: headSize)
        var cosine: [Float] = []
        var sine: [Float] = []
        cosine.reserveCapacity(length * frequencies.count)
        sine.reserveCapacity(length * frequencies.count)
        for position in 0..<length {
            for frequency in frequencies {
                let angle = Double(Float(position) * frequency)
                cosine.append(Float(cos(angle)))
                sine.append(Float(sin(angle)))
            }
        }
        return (cosine, sine)
    }
}
