internal import Formats

/// The order in which a pass over `count` documents takes them; the same for the same numbers, always.
func documentOrder(count: Int, seed: UInt64, source: Int, pass: Int) -> [UInt32] {
    var generator = generator(seed: seed, source: source, stream: UInt64(pass))
    return permutation(of: count, from: &generator)
}

/// A generator of its own for each source and stream of numbers.
func generator(seed: UInt64, source: Int, stream: UInt64) -> SplitMix64 {
    var mixer = SplitMix64(seed: seed ^ UInt64(source) &* 0xD134_2543_DE82_EF95)
    return SplitMix64(seed: mixer.next() &+ stream)
}

/// The numbers below `count` in an order that chance decides.
func permutation(of count: Int, from generator: inout SplitMix64) -> [UInt32] {
    var order = (0..<UInt32(count)).map(\.self)
    for last in stride(from: order.count - 1, to: 0, by: -1) {
        // Fisher and Yates by hand: the library's shuffle may change between versions, a run's order may not.
        order.swapAt(last, Int(generator.next() % UInt64(last + 1)))
    }
    return order
}
