import Logging
import OrderedCollections
import Synchronization
import TestSupport
import Testing

@testable import Formats

/// A write that was stopped goes on, and never leaves half a model under its name.
@Suite struct ResumeTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
        try SmallModel.write(into: folder)
    }

    /// A model whose second shard has to be computed, with the sources of `base`.
    private func model(asHDF5: Bool = false) throws -> Checkpoint {
        var model = try Checkpoint.open(folder.path("base"))
        for (name, tensor) in SmallModel.second.map({ ($0.name, $0) }) {
            model[name] = try #require(model[name]).cast(to: tensor.type == .f32 ? .f64 : .f16)
        }
        model.operations = [.init(name: "test", parameters: JSONObject())]
        if asHDF5 { model.format.structure = HDF5Structure(layout: .plain, fileName: "model.h5") }
        return model
    }

    private func writer(_ interval: Int = 64) -> CheckpointWriter {
        var options = WriteOptions(shardSize: 140)
        options.journalInterval = interval
        return CheckpointWriter(options: options)
    }

    /// How a write ends that is to stop when the writer has asked so many times; nil when it came to its end.
    private func interruption(
        of model: Checkpoint, with writer: CheckpointWriter, after questions: Int
    ) throws -> UserFacingError? {
        var asked = 0
        do throws(UserFacingError) {
            try writer.write(
                model, to: folder.path("out"),
                isCancelled: {
                    asked += 1
                    return asked > questions
                })
            return nil
        } catch {
            return error
        }
    }

    /// Begins a write and stops it when the writer has asked so many times.
    private func stop(
        writing model: Checkpoint, with writer: CheckpointWriter? = nil, after questions: Int
    ) throws {
        let error = try interruption(of: model, with: writer ?? self.writer(), after: questions)
        #expect(error == .interrupted(partial: folder.path(".out.partial")))
    }

    /// The files of a folder with their bytes.
    private func contents(_ name: String) throws -> [String: [UInt8]] {
        var contents: [String: [UInt8]] = [:]
        for file in try folder.names(name) { contents[file] = try folder.bytes("\(name)/\(file)") }
        return contents
    }

    /// The bytes that a write without a stop makes at the same place.
    private func expected(asHDF5: Bool = false) throws -> [String: [UInt8]] {
        try writer().write(model(asHDF5: asHDF5), to: folder.path("out"))
        let whole = try contents("out")
        try FileSystem.remove(folder.path("out"))
        return whole
    }

    /// Stops when the writer has asked `questions` times, as often as there is something left to write.
    @Test(arguments: [false, true]) func stopsAnywhereAndGoesOn(asHDF5: Bool) throws {
        let expected = try expected(asHDF5: asHDF5)
        #expect(expected["model.h5"] != nil || !asHDF5)
        for questions in 0..<400 {
            guard let error = try interruption(of: model(asHDF5: asHDF5), with: writer(), after: questions)
            else {
                #expect(questions > 8)
                #expect(try folder.names() == ["base", "out"])
                return
            }
            #expect(error == .interrupted(partial: folder.path(".out.partial")))
            #expect(try folder.names() == [".out.partial", "base"])
            let report = try writer().write(model(asHDF5: asHDF5), to: folder.path("out"))
            #expect(report.resumedByteCount > 0 || questions < 2)
            #expect(try contents("out") == expected)
            try FileSystem.remove(folder.path("out"))
        }
        Issue.record("it never came to its end")
    }

    /// After a kill the journal's last line may be torn, and files hold bytes that it does not know of.
    @Test func goesOnAfterAKill() throws {
        let expected = try expected()
        try stop(writing: model(), after: 4)
        let journal = String(decoding: try folder.bytes(".out.partial/journal"), as: UTF8.self)
        try folder.write(".out.partial/journal", journal + "at 1 99")
        let shard = ".out.partial/model/model-00002-of-00002.safetensors"
        try folder.write(shard, try folder.bytes(shard) + [UInt8](repeating: 1, count: 5000))
        let report = try writer().write(model(), to: folder.path("out"))
        #expect(report.resumedByteCount > 4096)
        #expect(try contents("out") == expected)
    }

    /// A journal that promises more than the files hold is not believed.
    @Test func aLyingJournalStartsOver() throws {
        let expected = try expected()
        try stop(writing: model(), after: 6)
        let shard = ".out.partial/model/model-00001-of-00002.safetensors"
        try folder.write(shard, Array(try folder.bytes(shard).dropLast()))
        let report = try writer().write(model(), to: folder.path("out"))
        #expect(report.resumedByteCount == 0)
        #expect(try contents("out") == expected)
    }

    @Test func anotherPlanStartsOver() throws {
        try stop(writing: model(), after: 6)
        try folder.write(".out.partial/model/stray", "x")
        let base = try Checkpoint.open(folder.path("base"))
        #expect(try writer().write(base, to: folder.path("out")).resumedByteCount == 0)
        #expect(try !folder.names("out").contains("stray"))
    }

    /// Neither the source nor the output has to be spelled as before.
    @Test func otherSpellingsOfThePathsGoOn() throws {
        try stop(writing: model(), after: 6)
        var again = try Checkpoint.open(folder.path("base/../base/."))
        for (name, tensor) in try model().tensors {
            again[name] = try #require(again[name]).cast(to: tensor.type)
        }
        again.operations = try model().operations
        #expect(try writer().write(again, to: folder.path("./out")).resumedByteCount > 4096)
    }

    @Test func aChangedSourceStartsOver() throws {
        try stop(writing: model(), after: 6)
        let first = [SmallTensor("embed", .bf16, [10, 4]), SmallTensor("changed", .bf16, [4, 4])]
        try FileSystem.remove(folder.path("base"))
        try folder.makeFolder("base")
        try folder.write("base/model.safetensors", safetensors(first + SmallModel.second))
        #expect(try writer().write(model(), to: folder.path("out")).resumedByteCount == 0)
        #expect(try Checkpoint.open(folder.path("out"))["changed"] != nil)
    }

    /// Whatever is done to a tensor makes another plan, and a plan made again is the same.
    @Test func theFingerprintTellsOperationsApart() throws {
        func fingerprint(_ change: (TensorExpression) throws -> TensorExpression) throws -> String? {
            var model = try Checkpoint.open(folder.path("base"))
            let norm = try #require(model["norm"])
            // A cast, so that what is below it has to be computed.
            model["norm"] = try change(norm.cast(to: .f64).reshaped(to: [2, 2]))
            return try writer().plan(model, to: folder.path("out")).fingerprint
        }
        let changes: [(TensorExpression) throws -> TensorExpression] = [
            { $0 }, { $0.zeroed() }, { try $0.transposed() }, { try $0.rows(0..<1) }, { try $0.rows(1..<2) },
            { try $0.reshaped(to: [4]) }, { try $0.reshaped(to: [4, 1]) }, { try $0.cast(to: .f32) },
            { try $0.cast(to: .f16) }, { try .joined([$0, $0]) }, { try .joined([$0, $0.zeroed()]) },
            { try $0.derived(.gathered([0, 1])) }, { try $0.derived(.gathered([1, 0])) },
            { try $0.derived(.mean(of: 0..<2, count: 2)) },
        ]
        let prints = try changes.map { try #require(try fingerprint($0)) }
        #expect(Set(prints).count == changes.count)
        #expect(try changes.map { try #require(try fingerprint($0)) } == prints)
    }

    /// What is computed from something without a fingerprint can't be told from another version of itself.
    @Test func memoryTensorsStartOverUnlessTheySayWhatTheyAre() throws {
        for (fingerprint, resumes) in [(String?.none, false), ("step 400", true)] {
            var model = try Checkpoint.open(folder.path("base"))
            let tensor = MemoryTensor(name: "norm", type: .f32, shape: [4], fingerprint: fingerprint) {
                (range, destination) in
                for place in 0..<range.count {
                    destination.storeBytes(of: 7, toByteOffset: place, as: UInt8.self)
                }
            }
            model["norm"] = try .stored(tensor)
            try stop(writing: model, after: 3)
            let report = try writer().write(model, to: folder.path("out"))
            #expect((report.resumedByteCount > 0) == resumes)
            try FileSystem.remove(folder.path("out"))
        }
    }

    @Test func overflowsBeforeAStopAreReported() throws {
        let tensors = [
            SmallTensor("a b", floats: [1e6, 1], shape: [2]),
            SmallTensor("c\\nd", floats: [2e6, 3e6], shape: [2]),
        ]
        try folder.write("lone.safetensors", safetensors(tensors))
        var model = try Checkpoint.open(folder.path("lone.safetensors"))
        for name in model.names { model[name] = try #require(model[name]).cast(to: .f16) }
        try stop(writing: model, with: writer(1), after: 2)
        let report = try writer(1).write(model, to: folder.path("out"))
        #expect(report.resumedByteCount > 4096)
        #expect(report.overflows == [.init(tensor: "a b", count: 1), .init(tensor: "c\nd", count: 2)])
    }

    @Test func twoWritersOfOneOutput() throws {
        try folder.makeFolder(".out.partial")
        let journal = try WriteJournal.open(folder.path(".out.partial/journal"), output: "out")
        #expect(throws: UserFacingError.busy(path: folder.path("out"))) {
            try writer().write(model(), to: folder.path("out"))
        }
        #expect(journal.durable.isEmpty)
    }

    @Test func whatHappensIsLogged() throws {
        let record = LogRecord()
        var options = writer().options
        options.logger = Logger(label: "test") { _ in record }
        try stop(writing: model(), after: 6)
        try CheckpointWriter(options: options).write(model(), to: folder.path("out"))
        #expect(record.lines.contains("info: going on with a write that was stopped"))
        #expect(record.lines.contains("debug: left out"))
    }

    /// Rows that are drawn count by what that takes; a write is stopped in the middle of it, and goes on.
    @Test func drawnRowsAreWorkThatCanBeStopped() throws {
        func grown() throws -> Checkpoint {
            var checkpoint = Checkpoint(tensors: [:])
            let base = try TensorExpression.stored(
                MemoryTensor(
                    name: "w", shape: [1100, 1000], floats: (0..<1_100_000).map { Float($0 * 31 % 77) }))
            let sample = RowSample(range: 0..<1100, count: 90, variance: 1, seed: 3)
            checkpoint.tensors["w"] = try .joined([base, base.derived(.sampled(sample))])
            return checkpoint
        }
        var seen: [ByteProgress] = []
        try writer().write(grown(), to: folder.path("whole"), progress: { seen.append($0) })
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.share < $1.share && $0.done <= $1.done })
        #expect(zip(seen, seen.dropFirst()).contains { $0.done == $1.done })
        #expect(seen.last.map { abs($0.share - 1) < 1e-4 } == true)
        var (last, isDrawing) = (0, false)
        #expect(throws: UserFacingError.interrupted(partial: folder.path(".out.partial"))) {
            try writer().write(
                grown(), to: folder.path("out"),
                isCancelled: { isDrawing },
                progress: { (isDrawing, last) = ($0.done == last, $0.done) })
        }
        try writer().write(grown(), to: folder.path("out"))
        #expect(try folder.bytes("out/model.safetensors") == folder.bytes("whole/model.safetensors"))
    }

    @Test func progressReachesTheEnd() throws {
        var seen: [ByteProgress] = []
        let report = try writer().write(model(), to: folder.path("out"), progress: { seen.append($0) })
        #expect(seen.last?.done == report.byteCount && seen.last?.total == report.byteCount)
        #expect(zip(seen, seen.dropFirst()).allSatisfy { $0.done < $1.done })
    }
}

/// Keeps what is logged.
private final class LogRecord: LogHandler {
    private let events = Mutex<[String]>([])
    var lines: [String] { events.withLock { $0 } }

    func log(event: LogEvent) { events.withLock { $0.append("\(event.level): \(event.message)") } }

    var logLevel: Logger.Level {
        get { .trace }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }
}
