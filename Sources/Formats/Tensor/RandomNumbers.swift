internal import CKernels
internal import Glibc

/// A small generator of good random numbers (Steele, Lea and Flood, *SplitMix*, 2014).
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator that gives the same numbers for the same seed.
    package init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        defer { state &+= Self.step }
        return Self.mix(state)
    }

    private static let step: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// The bits that follow from a state: a step, and the finalizer (section 4).
    static func mix(_ state: UInt64) -> UInt64 {
        var z = state &+ step
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// Normally distributed numbers, one after another (Box and Muller 1958).
package struct NormalDistribution {
    private var generator: SplitMix64
    private let deviation: Double

    /// Numbers around zero with a standard deviation; the same for the same seed.
    package init(seed: UInt64, deviation: Double) {
        generator = SplitMix64(seed: seed)
        self.deviation = deviation
    }

    /// The next number.
    package mutating func next() -> Float {
        let uniform = 1 - Double(generator.next() >> 11) * 0x1p-53
        let angle = 2 * .pi * Double(generator.next() >> 11) * 0x1p-53
        return Float((-2 * log(uniform)).squareRoot() * cos(angle) * deviation)
    }
}

/// Random numbers that follow from where they are used, so that they are the same in any order and on any thread.
enum CounterNoise {
    /// Standard normal numbers of 64 rows for some source rows: those of a source row stand together.
    ///
    /// - Parameters:
    ///   - seed: what they follow from.
    ///   - tile: which rows, the 64-fold of this being the first.
    ///   - first: the first source row.
    ///   - count: how many source rows.
    /// - Returns: 64 numbers for each source row.
    static func normals(_ seed: UInt64, tile: Int, first: Int, count: Int) -> [Float] {
        let keys = (0..<32).map { SplitMix64.mix(SplitMix64.mix(seed) &+ UInt64(tile * 32 + $0)) }
        var numbers = [Float](repeating: 0, count: count * 64)
        unsafe ck_normals(&numbers, keys, UInt64(first), count)
        return numbers
    }
}
