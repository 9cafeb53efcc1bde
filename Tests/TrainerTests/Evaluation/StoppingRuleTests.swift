import Foundation
import Testing

@testable import Trainer

@Suite struct StoppingRuleTests {
    @Test(arguments: [
        (1.4, 1.4, 1.3, 0.0), (1.4, 1.35, 1.3, 50), (1.4, 1.3, 1.3, 100), (1.4, 1.2, 1.3, 200),
        (1.4, 1.5, 1.3, -100),
        // Where the surgery did no damage.
        (1.3, 1.2, 1.3, nil), (1.2, 1.2, 1.3, nil), (.nan, 1.2, 1.3, nil),
        // Where it begins as its parent but for rounding, as with copied layers that fade in.
        (1.564494710495, 1.6375, 1.564494699984, nil), (1.30001, 1.4, 1.3, nil), (1.3001, 1.3, 1.3, 100),
    ]) func healedInPerCent(raw: Double, now: Double, parent: Double, percent: Double?) throws {
        let share = HealedShare(raw: raw, now: now, parent: parent)
        #expect((share.percent == nil) == (percent == nil))
        if let percent { #expect(abs(try #require(share.percent) - percent) < 1e-9) }
    }

    @Test func aRunIsHealedWhenAllSetsAre() {
        let (better, equal, worse) = (
            HealedShare(raw: 1.4, now: 1.2, parent: 1.3), HealedShare(raw: 1.4, now: 1.3, parent: 1.3),
            HealedShare(raw: 1.4, now: 1.31, parent: 1.3)
        )
        #expect([better, equal].isHealed && ![better, worse].isHealed)
        #expect(![HealedShare]().isHealed)
        #expect(![HealedShare(raw: 1.4, now: .nan, parent: 1.3)].isHealed)
        #expect([HealedShare(raw: 1.4, now: 1.300001, parent: 1.3)].isHealed)
        #expect(![HealedShare(raw: 1.4, now: 1.30002, parent: 1.3)].isHealed)
    }

    /// What is said of a set that began as its parent and has become worse.
    @Test func howMuchWorseItIs() throws {
        let worse = try #require(HealedShare(raw: 1.3, now: 1.365, parent: 1.3).percentWorse)
        #expect(abs(worse - 5) < 1e-9)
        for now in [1.3, 1.300001, 1.2, .nan] {
            #expect(HealedShare(raw: 1.3, now: now, parent: 1.3).percentWorse == nil)
        }
    }

    /// The evaluation, from 1 on, after which a run of 100 steps ends; nil when it does not.
    private func end(_ means: [(step: Int, mean: Double)], patience: Int = 2) -> Int? {
        var state = Patience(evaluations: patience)
        for (index, (step, mean)) in means.enumerated()
        where state.isOver(bitsPerByte: [mean - 0.5, mean + 0.5], after: step, of: 100) { return index + 1 }
        return nil
    }

    @Test func endsAfterEvaluationsWithoutImprovement() {
        #expect(end([(0, 2), (1, 1.9), (2, 1.8), (3, 1.8), (4, 1.85), (5, 1)]) == 5)
        // An improvement in between begins anew.
        #expect(end([(0, 2), (1, 1.9), (2, 1.95), (3, 1.8), (4, 1.9), (5, 1.7), (6, 1.8)]) == nil)
        #expect(end([(0, 2), (1, 1.9), (2, 1.9)], patience: 1) == 3)
        #expect(end([(0, 2), (1, 1.9), (2, .nan), (3, .nan)]) == 4)
    }

    /// The first evaluations are worse than the start, which is no reason to end.
    @Test func waitsThroughTheStabilityGap() {
        #expect(end([(0, 2), (1, 2.5), (2, 2.6), (5, 2.6), (10, 2.7), (20, 2.4), (49, 2.1)]) == nil)
        #expect(end([(0, 2), (1, 2.5), (2, 2.6), (5, 2), (6, 2.1), (7, 2.1)]) == 6)
        // From half of the run on it counts, by what is best from there.
        #expect(end([(0, 2), (1, 2.5), (50, 2.6), (60, 2.5), (70, 2.5), (80, 2.6)]) == 6)
        #expect(end([(0, 2), (50, 2.6), (60, 2.5), (70, 2.4), (80, 2.3), (100, 2.2)]) == nil)
    }

    @Test func patienceIsKept() throws {
        var patience = Patience(evaluations: 2)
        let first = [2, 1.9, 1.95].enumerated().filter {
            patience.isOver(bitsPerByte: [$0.element], after: $0.offset, of: 100)
        }
        #expect(first.isEmpty)
        var read = try JSONDecoder().decode(Patience.self, from: JSONEncoder().encode(patience))
        #expect(read == patience)
        let isOver = read.isOver(bitsPerByte: [1.9], after: 3, of: 100)
        #expect(isOver)
        var silent = Patience(evaluations: 1)
        let ends = (0..<9).filter { silent.isOver(bitsPerByte: [], after: $0, of: 9) }
        #expect(ends.isEmpty)
    }
}
