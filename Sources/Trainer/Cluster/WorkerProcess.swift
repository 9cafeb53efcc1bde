internal import Formats
internal import Foundation

/// Carries out a ``PreparedJob`` by PyTorch's engine on this machine: writes its ``RunFolder``, starts torchrun, tells what
/// the worker does, and adopts what it has made.
public final class ClusterRun {
    /// What there is to know of the Python that computes, in a line.
    public var environment: String { python.line }
    /// What there is to know of the sets' texts, a sentence each.
    public var warnings: [String] { job.evaluations.flatMap(\.warnings) }

    private let job: PreparedJob
    private let settings: ClusterSettings
    private let python: PythonEnvironment
    private let path: String

    /// Finds the Python and looks whether the job can be begun; writes nothing.
    ///
    /// - Throws: a ``UserFacingError`` that names the option, the version or the folder.
    public init(_ job: PreparedJob, _ settings: ClusterSettings) throws {
        try ClusterJob.check(job)
        // What the run takes of memory is the worker's, not that of this program's engine.
        try job.check(available: nil)
        (self.job, self.settings) = (job, settings)
        path = RunFolder.path(of: job.output.output)
        try Self.check(settings.processes, job)
        python = try .find(settings.python)
    }

    private static func check(_ processes: Int?, _ job: PreparedJob) throws(UserFacingError) {
        guard let processes else { return }
        for stage in job.stages where processes > stage.plan.batch * stage.plan.accumulate {
            let sequences = stage.plan.batch * stage.plan.accumulate
            throw UserFacingError(
                .request,
                """
                \(processes) processes for \(sequences) sequences a step; take 1 to \(sequences) processes, or a larger \
                --batch or --accumulate
                """)
        }
    }

    /// Writes the run folder of a job for another machine.
    ///
    /// - Returns: the folder.
    /// - Throws: a ``UserFacingError`` that names the option or the file.
    public static func plan(
        _ job: PreparedJob, _ settings: ClusterSettings, isCancelled: () -> Bool
    ) throws -> String {
        try job.check(available: nil)
        guard job.job.maxTime == nil else {
            throw UserFacingError(
                .request,
                "--max-time is of the start at hand; leave it out, and give worker.py --max-time SECONDS where it is started"
            )
        }
        let path = RunFolder.path(of: job.output.output)
        if job.options.force { try FileSystem.remove(path) }
        guard !FileSystem.exists(path) else {
            throw UserFacingError(
                .request, "\(path) holds a run; replace it with --force, or name another --output")
        }
        return try RunFolder.write(job, settings, to: path, isCancelled: isCancelled).path
    }

    /// Carries it out.
    ///
    /// - Parameters:
    ///   - isCancelled: asked often; true lets the worker end the step at hand, and keep the run.
    ///   - notify: told what happens.
    /// - Returns: what the run did.
    /// - Throws: a ``UserFacingError`` when it was stopped or failed; what was kept before is then still there.
    public func callAsFunction(
        isCancelled: @escaping () -> Bool, notify: @escaping (TrainingEvent) -> Void
    ) throws -> TrainingOutcome {
        let folder = try open(isCancelled)
        let events = WorkerEvents(
            folder, log: job.job.log, tensorboard: job.eventFolder, replaces: job.options.force,
            notify: notify)
        do { try work(folder, events, isCancelled) } catch {
            if events.outcome.step > 0 {
                let words = (error as? UserFacingError)?.description ?? "\(error)"
                events.tell(.ended(step: events.outcome.step, reason: words))
            }
            throw error
        }
        let outcome = try Adoption(folder, options: job.options).adopt(events, isCancelled)
        try FileSystem.remove(folder.path)
        return outcome
    }

    /// The run folder: as it was planned before where the run goes on.
    private func open(_ isCancelled: () -> Bool) throws -> RunFolder {
        guard FileSystem.exists(path) else {
            return try RunFolder.write(job, settings, to: path, isCancelled: isCancelled)
        }
        guard job.options.resume || job.options.force else {
            throw UserFacingError(
                .request, "\(path) holds a run; add --resume to go on with it, or --force to begin again")
        }
        guard job.options.resume else {
            try FileSystem.remove(path)
            return try RunFolder.write(job, settings, to: path, isCancelled: isCancelled)
        }
        let folder = try RunFolder.open(path)
        let differences = try ClusterJob(job, settings, evaluations: []).differences(from: folder.job)
        guard differences.isEmpty else {
            throw UserFacingError.otherRun(folder: path, differences: differences)
        }
        return folder
    }

