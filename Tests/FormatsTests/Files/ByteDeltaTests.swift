import Testing

@testable import Formats

@Suite struct ByteDeltaTests {
    private static func noise(_ count: Int, seed: UInt64) -> [UInt8] {
        var random = CounterRandom(state: seed)
        return (0..<count).map { _ in random.byte() }
    }

    /// Bytes that follow from a seed.
    private struct CounterRandom {
        var state: UInt64

        mutating func byte() -> UInt8 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return UInt8(truncatingIfNeeded: state >> 56)
        }
    }

    private static let base = noise(20_000, seed: 1)

    /// Pairs of files, and how long a delta may be.
    static let cases: [(name: String, base: [UInt8], target: [UInt8], most: Int)] = [
        ("nothing of nothing", [], [], 0), ("something of nothing", [], noise(100, seed: 2), 110),
        ("nothing of something", base, [], 0), ("the same", base, base, 10),
        ("a part taken out", base, Array(base[..<5000] + base[7000...]), 20),
        ("a part put in", base, base[..<5000] + noise(40, seed: 3) + base[5000...], 70),
        ("turned around", base, Array(base[9000...] + base[..<9000]), 20),
        ("short files", [1, 2, 3], [1, 2, 4], 5),
        ("all alike", [UInt8](repeating: 7, count: 9000), [UInt8](repeating: 7, count: 4000), 10),
        ("another file", base, noise(500, seed: 4), 510),
        ("a byte in a hundred", base, base.enumerated().map { $0 % 100 == 0 ? $1 ^ 1 : $1 }, 1800),
    ]

    @Test(arguments: cases.indices) func comesBackAndIsShort(index: Int) {
        let (name, base, target, most) = Self.cases[index]
        let delta = ByteDelta.between(base, target)
        #expect(ByteDelta.apply(delta, to: base, most: target.count) == target, "\(name)")
        #expect(delta.count <= most, "\(name): \(delta.count)")
        if !target.isEmpty { #expect(ByteDelta.apply(delta, to: base, most: target.count - 1) == nil) }
    }

    /// Bytes that are no delta make nothing, and end no program.
    @Test func damageIsNoticed() {
        for seed in 0..<2000 {
            let bytes = Self.noise(seed % 40, seed: UInt64(seed))
            let made = ByteDelta.apply(bytes, to: Self.base, most: 1000)
            #expect(made.map { $0.count <= 1000 } ?? true)
        }
        for delta: [UInt8] in [[5, 1], [0, 200], [0, 1, 0x80], [0] + [UInt8](repeating: 0xFF, count: 20)] {
            #expect(ByteDelta.apply(delta, to: [1, 2, 3], most: 1000) == nil)
        }
    }

    @Test func whatIsPackedComesBack() {
        for (_, _, target, _) in Self.cases {
            let packed = Deflate.packed(target)
            #expect(Deflate.unpacked(packed, most: target.count) == target)
            #expect(Deflate.unpacked(packed, most: .max) == target)
            #expect(target.isEmpty || Deflate.unpacked(packed, most: target.count - 1) == nil)
        }
        #expect(Deflate.unpacked([1, 2, 3], most: 100) == nil)
    }
}
