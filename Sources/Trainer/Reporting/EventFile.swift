package import Formats
internal import Foundation

/// A file of a run's figures that TensorBoard reads, also while the run goes on: `events.out.tfevents.…`.
///
/// It begins with the first step. A run that goes on begins a new file, whose first record tells TensorBoard to forget
/// the steps that are taken again.
///
/// Source: `tensorflow/core/util/event.proto` and `tensorflow/core/framework/summary.proto`; records are framed as in
/// `tensorflow/core/lib/io/record_writer.h`.
final class EventFile: RunReporter {
    /// The folder in a run's.
    static let folderName = "tensorboard"

    private let folder: String
    private let begun: Int
    private let replacesOthers: Bool
    private var file: AppendedFile?
    /// What happened before the first step, and what found no room.
    private var waiting: [Event] = []
    /// Tokens that all steps before have shown; nil before the first.
    private var tokens: Int?
    private var tokensPerStep = 0

    /// The file of a run.
    ///
    /// - Parameters:
    ///   - folder: where it lies; made if need be.
    ///   - begun: steps that are done.
    ///   - replacesOthers: whether a run that begins removes the files of others.
    init(in folder: String, begun: Int, replacesOthers: Bool) {
        (self.folder, self.begun, self.replacesOthers) = (folder, begun, replacesOthers)
    }

    /// Looks whether a folder can be made or is one.
    ///
    /// - Parameters:
    ///   - folder: where the files are to lie.
    ///   - models: the folders of models, in which nothing else is written.
    /// - Throws: ``UserFacingError`` that says what is in its place.
    static func check(_ folder: String, apartFrom models: [String] = []) throws(UserFacingError) {
        for model in models where Path.isInside(Path.absolute(folder), Path.absolute(model)) {
            throw .noEventFolder(folder, "lies in the folder of a model")
        }
        switch FileSystem.kind(of: folder) {
        case .folder: return
        case .file, .other: throw .noEventFolder(folder, "is not a folder")
        case nil:
            guard FileSystem.kind(of: Path.parent(Path.absolute(folder))) == .folder else {
                throw .noEventFolder(folder, "lies in a folder that does not exist")
            }
        }
    }

    func note(_ event: TrainingEvent) throws {
        switch event {
        case .started(let step, _, _, let tokensPerStep):
            self.tokensPerStep = tokensPerStep
            waiting = [.version]
            if step > 0 { waiting.append(.goingOn(at: step + 1)) }
        case .stage(_, _, _, _, let tokens): tokensPerStep = tokens
        case .evaluated(let set, let step, let result):
            var scalars = [("eval_loss/\(set)", result.loss)]
            if let bits = result.bitsPerByte { scalars.append(("bits_per_byte/\(set)", bits)) }
            try write(.scalars(scalars, step: step))
        case .step(let report): try write(.scalars(scalars(of: report), step: report.step))
        case .rolledBack(_, let step, _, _):
            try write(.goingOn(at: step + 1))
            tokens = nil
        case .parent, .noParent, .healed, .skipped, .kept, .notKept, .notLogged, .drifted, .exposed, .writing,
            .ended,
            .finished:
            break
        }
    }

    /// The figures of a step, by their tags.
    private func scalars(of report: StepReport) -> [(String, Double)] {
        var scalars = [("loss", report.loss), ("lr", report.lr), ("grad_norm", report.gradNorm)]
        if let teacher = report.teacher {
            scalars.append(("cross_entropy", teacher.crossEntropy))
            if let divergence = teacher.divergence { scalars.append(("kl", divergence)) }
            if let hidden = teacher.hidden { scalars.append(("hidden_mse", hidden)) }
        }
        if let rows = report.rows {
            scalars.append(("mse", rows.meanSquare))
            if let entropy = rows.crossEntropy { scalars.append(("cross_entropy", entropy)) }
        }
        let before = tokens ?? max(0, report.tokens - tokensPerStep)
        scalars.append(("tokens_per_second", Double(report.tokens - before) / max(1e-9, report.seconds)))
        tokens = report.tokens
        for (name, figures) in report.sources.sorted(by: { $0.key < $1.key }) {
            scalars.append(("share/\(name)", Double(figures.tokens) / Double(max(1, report.tokens))))
            scalars.append(("passes/\(name)", figures.passes))
        }
        return scalars
    }

