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

    /// Computed with Python's `math.log` and `math.cos`, from integers.
    @Test(
        arguments: [
            (0, 0, 0, 1.8906747020382062), (3, 7, 11, -0.4947527023529376),
            (.max, 1 << 40, 5, -0.17840526410172455),
        ] as [(UInt64, UInt64, UInt64, Double)])
    func noiseFollowsFromItsPlace(seed: UInt64, row: UInt64, column: UInt64, expected: Double) {
        #expect(CounterNoise.normal(seed, row, column) == expected)
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
