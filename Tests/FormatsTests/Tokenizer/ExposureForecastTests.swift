import Formats
import Testing

@Suite struct ExposureForecastTests {
    @Test func saysHowManyTokensTheTextCanTeach() throws {
        let forecast = ExposureForecast([0, 99.9, 100, 5_000, 143])
        #expect(forecast.tokens == 5 && forecast.rare == 2 && forecast.taught == 3 && forecast.median == 100)
        let warning = try #require(forecast.warning("in this run", advice: "train longer"))
        #expect(warning.contains("2 of 5 new tokens are seen fewer than 100 times in this run"))
        #expect(
            warning.contains("the median one 100 times") && warning.contains("teach 3 tokens: train longer"))
    }

    /// One in ten is what longer tokens are made of.
    @Test func aFewRareTokensAreNoNews() {
        let common = [Double](repeating: 100, count: 18)
        #expect(!ExposureForecast(common + [0, 0]).isPoor)
        #expect(ExposureForecast(common + [0, 0, 0]).isPoor)
        #expect(ExposureForecast(common + [0, 0]).warning("", advice: "") == nil)
        #expect(!ExposureForecast([]).isPoor)
    }
}
