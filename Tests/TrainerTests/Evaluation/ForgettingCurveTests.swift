import Testing

@testable import Trainer

@Suite struct ForgettingCurveTests {
    private func curve(_ points: (Double, Double)...) -> ForgettingCurve {
        ForgettingCurve(points.map { ForgettingCurve.Point(newDomain: $0.0, forgetting: $0.1) })
    }

    @Test func interpolatesWhereARunFirstWas() throws {
        let run = curve((3, 0), (2, 0.5), (2.5, 0.9), (1, 0.25))
        #expect(run.forgetting(at: 3) == 0 && run.forgetting(at: 2) == 0.5 && run.forgetting(at: 1) == 0.25)
        #expect(run.forgetting(at: 2.5) == 0.25)  // half-way to the first evaluation
        // From 2.5 to 1, a third of the way: 0.9 less a third of 0.65, but 2 was reached before.
        #expect(abs(try #require(run.forgetting(at: 1.5)) - (0.9 - 0.65 * 2 / 3)) < 1e-12)
        #expect(run.forgetting(at: 3.01) == nil && run.forgetting(at: 0.99) == nil)
        #expect(curve().forgetting(at: 1) == nil)
        #expect(curve((2, 0.3)).forgetting(at: 2) == 0.3)
    }

    @Test func comparesWhereBothHaveLearnedTheSame() throws {
        let (fast, slow) = (curve((3, 0), (2, 0.2), (1, 0.6)), curve((3, 0), (1.5, 0.3)))
        let comparison = try #require(fast.compared(with: slow))
        #expect(comparison.newDomain == 1.5 && comparison.other == 0.3)
        #expect(abs(comparison.forgetting - 0.4) < 1e-12)
        let given = try #require(fast.compared(with: slow, at: 2.25))
        #expect(abs(given.forgetting - 0.15) < 1e-12 && abs(given.other - 0.15) < 1e-12)
        #expect(fast.compared(with: slow, at: 1.2) == nil)
        // One ends where the other begins, and beyond.
        #expect(curve((3, 0), (2, 0.1)).compared(with: curve((1.9, 0), (1, 0.1))) == nil)
        #expect(fast.compared(with: curve()) == nil)
    }
}
