import Formats
import Models
import TestSupport
import Testing

@testable import Trainer

@Suite struct TrainingProbeTests {
    private static let size = TrainingProbe.Size(steps: 4, batch: 2, length: 48, heldBack: 5)
    private let texts = [
        TrainingProbe.Text(
            TextSource(name: "ko", path: "ko", weight: 3), in: [example("data/korean.train.jsonl")]),
        TrainingProbe.Text(
            TextSource(name: "en", path: "en", isReplay: true),
            in: [example("data/english.train.jsonl"), example("data/english.val.jsonl")]),
    ]

    private func probe(
        seed: UInt64 = 0, texts: [TrainingProbe.Text]? = nil, newTokens: [Range<Int>] = [],
        size: TrainingProbe.Size = size, threads: Int = 2
    ) throws -> TrainingProbe {
        var job = TrainingJob()
        job.seed = seed
        return try TrainingProbe(
            job, on: texts ?? self.texts, of: Checkpoint.openModel(example("base")), newTokens: newTokens,
            size: size, threads: threads)
    }

    /// It learns what is held back, the same again and on any number of threads.
    @Test func measuresBeforeAndAfter() throws {
        let model = try Checkpoint.openModel(example("base"))
        let probe = try probe()
        #expect(probe.heldBack.documents >= 2 && probe.heldBack.tokens >= 240)
        #expect(probe.heldBack.bytes > 0 && probe.trainingBytes > 0)
        var steps: [Int] = []
        let found = try probe.measure(model, progress: { steps.append($0) })
        #expect(steps == [1, 2, 3, 4])
        #expect(found.after < found.before && found.after > 0)
        #expect(try probe.measure(model) == found)
        #expect(try self.probe(threads: 1).measure(model) == found)
        #expect(try self.probe(seed: 1).measure(model) != found)
        #expect(try probe.expectedSeconds(of: model) > 0)
    }

    /// A model sees no more tokens than it can.
    @Test func isAsLongAsTheModelSees() throws {
        let probe = try probe(size: .init(steps: 1, batch: 1, length: 4_096, heldBack: 1))
        #expect(probe.size.length == 512)
    }

    @Test func refusesWhatDoesNotFit() throws {
        let few = #expect(throws: UserFacingError.self) {
            try probe(size: .init(steps: 5_000, batch: 2, length: 48, heldBack: 5))
        }
        #expect(few?.kind == .missing)
        #expect(few?.message.contains("360,000 to train on and 180 in other documents") == true)
        // One document can't be divided.
        let folder = try TemporaryFolder()
        let one = try folder.write("one.txt", String(repeating: "A line of a text.\n", count: 900))
        let alone = #expect(throws: UserFacingError.self) {
            try probe(texts: [TrainingProbe.Text(TextSource(path: "one"), in: [one])])
        }
        #expect(alone?.message.contains("in 1 documents") == true)
        // Nothing is learned of a token that no text has.
        let none = #expect(throws: UserFacingError.self) { try probe(newTokens: [0..<1]) }
        #expect(none?.message.contains("none of the 1 new tokens is in what would be trained on") == true)
        _ = try probe(newTokens: [0..<1, 5..<1_000])
        let memory = #expect(throws: UserFacingError.self) { try probe().check(available: 1_000_000) }
        #expect(memory?.kind == .resources && memory?.message.contains("1 MB are available") == true)
        try probe().check(available: .max)
    }

    @Test func aStopEndsIt() throws {
        let probe = try probe()
        let error = #expect(throws: UserFacingError.self) {
            var steps = 0
            _ = try probe.measure(
                Checkpoint.openModel(example("base")), isCancelled: { steps == 2 }, progress: { steps = $0 })
        }
        #expect(error?.kind == .interrupted)
    }
}
