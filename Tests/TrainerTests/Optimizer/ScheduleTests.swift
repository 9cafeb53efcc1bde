import Testing

@testable import Trainer

@Suite struct ScheduleTests {
    @Test func risesEvenlyAndStays() {
        let schedule = Schedule(shape: .constant, warmup: 4, steps: 10, floor: 0.1)
        #expect((0..<6).map(schedule.factor) == [0.25, 0.5, 0.75, 1, 1, 1])
    }

    @Test func cosineFallsToItsFloor() {
        let schedule = Schedule(shape: .cosine, warmup: 0, steps: 8, floor: 0.2)
        #expect(schedule.factor(at: 0) == 1)
        #expect(abs(schedule.factor(at: 4) - 0.6) < 1e-12)  // half-way between the peak and the floor
        #expect(abs(schedule.factor(at: 8) - 0.2) < 1e-12)
        #expect(abs(schedule.factor(at: 100) - 0.2) < 1e-12)
    }

    @Test func lineFallsToItsFloor() {
        let schedule = Schedule(shape: .linear, warmup: 2, steps: 10, floor: 0.2)
        #expect(schedule.factor(at: 1) == 1 && schedule.factor(at: 2) == 1)
        #expect(abs(schedule.factor(at: 6) - 0.6) < 1e-12)
        #expect(abs(schedule.factor(at: 10) - 0.2) < 1e-12)
    }

    /// The peak until the last part, then 1 − √.
    @Test func stableThenDecays() {
        let schedule = Schedule(shape: .wsd, warmup: 10, steps: 100, floor: 0, decayShare: 0.16)
        #expect((10...84).allSatisfy { schedule.factor(at: $0) == 1 })
        #expect(abs(schedule.factor(at: 88) - 0.5) < 1e-12)  // 4 of 16 steps: 1 − √¼
        #expect(abs(schedule.factor(at: 93) - 0.25) < 1e-12)
        #expect(schedule.factor(at: 100) == 0)
        // A longer run begins with the same rates.
        let longer = Schedule(shape: .wsd, warmup: 10, steps: 200, floor: 0, decayShare: 0.16)
        #expect((0...84).allSatisfy { schedule.factor(at: $0) == longer.factor(at: $0) })
    }

    @Test func groupsFollowRoles() throws {
        let layout = try GoldenModel(name: "mistral").pretrained().layout
        let settings = AdamWSettings(
            rate: 1, embeddingScale: 0.5, beta1: 0.9, beta2: 0.95, epsilon: 1e-8, weightDecay: 0.1, clip: nil)
        let groups = ParameterGroup.groups(of: layout, settings)
        for parameter in layout.parameters {
            let words = parameter.weights.words
            let group = try #require(groups.first { $0.block.weights.words.contains(words.lowerBound) })
            #expect(group.block.weights.words.upperBound >= words.upperBound)
            #expect(group.runs.map(\.count) == [group.block.weights.count])
            #expect(group.runs[0].rateScale == ([.embedding, .head].contains(parameter.role) ? 0.5 : 1))
            #expect(group.runs[0].decay == (parameter.role == .norm ? 0 : 0.1))
        }
    }
}
