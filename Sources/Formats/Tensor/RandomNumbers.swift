internal import Glibc

/// Random numbers that follow from where they are used, so that they are the same in any order and on any thread.
enum CounterNoise {
    /// A standard normal number for a place (Box and Muller 1958).
    static func normal(_ seed: UInt64, _ row: UInt64, _ column: UInt64) -> Double {
        let first = mix(mix(mix(seed) &+ row) &+ column)
        let second = mix(first &+ 0x9E37_79B9_7F4A_7C15)
        // 53 bits each; the first is never 0.
        let radius = (-2 * log((Double(first >> 11) + 1) * 0x1p-53)).squareRoot()
        return radius * cos(2 * .pi * Double(second >> 11) * 0x1p-53)
    }

    /// The finalizer of SplitMix64 (Steele, Lea and Flood 2014, section 4).
    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
