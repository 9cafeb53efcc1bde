import Formats
import Foundation
import TestSupport
import Testing

@testable import Trainer

@Suite struct EventFileTests {
    /// TensorBoard's own writer wrote these: `Scripts/fixtures/event_files.py`, tensorboard 2.21.0.
    @Test func bytesAreThoseOfTensorBoard() throws {
        let folder = Bundle.module.url(forResource: "Fixtures/tensorboard", withExtension: nil)
        let fixture = try #require(folder)
        let written = Array(
            try Data(contentsOf: fixture.appending(path: "events.out.tfevents.fixture")))
        let entries = try JSON.read(path: fixture.appending(path: "events.json").path()).array ?? []
        #expect(entries.count == 5)
        let bytes = try entries.flatMap { entry -> [UInt8] in
            let step = try #require(entry["step"]?.int)
            var event: Event
            if entry["version"] != nil {
                event = .version
            } else if entry["going_on"] != nil {
                event = .goingOn(at: step)
            } else {
                event = .scalars(
                    try #require(entry["scalars"]?.array).map {
                        (try #require($0[0]?.string), try #require($0[1]?.double))
                    }, step: step)
            }
            event.time = try #require(entry["time"]?.double)
            return EventRecord.framed(event.bytes)
        }
        #expect(bytes == written)
    }

    /// RFC 3720, appendix B.4.
    @Test(
        arguments: [
            ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
            ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
            (Array(0..<32), 0x46DD_794E),
            (Array((0..<32).reversed()), 0x113F_DB5C),
        ] as [([UInt8], UInt32)])
    func checksumsAreThoseOfTheRFC(_ bytes: [UInt8], _ sum: UInt32) {
        #expect(EventRecord.checksum(bytes) == sum)
    }

    private func report(_ step: Int) -> StepReport {
        StepReport(
            step: step, loss: 3, tokens: 64 * step, lr: 1e-3, gradNorm: 1, seconds: 0.5,
            sources: ["en": SourceFigures(passes: 0.5, coverage: 0.5, tokens: 64 * step)])
    }

    /// Nothing is written before the first step; a run that goes on adds a file.
    @Test func filesBeginWithTheFirstStep() throws {
        let folder = try TemporaryFolder()
        let place = folder.path("events")
        func begin(_ begun: Int, replaces: Bool = true) throws -> EventFile {
            let file = EventFile(in: place, begun: begun, replacesOthers: replaces)
            try file.note(.started(step: begun, steps: 4, parameters: 1, tokensPerStep: 64))
            return file
        }
        let result = EvaluationResult(sum: 10, tokens: 5, bytes: 20)
        let first = try begin(0)
        try first.note(.evaluated(name: "en", afterStep: 0, result))
        #expect(!FileManager.default.fileExists(atPath: place))
        try first.note(.step(report(1)))
        let one = try #require(try folder.names("events").first)
        #expect(one.hasPrefix("events.out.tfevents.") && one.hasSuffix(".trainer.0000"))
        let size = try folder.bytes("events/\(one)").count
        try first.note(.step(report(2)))
        // Whoever reads while the run goes on sees every step.
        #expect(try folder.bytes("events/\(one)").count > size)
        let second = try begin(2)
        try second.note(.step(report(3)))
        #expect(try folder.names("events").count == 2)
        let third = try begin(0, replaces: false)
        try third.note(.step(report(1)))
        #expect(try folder.names("events").count == 3)
        let fourth = try begin(0)
        try fourth.note(.step(report(1)))
        #expect(try folder.names("events").count == 1)
    }

    @Test func aPlaceThatIsNoFolderIsNamed() throws {
        let folder = try TemporaryFolder()
        let file = try folder.write("file", "")
        #expect(throws: UserFacingError.noEventFolder(file, "is not a folder")) { try EventFile.check(file) }
        #expect(throws: UserFacingError.self) { try EventFile.check(folder.path("none/events")) }
        try EventFile.check(folder.path("events"), apartFrom: [folder.path("event")])
        for inside in ["model", "model/events"] {
            let error = #expect(throws: UserFacingError.self) {
                try EventFile.check(folder.path(inside), apartFrom: [folder.path("model")])
            }
            #expect(error?.message.contains("in the folder of a model") == true)
        }
    }
}
