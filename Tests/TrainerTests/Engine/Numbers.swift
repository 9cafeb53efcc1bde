import Formats

/// Random numbers that are the same in every run.
struct Numbers: RandomNumberGenerator {
    private var generator: SplitMix64

    init(seed: Int) { generator = SplitMix64(seed: UInt64(truncatingIfNeeded: seed)) }

    mutating func next() -> UInt64 { generator.next() }

    /// `count` numbers within ±`scale`.
    mutating func floats(_ count: Int, scale: Float = 1) -> [Float] {
        (0..<count).map { _ in Float.random(in: -scale...scale, using: &self) }
    }

    /// `count` numbers within ±1.
    mutating func doubles(_ count: Int) -> [Double] {
        (0..<count).map { _ in Double.random(in: -1...1, using: &self) }
    }

    /// `count` numbers below `bound`.
    mutating func indices(_ count: Int, below bound: Int) -> [Int32] {
        (0..<count).map { _ in Int32.random(in: 0..<Int32(bound), using: &self) }
    }
}
