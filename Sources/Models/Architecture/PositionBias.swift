internal import Foundation

/// What positions add to attention's scores: ALiBi (<https://arxiv.org/abs/2108.12409>), a slope for each head.
public struct PositionBias: Hashable, Sendable {
    /// What the position of a key is multiplied by, head by head: (H).
    public var slopes: [Float]
    /// What the products are multiplied by afterwards.
    public var factor: Float
    /// Whether slopes, positions and their products are rounded to bfloat16, as Falcon has it.
    public var roundsToBFloat16: Bool

    /// ALiBi for any number of heads.
    ///
    /// With 2^n heads slopes are a geometric sequence from 2^(−8 / 2^n) with that ratio. Of other numbers, the heads
    /// beyond the next lower power of two take every other slope of the sequence for the next higher one.
    public init(heads: Int, factor: Float = 1, roundsToBFloat16: Bool = false) {
        var power = 1
        while power * 2 <= heads { power *= 2 }
        func slope(_ base: Int, _ exponent: Int) -> Float {
            Float(pow(2, -8 / Double(base) * Double(exponent)))
        }
        slopes =
            (1...power).map { slope(power, $0) }
            + (0..<heads - power).map { slope(2 * power, 2 * $0 + 1) }
        self.factor = factor
        self.roundsToBFloat16 = roundsToBFloat16
    }

    /// What is added to the score of the j-th key that a query sees, for each head: (H, T).
    ///
    /// The same number may be added to all scores of a query, so positions count from the first key that it sees.
    public func table(length: Int) -> [Float] {
        slopes.flatMap { slope in
            (0..<length).map { position in
                guard roundsToBFloat16 else { return slope * Float(position) * factor }
                let product = Self.rounded(Self.rounded(slope) * Self.rounded(Float(position)))
                return product * factor
            }
        }
    }

    /// The nearest bfloat16, ties to even.
    private static func rounded(_ value: Float) -> Float {
        let bits = value.bitPattern
        return Float(bitPattern: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000)
    }
}
