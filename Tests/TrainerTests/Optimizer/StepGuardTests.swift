import Foundation
import Testing

@testable import Trainer

@Suite struct StepGuardTests {
    /// A guard that has taken so many steps: losses 2 and 3, norms 1 and 1.2 in turn.
    private func guardAfter(_ steps: Int, _ policy: StepGuard.Policy = .skip) -> StepGuard {
        var stepGuard = StepGuard(policy)
        for step in 0..<steps {
            let isOdd = step % 2 == 1
            #expect(stepGuard.judge(loss: isOdd ? 3 : 2, gradientNorm: isOdd ? 1.2 : 1) == .take)
        }
        return stepGuard
    }

    /// 64 values, half of them 2 and half 3: mean 2.5, deviation √(64 · 0.25 / 63) = 0.503953; six of them end at 5.523716.
    @Test func spikesAreFoundByHand() throws {
        var stepGuard = guardAfter(64)
        var same = stepGuard
        #expect(same.judge(loss: 5.5237, gradientNorm: 1) == .take)
        guard case .skip(let finding) = stepGuard.judge(loss: 5.5238, gradientNorm: 1) else {
            Issue.record("5.5238 is a spike")
            return
        }
        #expect(finding.what == "loss" && finding.value == 5.5238)
        let before = try #require(finding.before)
        #expect(before.mean == 2.5 && abs(before.deviation - 0.503_952_63) < 1e-8)
        #expect(abs(finding.deviations - 6.000_167) < 1e-6)
        // The norm's: mean 1.1, deviation 0.100791; the worse of both is told.
        guard case .skip(let worse) = stepGuard.judge(loss: 6, gradientNorm: 100) else {
            Issue.record("100 is a spike")
            return
        }
        #expect(worse.what == "gradient norm" && abs(worse.deviations - 98.9 / 0.100_790_53) < 1e-4)
        #expect(
            worse.description
                == "the gradient norm is 100, 981 standard deviations above the mean of 1.1")
    }

    @Test func fewStepsAndFallsAreNoFindings() {
        var early = guardAfter(63)
        #expect(early.judge(loss: 1_000, gradientNorm: 1_000) == .take)
        var late = guardAfter(128)
        #expect(late.judge(loss: 0, gradientNorm: 0) == .take)
    }

    @Test func whatIsNotFiniteIsAlwaysFound() {
        for policy in StepGuard.Policy.allCases {
            var stepGuard = StepGuard(policy)
            let verdict = stepGuard.judge(loss: .nan, gradientNorm: 1)
            switch (policy, verdict) {
            case (.off, .stop(let finding)), (.stop, .stop(let finding)), (.skip, .skip(let finding)),
                (.rollback, .rollBack(let finding)):
                #expect(finding.description == "the loss is not a finite number")
            default: Issue.record("\(policy): \(verdict)")
            }
        }
        var off = guardAfter(100, .off)
        #expect(off.judge(loss: 1e9, gradientNorm: 1e9) == .take)
    }

    /// A hundredth of the mean at least, so that 6 % above equal values is the limit.
    @Test func equalValuesMakeNoSpikes() {
        var stepGuard = StepGuard(.skip)
        for step in 0..<200 {
            let rounding = step % 3 == 0 ? 1e-12 : 0
            #expect(stepGuard.judge(loss: 2 + rounding, gradientNorm: 0) == .take)
        }
        var same = stepGuard
        #expect(same.judge(loss: 2.1199, gradientNorm: 0) == .take)
        #expect(same.judge(loss: 2, gradientNorm: 3) == .take)  // beside zeros nothing can be told
        #expect(stepGuard.judge(loss: 2.1201, gradientNorm: 0) != .take)
    }

    /// What was left out leaves no trace, and what is old is forgotten.
    @Test func theWindowHoldsTheLastStepsThatWereTaken() {
        var stepGuard = guardAfter(64)
        let untouched = stepGuard
        #expect(stepGuard.judge(loss: 50, gradientNorm: 1) != .take)
        #expect(stepGuard.inARow == 1)
        var (one, other) = (stepGuard, untouched)
        #expect(one.judge(loss: 2, gradientNorm: 1) == .take)
        #expect(other.judge(loss: 2, gradientNorm: 1) == .take)
        #expect(one == other)
        // After 128 steps at 20 that came little by little, 21 is no spike.
        var rising = guardAfter(64)
        for step in 0..<400 { _ = rising.judge(loss: min(20, 3 + Double(step) / 10), gradientNorm: 1) }
        #expect(rising.judge(loss: 21, gradientNorm: 1) == .take)
        #expect(rising.judge(loss: 23, gradientNorm: 1) != .take)
    }

    @Test func tooManyInARowAreAStop() {
        var stepGuard = guardAfter(64)
        stepGuard.mostInARow = 3
        for count in 1...3 {
            guard case .skip = stepGuard.judge(loss: .infinity, gradientNorm: 1) else {
                Issue.record("finding \(count) is skipped")
                return
            }
        }
        guard case .stop = stepGuard.judge(loss: 2, gradientNorm: .nan) else {
            Issue.record("the fourth is a stop")
            return
        }
        #expect(stepGuard.judge(loss: 2, gradientNorm: 1) == .take && stepGuard.inARow == 0)
    }

    @Test func goingBackKeepsTheCount() {
        let kept = guardAfter(70, .rollback)
        var stepGuard = kept
        for _ in 0..<10 { _ = stepGuard.judge(loss: 3, gradientNorm: 1) }
        #expect(stepGuard.judge(loss: 99, gradientNorm: 1) != .take)
        stepGuard.goBack(to: kept, retaking: 10)
        var again = kept
        for _ in 0..<10 {
            #expect(again.judge(loss: 2, gradientNorm: 1) == stepGuard.judge(loss: 2, gradientNorm: 1))
            #expect(stepGuard.inARow == 1)
        }
        // The step at which it was; beyond it all is well.
        #expect(again.judge(loss: 3, gradientNorm: 1) == stepGuard.judge(loss: 3, gradientNorm: 1))
        #expect(again == stepGuard && stepGuard.inARow == 0)
    }

    /// Whatever lies between, a run goes back from one place so often and no more.
    @Test func goingBackToTheSamePlaceEnds() {
        let kept = guardAfter(70, .rollback)
        var stepGuard = kept
        for count in 1...11 {
            // Every second time it is found one step earlier.
            let between = count % 2 == 0 ? 2 : 3
            for _ in 0..<between { #expect(stepGuard.judge(loss: 2, gradientNorm: 1) == .take) }
            let verdict = stepGuard.judge(loss: 99, gradientNorm: 1)
            if case .rollBack = verdict { #expect(count <= 10) } else { #expect(count == 11) }
            stepGuard.goBack(to: kept, retaking: between)
        }
    }

    @Test func aCheckpointKeepsIt() throws {
        var stepGuard = guardAfter(100)
        var read = try JSONDecoder().decode(StepGuard.self, from: JSONEncoder().encode(stepGuard))
        #expect(read == stepGuard)
        #expect(read.judge(loss: 9.71, gradientNorm: 1) == stepGuard.judge(loss: 9.71, gradientNorm: 1))
    }
}
