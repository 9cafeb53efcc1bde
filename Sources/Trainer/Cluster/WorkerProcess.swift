internal import Formats
internal import Foundation

/// Carries out a ``PreparedJob`` by PyTorch's engine on this machine: writes its ``RunFolder``, starts torchrun, tells what
/// the worker does, and adopts what it has made.
public final class ClusterRun {
    /// What there is to know of the Python that computes, in a line.
    public var environment: String { python.line }
    /// What is to be started on the other hosts, a line each, in the run folder or a copy of it; nil where there is none.
    public var elsewhere: String? { Torchrun(settings: settings).elsewhere }
    /// The run folder.
    public var folder: String { path }
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
        try Self.check(job, settings)
        (self.job, self.settings) = (job, settings)
        path = RunFolder.path(of: job.output.output)
        python = try .find(settings.python)
    }

    /// Looks whether a job can be carried out by the worker, wherever; its Python is not looked for.
    ///
    /// - Parameters:
    ///   - job: the job.
    ///   - settings: where it is carried out.
    ///   - isElsewhere: whether it is only written down for another machine.
    /// - Throws: a ``UserFacingError`` that names the option or the folder.
    public static func check(
        _ job: PreparedJob, _ settings: ClusterSettings, elsewhere isElsewhere: Bool = false
    ) throws {
        try ClusterJob.check(job)
        // What the run takes of memory is the worker's, not that of this program's engine.
        try job.check(available: nil)
        if isElsewhere { return }
        guard settings.hosts == 1 || settings.rendezvous != nil else {
            throw UserFacingError(
                .request,
                "--hosts needs --rendezvous HOST[:PORT]: this host, as the others reach it, and a free port of it"
            )
        }
        let processes = settings.hosts * (settings.processes ?? 1)
        for plan in job.stages.map(\.plan) where processes > plan.dealtOut.batch * plan.accumulate {
            let sequences = plan.dealtOut.batch * plan.accumulate
            throw UserFacingError(
                .request,
                """
                \(processes) processes for \(sequences) sequences a step; take 1 to \(sequences) processes, or a larger \
                \(plan.rows == nil ? "--batch or --accumulate" : "batch= in distil-rows")
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
        try check(job, settings, elsewhere: true)
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
            folder, log: job.job.log, tensorboard: job.eventFolder, resumes: job.options.resume,
            replaces: job.options.force, notify: notify)
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
        let run = CheckpointStore.folder(of: job.output.output)
        if !job.options.resume, let step = CheckpointStore.kept(for: job.output.output)?.progress.step {
            guard job.options.force else { throw UserFacingError.unfinishedRun(folder: run, step: step) }
            try CheckpointStore.removeSteps(in: run)
        }
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
        var differences = try ClusterJob(job, settings).differences(from: folder.job)
        if let parent = job.job.parent, parent != folder.job.parent?.model {
            differences.append("parent is \(parent), was \(folder.job.parent?.model ?? "none")")
        }
        guard differences.isEmpty else {
            throw UserFacingError.otherRun(folder: path, differences: differences)
        }
        if let step = job.options.atStep { try folder.goBack(to: step) }
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
        // What each process says comes through torchrun, with its number before it.
        process.arguments =
            ["-m", "torch.distributed.run"] + Torchrun(settings: settings).options(host: 0) + [
                "--tee", "3", "--log-dir", Path.join(folder.path, RunFolder.outputName),
                Path.join(folder.path, RunFolder.workerName), Path.join(folder.path, RunFolder.jobName),
            ]
        if let time = job.job.maxTime {
            process.arguments? += ["--max-time", String(try RunTime(time, of: "max-time").seconds)]
        }
        var environment = ProcessInfo.processInfo.environment
        environment["OMP_NUM_THREADS"] = String(max(1, job.options.threads / (settings.processes ?? 1)))
        environment["TORCHELASTIC_LOG_LINE_PREFIX_TEMPLATE"] = "[process ${rank}] "
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
        let lines = String(decoding: bytes.suffix(100_000), as: UTF8.self).split(separator: "\n").map(
            String.init)
        // torchrun says which process it was, and by what it ended.
        let codes = lines.compactMap { line in
            line.firstMatch(of: /failed \(exitcode: (-?\d+)\) local_rank: (\d+)/)
                .map { (Int($0.1) ?? 0, String($0.2)) }
        }
        let cause =
            if let (code, process) = codes.first(where: { $0.0 < 0 }) {
                "process \(process) was ended by signal \(-code)" + Self.lastLines(of: process, lines)
            } else if let crash {
                crash
            } else if let meeting = meeting(lines) {
                meeting
            } else if let (code, process) = codes.first {
                "process \(process) ended with status \(code)" + Self.lastLines(of: process, lines)
            } else {
                "torchrun failed with status \(status): \(lines.suffix(3).joined(separator: " "))"
            }
        return UserFacingError(
            .system(code: 0),
            "\(cause); all output is in \(log). The same command with --resume goes on from the last checkpoint"
        )
    }

    /// What a process said last.
    private static func lastLines(of process: String, _ lines: [String]) -> String {
        let prefix = "[process \(process)] "
        let own = lines.filter { $0.hasPrefix(prefix) }.map { String($0.dropFirst(prefix.count).prefix(300)) }
        return own.isEmpty ? "" : "; its last lines: \(own.suffix(3).joined(separator: " | "))"
    }

    /// What to say where the hosts did not meet.
    private func meeting(_ lines: [String]) -> String? {
        guard settings.hosts > 1, let rendezvous = settings.rendezvous else { return nil }
        let place = rendezvous.rawValue
        if lines.contains(where: { $0.contains("EADDRINUSE") || $0.contains("address already in use") }) {
            return "\(place) is in use; name another port with --rendezvous, here and on the other hosts"
        }
        if lines.contains(where: { $0.contains("clients joined") || $0.contains("DistNetworkError") }) {
            return """
                not all of the \(settings.hosts) hosts came to \(place) in time; look whether they reach it, and start \
                them within ten minutes
                """
        }
        return nil
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
