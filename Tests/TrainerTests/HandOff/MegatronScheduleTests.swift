import Testing

@testable import Trainer

/// The trainer's courses in Megatron's words.
@Suite("Megatron's learning rates") struct MegatronScheduleTests {
    private func factors(_ shape: Schedule.Shape, warmup: Int, floor: Double, steps: Int = 100) -> [Double] {
        let schedule = Schedule(shape: shape, warmup: warmup, steps: steps, floor: floor)
        return (0..<steps).map { schedule.factor(at: $0) }
    }

    /// A fall that begins where the rate is at its peak is Megatron's `WSD`, whatever came before.
    @Test(arguments: [Schedule.Shape.constant, .linear, .cosine, .wsd, .sqrt], [0, 10])
    func coursesAreFound(shape: Schedule.Shape, warmup: Int) throws {
        let (schedule, deviation, _) = MegatronSchedule.nearest(
            to: factors(shape, warmup: warmup, floor: 0.1))
        #expect(deviation < 1e-9, "\(schedule)")
    }

    /// A course that falls to a rate and holds it is none of Megatron's.
    @Test func othersAreFarOff() {
        let (_, deviation, step) = MegatronSchedule.nearest(to: factors(.infinite, warmup: 10, floor: 0))
        #expect(deviation > 0.05 && step > 10)
    }

    /// Values of `OptimizerParamScheduler.get_lr` of megatron-core 0.16.1, WSD: lr 1, 4 steps of warm-up from 0.25, 20 in all,
    /// of which the last 10 fall to 0.1.
    @Test(arguments: [
        (MegatronSchedule.End?.none, 1.0), (.linear, 0.82), (.cosine, 0.914057), (.sqrt, 0.597508),
    ]) func valuesAreMegatrons(end: MegatronSchedule.End?, twelfth: Double) {
        let schedule = MegatronSchedule(
            warmup: 4, first: 0.25, steps: 20, least: 0.1, end: end, endSteps: 10)
        let last = end == nil ? 1 : 0.1
        for (step, value) in [(0, 0.25), (2, 0.625), (4, 1), (10, 1), (12, twelfth), (20, last)] {
            #expect(abs(schedule.factor(at: step) - value) < 1e-6, "at \(step)")
        }
    }
}
