/// A small generator of good random numbers (Steele, Lea and Flood, *SplitMix*, 2014).
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    /// A generator that gives the same numbers for the same seed.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// The order in which a pass over `count` documents takes them; the same for the same numbers, always.
func documentOrder(count: Int, seed: UInt64, source: Int, epoch: Int) -> [UInt32] {
    var mixer = SplitMix64(seed: seed ^ UInt64(source) &* 0xD134_2543_DE82_EF95)
    var generator = SplitMix64(seed: mixer.next() &+ UInt64(epoch))
    var order = (0..<UInt32(count)).map(\.self)
    for last in stride(from: order.count - 1, to: 0, by: -1) {
        // Fisher and Yates by hand: the library's shuffle may change between versions, a run's order may not.
        order.swapAt(last, Int(generator.next() % UInt64(last + 1)))
    }
    return order
}
