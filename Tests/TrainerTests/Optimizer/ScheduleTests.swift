import Formats
import Foundation
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

    /// Each shape that was there before pieces were, as one formula: the bits must not change.
    @Test(arguments: [Schedule.Shape.constant, .cosine, .linear, .wsd])
    func piecesHaveTheFormulasBits(shape: Schedule.Shape) {
        func formula(_ schedule: Schedule, _ step: Int) -> Double {
            let (warmup, steps, floor) = (schedule.warmup, schedule.steps, schedule.floor)
            if step < warmup { return Double(step + 1) / Double(warmup) }
            func way(_ start: Int) -> Double {
                min(1, max(0, Double(step - start) / Double(max(1, steps - start))))
            }
            let decay = max(warmup, steps - Int((Double(steps) * schedule.decayShare).rounded()))
            let height =
                switch shape {
                case .cosine: (1 + cos(.pi * way(warmup))) / 2
                case .linear: 1 - way(warmup)
                case .wsd: 1 - way(decay).squareRoot()
                default: 1.0
                }
            return shape == .constant ? 1 : floor + (1 - floor) * height
        }
        for (warmup, steps) in [(0, 1), (0, 100), (3, 7), (10, 317), (7, 7), (9, 5)] {
            for floor in [0, 0.1, 1.0 / 3, 0.7, 1] {
                for share in [0, 0.2, 1.0 / 7, 1] {
                    let schedule = Schedule(
                        shape: shape, warmup: warmup, steps: steps, floor: floor, decayShare: share)
                    for step in 0..<steps + 5 {
                        #expect(schedule.factor(at: step) == formula(schedule, step))
                    }
                }
            }
        }
    }

    @Test func aWarmupMayBeginAtAShare() {
        let schedule = Schedule(shape: .cosine, warmup: 4, warmupFrom: 0.2, steps: 8, floor: 0)
        for (step, factor) in [0.4, 0.6, 0.8, 1, 1, 0.853_553_390_593, 0.5].enumerated() {
            #expect(abs(schedule.factor(at: step) - factor) < 1e-12)
        }
    }

    /// Up, down to what is held, and down at the end; without a decay it is held for ever.
    @Test func infiniteHoldsAndDecays() {
        var schedule = Schedule(
            shape: .infinite, warmup: 10, steps: 100, floor: 0, decayShare: 0.16, cooldownShare: 0.4,
            holdRatio: 0.5)
        #expect(schedule.pieces.map(\.steps) == [10, 40, 34, 16])
        #expect(schedule.factor(at: 9) == 1 && schedule.factor(at: 10) == 1)
        #expect(abs(schedule.factor(at: 30) - 0.75) < 1e-12)  // half of the cosine
        #expect((50...84).allSatisfy { schedule.factor(at: $0) == 0.5 })
        #expect(abs(schedule.factor(at: 88) - 0.25) < 1e-12)  // 4 of 16 steps: half of what is held
        #expect(schedule.factor(at: 100) == 0)
        schedule.decayShare = 0
        #expect((50..<100).allSatisfy { schedule.factor(at: $0) == 0.5 })
        // What does not fit is the cooldown's loss.
        schedule = Schedule(
            shape: .infinite, warmup: 50, steps: 100, floor: 0, decayShare: 0.3, cooldownShare: 0.6)
        #expect(schedule.pieces.map(\.steps) == [50, 20, 0, 30])
    }

    @Test func theAnnealIsTheDecayAlone() {
        let schedule = Schedule(shape: .sqrt, warmup: 10, steps: 16, floor: 0.2)
        #expect(schedule.factor(at: 0) == 1)
        #expect(abs(schedule.factor(at: 4) - 0.6) < 1e-12)
        #expect(abs(schedule.factor(at: 9) - 0.4) < 1e-12)
        let wsd = Schedule(shape: .wsd, warmup: 0, steps: 100, floor: 0.2, decayShare: 0.16)
        #expect((0..<16).allSatisfy { schedule.factor(at: $0) == wsd.factor(at: 84 + $0) })
    }

    private func joined(_ pieces: [String], steps: Int) throws -> Schedule {
        try Schedule(shape: .joined, warmup: 5, steps: steps, floor: 0.3, joined: PieceRule.list(pieces))
    }

    /// A schedule by name is that of its pieces.
    @Test func piecesJoin() throws {
        let schedule = try joined(["linear 10 0-1", "constant rest 1", "sqrt 16% 1-0"], steps: 100)
        let wsd = Schedule(shape: .wsd, warmup: 10, steps: 100, floor: 0, decayShare: 0.16)
        try schedule.check()
        #expect(schedule.pieces == wsd.pieces)
        #expect((0..<100).allSatisfy { schedule.factor(at: $0) == wsd.factor(at: $0) })
        let longer = try joined(["linear 10 0-1", "constant rest 1", "sqrt 16% 1-0"], steps: 200)
        #expect((0...84).allSatisfy { schedule.factor(at: $0) == longer.factor(at: $0) })
        // Thirds take all steps, and cycles may jump.
        let cycles = try joined(
            ["linear 33.4% 1-0.5", "linear 33.3% 1-0.5", "linear 33.3% 1-5e-1"], steps: 10)
        try cycles.check()
        #expect(cycles.pieces.map(\.steps) == [3, 4, 3])
        #expect(cycles.factor(at: 3) == 1 && cycles.factor(at: 5) == 0.75)
        let rising = try joined(["cosine 4 2e-1-1", "sqrt rest 0-1"], steps: 8)
        #expect(abs(rising.factor(at: 1) - 0.6) < 1e-12 && rising.factor(at: 3) == 1)
        #expect(rising.factor(at: 4) == 0.5 && rising.factor(at: 7) == 1)
    }

    @Test func piecesAreKeptAsTheirText() throws {
        let schedule = try joined(["linear 10 0-1", "cosine rest 1-1e-1"], steps: 100)
        let bytes = try JSONEncoder().encode(schedule)
        #expect(String(decoding: bytes, as: UTF8.self).contains(#"["linear 10 0-1","cosine rest 1-1e-1"]"#))
        #expect(try JSONDecoder().decode(Schedule.self, from: bytes) == schedule)
    }

    @Test(arguments: [
        (["linear 10"], "SHAPE LENGTH FROM-TO"), (["liner 10 0-1"], "did you mean linear?"),
        (["linear 0 0-1"], "'0' must be"), (["linear 120% 0-1"], "'120%' must be"),
        (["linear ten 0-1"], "a percentage as in 70%"), (["linear 10 0-2"], "'0-2' must be"),
        (["linear 10 0--1"], "'0--1' must be"), (["linear 10 nan"], "'nan' must be"),
        (["constant 10 0-1"], "stays at one share"), (["linear 10 1"], "is 'constant 10 1'"),
        (["linear rest 0-1", "sqrt rest 1-0"], "'linear rest 0-1' takes the rest"),
        (["linear 60% 0-1", "sqrt 41% 1-0"], "more than 100%"),
    ]) func refusesPieces(pieces: [String], words: String) {
        let error = #expect(throws: UserFacingError.self) { try PieceRule.list(pieces) }
        let text = error?.message ?? ""
        #expect(text.contains(words) && text.contains("the piece '\(pieces.last ?? "")'"), "\(text)")
    }

    @Test(arguments: [
        (["linear 60 0-1", "sqrt 41 1-0"], "take 101 steps, and the run has 100"),
        (["linear 60 0-1", "sqrt 39% 1-0"], "take 99 steps"),
        (["linear 50 0-1", "sqrt 50% 1-0", "constant rest 0.1"], "nothing of the run's 100 steps is left"),
    ]) func refusesPiecesThatDoNotFit(pieces: [String], words: String) throws {
        let schedule = try joined(pieces, steps: 100)
        let error = #expect(throws: UserFacingError.self) { try schedule.check() }
        #expect(error?.message.contains(words) == true, "\(error?.message ?? "")")
        var job = TrainingJob()
        (job.ids, job.steps, job.schedule, job.pieces) = ("rows", 100, .joined, pieces)
        #expect(throws: UserFacingError.self) { try job.check() }
        job.steps = 50
        job.pieces = ["sqrt rest 1-0"]
        try job.check()
    }

    @Test func aJobSaysWhatItsScheduleDoesNotRead() throws {
        func refusal(_ change: (inout TrainingJob) -> Void) -> String {
            var job = TrainingJob()
            job.ids = "rows"
            change(&job)
            do { try job.check(prefix: "--") } catch { return error.message }
            return ""
        }
        #expect(refusal { $0.schedule = .joined }.contains("give --pieces with --schedule joined"))
        #expect(refusal { $0.pieces = ["sqrt rest 1-0"] }.contains("give --pieces with --schedule joined"))
        #expect(refusal { ($0.schedule, $0.warmup) = (.sqrt, 3) }.contains("sqrt has no warm-up"))
        #expect(refusal { ($0.schedule, $0.warmup) = (.sqrt, 0) }.isEmpty)
        #expect(refusal { $0.warmupFrom = 2 }.contains("--warmup-from must be from 0 to 1"))
        // What nothing would read.
        #expect(refusal { ($0.warmup, $0.warmupFrom) = (0, 0.5) }.contains("--warmup is 0; leave one out"))
        #expect(
            refusal { ($0.schedule, $0.minLrRatio) = (.constant, 0) }.contains(
                "--min-lr-ratio is of schedules that fall"))
        #expect(
            refusal { ($0.guarding, $0.guardSigma) = (.off, 3) }.contains("--guard is off; leave one out"))
        #expect(refusal { $0.evalAt = [5] }.contains("--eval-at says when sets are evaluated; name some"))
        #expect(refusal { $0.evalEvery = 5 }.contains("--eval-every says when"))
        #expect(refusal { $0.holdRatio = 0.5 }.contains("are the schedule infinite's"))
        #expect(refusal { ($0.schedule, $0.holdRatio) = (.infinite, 0.05) }.contains("must not be below"))
        #expect(
            refusal { ($0.schedule, $0.cooldownShare) = (.infinite, 0.9) }.contains("more than 1 together"))
        #expect(refusal { ($0.schedule, $0.decayShare) = (.infinite, 0) }.isEmpty)
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
