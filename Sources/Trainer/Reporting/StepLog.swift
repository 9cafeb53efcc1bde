internal import Foundation
public import Formats

/// A file with one line of JSON a step, which a run that goes on continues without a gap or a double line.
public final class StepLog {
    private let handle: FileHandle
    private let encoder = JSONEncoder()

    /// Opens the log; lines of steps after `step` are dropped, as they will be taken again.
    ///
    /// - Throws: ``FileError`` when the file cannot be written.
    public init(path: String, keepingUpTo step: Int) throws(FileError) {
        let kept = Self.lines(path: path, upTo: step)
        do {
            try kept.write(to: URL(filePath: path), options: .atomic)
            handle = try FileHandle(forWritingTo: URL(filePath: path))
            try handle.seekToEnd()
        } catch {
            throw FileError(.write, path, code: Int32(truncatingIfNeeded: (error as NSError).code))
        }
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
    }

    /// Writes a step's line.
    public func write(_ report: StepReport) throws {
        var line = try encoder.encode(report)
        line.append(UInt8(ascii: "\n"))
        try handle.write(contentsOf: line)
    }

    private static func lines(path: String, upTo step: Int) -> Data {
        guard step > 0, let data = try? Data(contentsOf: URL(filePath: path)) else { return Data() }
        var kept = Data()
        for line in data.split(separator: UInt8(ascii: "\n")) {
            guard let report = try? JSONDecoder().decode(StepReport.self, from: line), report.step <= step
            else {
                continue
            }
            kept += line + [UInt8(ascii: "\n")]
        }
        return kept
    }
}
