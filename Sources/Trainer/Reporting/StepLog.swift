internal import Formats
internal import Foundation

/// A file with one line of JSON a step, which a run that goes on continues without a gap or a double line.
public final class StepLog {
    private let file: WritableFile
    private var size: Int
    private let encoder = JSONEncoder()

    /// Opens the log; lines of steps after `step` are dropped, as they will be taken again.
    ///
    /// - Throws: ``UserFacingError`` for a file that holds something else, or `UserFacingError`.
    public init(path: String, keepingUpTo step: Int) throws {
        var kept: [UInt8] = []
        switch FileSystem.kind(of: path) {
        case .file: kept = try Self.lines(of: InputFile(path: path).bytes(), path: path, upTo: step)
        case .folder, .other: throw UserFacingError.notALog(path: path)
        case nil: break
        }
        file = try WritableFile(path: path)
        size = kept.count
        unsafe try file.write(kept.span.bytes, at: 0)
        try file.truncate(to: size)
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
    }

    /// Writes a step's line.
    ///
    /// - Throws: `UserFacingError` when the disk is full.
    public func write(_ report: StepReport) throws {
        let line = [UInt8](try encoder.encode(report)) + [UInt8(ascii: "\n")]
        unsafe try file.write(line.span.bytes, at: size)
        size += line.count
    }

    /// The lines of the steps up to `step`; a last line that was cut off is dropped.
    private static func lines(of bytes: [UInt8], path: String, upTo step: Int) throws -> [UInt8] {
        var kept: [UInt8] = []
        for (number, line) in bytes.split(separator: UInt8(ascii: "\n")).enumerated() {
            guard let report = try? JSONDecoder().decode(StepReport.self, from: Data(line)) else {
                if number == 0 { throw UserFacingError.notALog(path: path) }
                continue
            }
            if report.step <= step { kept += line + [UInt8(ascii: "\n")] }
        }
        return kept
    }
}
