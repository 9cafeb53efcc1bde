internal import Foundation
package import Formats

/// A line of JSON a step: in a file, which a run that goes on continues without a gap or a double line, or into a pipe.
///
/// Every line names its run, so that no run erases or mixes the lines of another. A ``RunRecord`` also has lines of what
/// happened between steps, which have an `event`.
public final class StepLog {
    private let output: Output
    private let run: String
    private let encoder = JSONEncoder()

    private enum Output {
        case file(AppendedFile)
        case stream(FileHandle)
    }

    /// Opens the log.
    ///
    /// - Parameters:
    ///   - path: a file; or a pipe, a terminal, `/dev/stdout`, to which lines are only added.
    ///   - run: the run's name.
    ///   - step: lines of the run after it are dropped, as these steps will be taken again.
    ///   - rollbacks: how often the run had gone back by then; what was written before stays.
    ///   - resumes: whether lines of this run may be there.
    ///   - replaces: whether another run's lines are replaced.
    /// - Throws: ``UserFacingError`` for a file that holds something else.
    public init(
        path: String, run: String, keepingUpTo step: Int, rollbacks: Int = 0, resumes: Bool, replaces: Bool
    ) throws {
        self.run = run
        encoder.outputFormatting = [.withoutEscapingSlashes, .sortedKeys]
        if let stream = try Self.stream(path) {
            output = .stream(stream)
            return
        }
        let file = try WritableFile(path: path)
        guard file.lock() else { throw UserFacingError.logBusy(path: path) }
        let kept = try Self.lines(
            of: file.bytes(), path: path, run: run, upTo: step, rollbacks: rollbacks, resumes: resumes,
            replaces: replaces)
        unsafe try file.write(kept.span.bytes, at: 0)
        output = .file(try AppendedFile(file, keeping: kept.count))
    }

    /// Writes a step's line, and those before that could not be written.
    ///
    /// - Throws: ``UserFacingError`` when the disk is full; the line is written with the next that can be.
    public func write(_ report: StepReport) throws {
        try write([UInt8](try encoder.encode(Line(run: run, report: report))))
    }

    /// Writes a line of what happened after a step, an object with its `event` and `step`.
    func write(event: JSONObject) throws {
        var line = event
        line["run"] = .string(run)
        try write(JSON.object(line).serialized(indent: nil))
    }

    private func write(_ line: [UInt8]) throws {
        let line = line + [UInt8(ascii: "\n")]
        switch output {
        case .file(let file): try file.append(line)
        case .stream(let stream):
            do { try stream.write(contentsOf: Data(line)) } catch { throw UserFacingError.logClosed }
        }
    }

    /// What lines are only added to: a pipe, a terminal, or what the program was given open; nil for a plain file.
    private static func stream(_ path: String) throws -> FileHandle? {
        let name = path == "/dev/stdout" ? "/dev/fd/1" : path == "/dev/stderr" ? "/dev/fd/2" : path
        for folder in ["/dev/fd/", "/proc/self/fd/"] where name.hasPrefix(folder) {
            // Opened again it would be written from its beginning.
            guard let number = Int32(name.dropFirst(folder.count)) else { continue }
            return FileHandle(fileDescriptor: number, closeOnDealloc: false)
        }
        switch FileSystem.kind(of: path) {
        case .file, nil: return nil
        case .folder: throw UserFacingError.notALog(path: path)
        case .other:
            guard let stream = FileHandle(forWritingAtPath: path) else {
                throw UserFacingError.file(.open, path)
            }
            return stream
        }
    }

    /// The lines that stay: those of this run up to `step`; a last line that was cut off is dropped.
    private static func lines(
        of bytes: [UInt8], path: String, run: String, upTo step: Int, rollbacks: Int, resumes: Bool,
        replaces: Bool
    ) throws -> [UInt8] {
        var (kept, all, found): ([UInt8], [UInt8], Int) = ([], [], 0)
        let lines = bytes.split(separator: UInt8(ascii: "\n"))
        for (number, line) in lines.enumerated() {
            guard let entry = try? JSONDecoder().decode(Line.self, from: Data(line)) else {
                let isCutOff = number > 0 && number == lines.count - 1 && bytes.last != UInt8(ascii: "\n")
                guard isCutOff else { throw UserFacingError.notALog(path: path) }
                continue
            }
            if replaces { continue }
            guard resumes, entry.run == run else { throw UserFacingError.otherLog(path: path) }
            all += line + [UInt8(ascii: "\n")]
            if entry.event == "rolled_back" {
                found += 1
                if found <= rollbacks { kept = all }
            } else if entry.step <= step {
                kept += line + [UInt8(ascii: "\n")]
            }
        }
        return kept
    }
}

extension StepLog: RunReporter {
    func note(_ event: TrainingEvent) throws { if case .step(let report) = event { try write(report) } }
}

/// A line of the log.
private struct Line: Codable {
    let run: String
    let step: Int
    /// Nil in a line of what happened between steps.
    let report: StepReport?
    /// What happened; nil in a step's line.
    let event: String?

    enum CodingKeys: CodingKey { case run, step, event }

    init(run: String, report: StepReport) {
        (self.run, step, self.report, event) = (run, report.step, report, nil)
    }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        run = try container.decode(String.self, forKey: .run)
        step = try container.decode(Int.self, forKey: .step)
        event = try container.decodeIfPresent(String.self, forKey: .event)
        report = event == nil ? try StepReport(from: decoder) : nil
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(run, forKey: .run)
        try report?.encode(to: encoder)
    }
}

extension UserFacingError {
    /// Another run writes to the log.
    package static func logBusy(path: String) -> Self {
        Self(.busy, "\(path): another process writes this log; name another --log")
    }

    /// The log has lines of another run.
    package static func otherLog(path: String) -> Self {
        Self(
            .request,
            """
            \(path) has lines of another run, which are not erased; name another --log, or replace it with --force
            """)
    }

    /// Nobody reads the log any more.
    package static var logClosed: Self { Self(.system(code: EPIPE), "nobody reads the log any more") }
}