    /// Starts the processes and waits for their end.
    private func work(_ folder: RunFolder, _ events: WorkerEvents, _ isCancelled: () -> Bool) throws {
        let stop = Path.join(folder.path, RunFolder.stopName)
        try FileSystem.remove(stop)
        defer { try? FileSystem.remove(stop) }
        var lines = EventLines(path: Path.join(folder.path, RunFolder.eventsName))
        let (process, log) = (Process(), Path.join(folder.path, RunFolder.logName))
        try FileSystem.remove(log)
        guard FileManager.default.createFile(atPath: log, contents: nil),
            let output = FileHandle(forWritingAtPath: log)
        else { throw UserFacingError.file(.create, log) }
        process.executableURL = URL(filePath: python.path)
        let count = settings.processes.map(String.init) ?? (settings.device == .cuda ? "gpu" : "1")
        process.arguments = [
            "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1", "--nproc-per-node",
            count,
            Path.join(folder.path, RunFolder.workerName), Path.join(folder.path, RunFolder.jobName),
        ]
        if let time = job.job.maxTime {
            process.arguments? += ["--max-time", String(try RunTime(time, of: "max-time").seconds)]
        }
        var environment = ProcessInfo.processInfo.environment
        environment["OMP_NUM_THREADS"] = String(max(1, job.options.threads / (settings.processes ?? 1)))
        process.environment = environment
        (process.standardOutput, process.standardError) = (output, output)
        process.standardInput = FileHandle.nullDevice
        try process.run()
        var isAsked = false
        while true {
            let isRunning = process.isRunning
            for line in try lines.next() { try events.take(line) }
            if !isRunning { break }
            if isCancelled(), !isAsked {
                isAsked = true
                try AtomicFile(path: stop).publish([])
            }
            Thread.sleep(forTimeInterval: 0.05)
        }
        if let step = events.stoppedAfter {
            let why = events.isOutOfTime ? " after \(job.job.maxTime ?? "") (--max-time)" : ""
            throw UserFacingError.interrupted(
                step == 0
                    ? "\(why); no step was taken, so nothing is kept"
                    : "\(why); step \(step) of the run is kept, and the same command with --resume goes on")
        }
        guard process.terminationStatus == 0, events.isFinished else {
            throw events.refusal
                ?? died(process.terminationStatus, log: log, saying: events.crash)
        }
    }

    /// What to say of processes that ended and did not know why: a signal is the cause of what others then say.
    private func died(_ status: Int32, log: String, saying crash: String?) -> UserFacingError {
        let bytes = (try? InputFile(path: log).bytes()) ?? []
        let lines = String(decoding: bytes.suffix(20_000), as: UTF8.self).split(separator: "\n")
        // torchrun says which process it was, and by what it ended.
        let codes = lines.compactMap { line in
            line.firstMatch(of: /failed \(exitcode: (-?\d+)\) local_rank: (\d+)/)
                .map { (Int($0.1) ?? 0, $0.2) }
        }
        let signal = codes.first { $0.0 < 0 }.map { "process \($0.1) was ended by signal \(-$0.0)" }
        let cause =
            signal ?? crash
            ?? "torchrun failed with status \(status): \(lines.suffix(3).joined(separator: " "))"
        return UserFacingError(
            .system(code: 0),
            "\(cause); its output is in \(log). The same command with --resume goes on from the last checkpoint"
        )
    }
}

/// The lines of a file that is being written, whole ones only.
private struct EventLines {
    private let path: String
    private var offset: Int

    /// What comes after what is there now.
    init(path: String) {
        self.path = path
        offset = (try? InputFile(path: path))?.size ?? 0
    }

    mutating func next() throws(UserFacingError) -> [JSON] {
        guard FileSystem.kind(of: path) == .file else { return [] }
        let file = try InputFile(path: path)
        guard file.size > offset else { return [] }
        let bytes = try file.bytes(at: offset, count: file.size - offset)
        guard let end = bytes.lastIndex(of: UInt8(ascii: "\n")) else { return [] }
        offset += end + 1
        return try bytes[..<end].split(separator: UInt8(ascii: "\n")).map { line throws(UserFacingError) in
            try JSON(parsing: Array(line), file: path)
        }
    }
}
