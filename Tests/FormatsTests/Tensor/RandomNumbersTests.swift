import Testing

@testable import Formats

/// A seed gives the numbers that it always gave: runs and manifests are made again from seeds.
@Suite("Random numbers")
struct RandomNumbersTests {
    /// The first numbers of SplitMix64 for this seed, as its authors' C prints them (prng.di.unimi.it/splitmix64.c).
    @Test func givesThePublishedNumbers() {
        var generator = SplitMix64(seed: 1_234_567)
        #expect(
            (0..<5).map { _ in generator.next() } == [
                6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423,
                4_593_380_528_125_082_431, 16_408_922_859_458_223_821,
            ])
    }

    /// Computed with Python's `math.log`, `math.cos` and `math.sin`, from integers.
    @Test(
        arguments: [
            (0, 0, 0, 0, 0.3404234608715636, 1.9582798774974877),
            (3, 7, 11, 5, 2.0075502794847466, 0.35148382119806143),
            (.max, 1099511627776, 31, 2, 0.10797412120188818, 0.43441170021261283),
        ] as [(UInt64, Int, Int, Int, Double, Double)])
    func noiseFollowsFromItsPlace(
        seed: UInt64, tile: Int, row: Int, source: Int, cosine: Double, sine: Double
    ) {
        let numbers = CounterNoise.normals(seed, tile: tile, first: source - source % 2, count: 2)
        let start = source % 2 * 64
        #expect(abs(Double(numbers[start + row]) - cosine) < 2.5e-7)
        #expect(abs(Double(numbers[start + 32 + row]) - sine) < 2.5e-7)
    }

    /// 2^18 numbers have the moments of the standard normal distribution within five standard errors, and reach its tails.
    @Test func noiseIsNormal() {
        let numbers = CounterNoise.normals(5, tile: 3, first: 0, count: 4096).map(Double.init)
        func moments(_ power: Int) -> Double {
            numbers.reduce(0.0) { sum, number in
                sum + (0..<power).reduce(1.0) { product, _ in product * number }
            } / Double(numbers.count)
        }
        #expect(numbers.count == 262_144)
        #expect(abs(moments(1)) < 5 * 0.00195)
        #expect(abs(moments(2) - 1) < 5 * 0.00277)
        #expect(abs(moments(3)) < 5 * 0.00757)
        #expect(abs(moments(4) - 3) < 5 * 0.0192)
        #expect((numbers.max() ?? 0) > 4 && (numbers.min() ?? 0) < -4)
    }

    /// Computed with Python's `math.log` and `math.cos`, from integers.
    @Test func normalNumbersFollowFromTheSeed() {
        var normal = NormalDistribution(seed: 1, deviation: 0.02)
        #expect(
            (0..<4).map { _ in Double(normal.next()) } == [
                -0.0006853464292362332, -0.0500013493001461, 0.001754449331201613, -0.04054269567131996,
            ])
    }
}
