import Formats
import Testing

@testable import Trainer

@Suite struct EvaluationScheduleTests {
    @Test(arguments: [
        (EvaluationSchedule.usual, 1_000, [0, 10, 20, 50, 100, 200, 500, 1_000]),
        // 0.4, 0.8, 2, 4, 8 and 20 steps.
        (.usual, 40, [0, 1, 2, 4, 8, 20, 40]), (.usual, 1, [0, 1]), (.usual, 0, [0]),
        (.percentages([33, 67, 33]), 10, [0, 3, 7, 10]), (.percentages([]), 7, [0, 7]),
        (.every(4), 10, [0, 4, 8, 10]), (.every(5), 10, [0, 5, 10]), (.every(20), 10, [0, 10]),
    ]) func stepsOfARun(schedule: EvaluationSchedule, count: Int, steps: [Int]) throws {
        try schedule.check()
        #expect(schedule.steps(of: count) == steps)
    }

    @Test(arguments: [
        (EvaluationSchedule.percentages([10, 101]), "101"), (.percentages([-1]), "-1"),
        (.percentages([.nan]), "nan"), (.every(0), "every 0"),
    ]) func refuses(schedule: EvaluationSchedule, words: String) {
        let error = #expect(throws: UserFacingError.self) { try schedule.check() }
        #expect(error?.message.contains(words) == true)
    }
}