    private func write(_ event: Event) throws(UserFacingError) {
        waiting.append(event)
        guard event.step > begun || file != nil else { return }
        if file == nil { file = try open() }
        let events = waiting
        // What finds no room waits in the file.
        waiting = []
        try file?.append(events.flatMap { EventRecord.framed($0.bytes) })
    }

    private func open() throws(UserFacingError) -> AppendedFile {
        if begun == 0, replacesOthers { try FileSystem.remove(folder) }
        try FileSystem.create(folder)
        let count = try FileSystem.names(folder).count { $0.contains(".tfevents.") }
        // TensorBoard reads the files of a folder in the order of their names.
        let number = String(count + 10_000).dropFirst()
        let seconds = Int(Date.now.timeIntervalSince1970)
        let name = "events.out.tfevents.\(seconds).trainer.\(number)"
        return try AppendedFile(WritableFile(path: Path.join(folder, name)), keeping: 0)
    }
}

/// An `Event` of TensorBoard.
struct Event {
    /// The step that it is of.
    let step: Int
    /// Seconds since 1970.
    var time = Date.now.timeIntervalSince1970
    private let field: UInt64
    private let content: [UInt8]

    /// What every file begins with.
    static var version: Event { Event(step: 0, field: 3, content: Array("brain.Event:2".utf8)) }

    /// A `SessionLog` whose status is START: steps from this one on are taken again.
    static func goingOn(at step: Int) -> Event {
        var log = ProtobufWriter()
        log.append(field: 1, varint: 1)
        return Event(step: step, field: 7, content: log.bytes)
    }

    /// A `Summary` of numbers by their tags.
    static func scalars(_ values: [(tag: String, value: Double)], step: Int) -> Event {
        var summary = ProtobufWriter()
        for (tag, number) in values {
            var value = ProtobufWriter()
            value.append(field: 1, bytes: Array(tag.utf8))
            value.append(field: 2, fixed32: Float(number).bitPattern)
            summary.append(field: 1, bytes: value.bytes)
        }
        return Event(step: step, field: 5, content: summary.bytes)
    }

    private init(step: Int, field: UInt64, content: [UInt8]) {
        (self.step, self.field, self.content) = (step, field, content)
    }

    /// The message.
    var bytes: [UInt8] {
        var event = ProtobufWriter()
        event.append(field: 1, fixed64: time.bitPattern)
        if step != 0 { event.append(field: 2, varint: UInt64(step)) }
        event.append(field: field, bytes: content)
        return event.bytes
    }
}

/// A record of a TFRecord file: its length, its bytes, and a checksum of each.
enum EventRecord {
    /// The record of these bytes.
    static func framed(_ bytes: [UInt8]) -> [UInt8] {
        let length = littleEndian(UInt64(bytes.count), count: 8)
        return length + littleEndian(UInt64(masked(length)), count: 4) + bytes
            + littleEndian(UInt64(masked(bytes)), count: 4)
    }

    /// The CRC-32C of bytes, turned by 15 bits and shifted, so that a checksum of checksums is none by chance.
    static func masked(_ bytes: [UInt8]) -> UInt32 {
        let sum = checksum(bytes)
        return (sum >> 15 | sum << 17) &+ 0xA282_EAD8
    }

    /// CRC-32C (Castagnoli), RFC 3720 appendix B.4.
    static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(~0) { sum, byte in table[Int(UInt8(truncatingIfNeeded: sum) ^ byte)] ^ sum >> 8 }
    }

    private static let table = (0..<256 as Range<UInt32>).map { byte in
        (0..<8).reduce(byte) { sum, _ in sum >> 1 ^ (sum & 1 == 1 ? 0x82F6_3B78 : 0) }
    }

    private static func littleEndian(_ value: UInt64, count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }
}

extension UserFacingError {
    /// TensorBoard's files have no place.
    package static func noEventFolder(_ folder: String, _ reason: String) -> Self {
        Self(.request, "\(folder) \(reason); name another --tensorboard")
    }
}
