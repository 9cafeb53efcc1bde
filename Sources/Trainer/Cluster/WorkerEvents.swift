internal import Formats
internal import Foundation

/// Reads what the worker writes down and tells it as a run of our own would, so that progress, record, log and TensorBoard
/// are the same.
final class WorkerEvents {
    private let folder: RunFolder
    private let log: String?, tensorboard: String?
    private let resumes: Bool, replaces: Bool
    private let notify: (TrainingEvent) -> Void
    private var reporters: RunReporters?
    private(set) var outcome: TrainingOutcome
    /// Whether the worker took all steps, or the step after which it was stopped.
    private(set) var isFinished = false, stoppedAfter: Int?
    /// Whether it was stopped because its time was over.
    private(set) var isOutOfTime = false
    /// Why a process did not begin or go on; what a process failed by without knowing why.
    private(set) var refusal: UserFacingError?, crash: String?
    /// The stage in which the run ended, from 0, and that whose weights the result has.
    private(set) var stage = 0, resultStage = 0
    /// What the sets were, in order.
    private var findings: [(step: Int, name: String, result: EvaluationResult)] = []
    private var hasDiverged = false
    /// The most memory that a process has had, once it is told.
    private var peakMemory: Int?

    /// Nothing has happened yet.
    ///
    /// - Parameters:
    ///   - folder: the run folder.
    ///   - log: a file for a line a step; nil for none.
    ///   - tensorboard: the folder of TensorBoard's files; nil for none.
    ///   - resumes: whether lines of this run may be there.
    ///   - replaces: whether lines of other runs are replaced.
    ///   - notify: told what happens.
    init(
        _ folder: RunFolder, log: String?, tensorboard: String?, resumes: Bool = false, replaces: Bool,
        notify: @escaping (TrainingEvent) -> Void
    ) {
        (self.folder, self.log, self.tensorboard) = (folder, log, tensorboard)
        (self.resumes, self.replaces) = (resumes, replaces)
        self.notify = notify
        outcome = TrainingOutcome(step: 0, sources: [])
    }

    /// Takes a line of `events.jsonl`.
    ///
    /// - Throws: ``UserFacingError`` when it is not what a worker writes, or a report can't be begun.
    func take(_ line: JSON) throws {
        guard let event = line["event"]?.string else { throw malformed(line) }
        let step = line["step"]?.int ?? 0
        switch event {
        case "started": try start(at: step, line)
        case "stage":
            guard let title = line["title"]?.string else { return }
            guard let number = line["number"]?.int, let tokens = line["tokens_per_step"]?.int else {
                throw malformed(line)
            }
            tell(
                .stage(
                    number: number, count: folder.job.stages.count, title: title, step: step,
                    tokensPerStep: tokens))
        case "evaluated": try evaluated(line, after: step)
        case "step":
            guard let report = try? line.decoded(as: StepReport.self) else { throw malformed(line) }
            (outcome.step, outcome.last) = (step, report)
            tell(.step(report))
        case "skipped":
            outcome.step = step
            tell(.skipped(step: step, try finding(line), documents: line["documents"]?.string ?? ""))
        case "rolled_back":
            guard let origin = line["origin"]?.int else { throw malformed(line) }
            outcome.step = step
            tell(
                .rolledBack(
                    from: origin, to: step, try finding(line), documents: line["documents"]?.string ?? ""))
        case "kept": tell(.kept(step: step, folder: folder.path))
        case "memory":
            peakMemory = line["processes"]?.array?.compactMap { $0["peak"]?.int }.max()
        case "diverged": hasDiverged = true
        case "stopped": (stoppedAfter, isOutOfTime) = (step, line["out_of_time"]?.bool == true)
        case "healed": tell(.healed(afterStep: step, tokens: line["tokens"]?.int ?? 0))
        case "finished": try finish(after: step, line)
        case "failed":
            let rank = line["rank"]?.int.map { "process \($0)" } ?? "a process"
            let message = "\(rank): \(line["message"]?.string ?? "it does not say why")"
            // The first to fail is the one that the others failed by.
            if line["refused"]?.bool == true {
                refusal = refusal ?? UserFacingError(hasDiverged ? .diverged : .inconsistent, message)
            } else {
                crash = crash ?? message
            }
        default: throw malformed(line)
        }
    }

    /// Tells what happens, once the worker has said where it begins.
    func tell(_ event: TrainingEvent) {
        if let reporters { reporters.tell(event) } else { notify(event) }
    }

    private func start(at step: Int, _ line: JSON) throws {
        let (job, run) = (folder.job, CheckpointStore.folder(of: folder.job.output))
        try FileSystem.create(run)
        var writers: [any RunReporter] =
            try log.map {
                [
                    try StepLog(
                        path: $0, run: job.run, keepingUpTo: step, resumes: resumes || step > 0,
                        replaces: replaces)
                ]
            } ?? []
        var facts = job.facts.object ?? [:]
        facts["processes"] = line["processes"]
        writers.append(
            RunRecord(
                facts, run: job.run, in: run, begun: step, rollbacks: line["rollbacks"]?.int ?? 0
            ) { [weak self] in self?.peakMemory })
        if let tensorboard {
            let isOwn = Path.isInside(Path.absolute(tensorboard), run)
            writers.append(EventFile(in: tensorboard, begun: step, replacesOthers: isOwn))
        }
        reporters = RunReporters(writers, notify: notify)
        let stage = job.stages[folder.stage(ofStep: step + 1)]
        outcome.step = step
        outcome.sources = job.sources
        defer { tellParent() }
        if step > 0 {
            // What was found before it went on.
            for line in try Self.lines(of: folder) where line["event"]?.string == "evaluated" {
                guard let after = line["step"]?.int, after <= step else { continue }
                findings.append(try finding(line, after: after))
            }
        }
        tell(
            .started(
                step: step, steps: folder.steps, parameters: job.parameters,
                tokensPerStep: stage.batch * stage.accumulate * stage.length))
    }

    private func tellParent() {
        guard let parent = folder.job.parent else { return }
        guard let model = parent.model else {
            outcome.parent = .missing(parent.reason ?? "")
            return tell(.noParent(reason: parent.reason ?? ""))
        }
        outcome.parent = .measured(model: model, sets: parent.sets.map { ($0.name, $0.result) })
        for set in parent.sets { tell(.parent(model: model, name: set.name, set.result)) }
    }

    private func finish(after step: Int, _ line: JSON) throws {
        guard let resultStep = line["result_step"]?.int else { throw malformed(line) }
        (isFinished, outcome.step, outcome.resultStep) = (true, step, resultStep)
        outcome.healedAt = line["healed_at"]?.int
        (stage, resultStage) = (folder.stage(ofStep: step), folder.stage(ofStep: resultStep))
        if let end = line["end"]?.string {
            guard let end = RunEnd(rawValue: end) else { throw malformed(line) }
            outcome.end = end
        }
        // A run that has ended early, or has gone back, has shown something else than was planned.
        let shown = outcome.last?.sources ?? [:]
        outcome.sources = outcome.sources.map {
            SourceProgress(
                name: $0.name, shown: shown[$0.name]?.tokens ?? $0.shown, size: $0.size,
                synthetic: shown[$0.name] == nil ? $0.synthetic : shown[$0.name]?.synthetic)
        }
        (outcome.before, outcome.after) = (results(after: 0), results(after: resultStep))
    }

    /// What the sets were after a step.
    func results(after step: Int) -> [(name: String, result: EvaluationResult)] {
        folder.job.evaluations.compactMap { set in
            findings.last { $0.step == step && $0.name == set.name }.map { ($0.name, $0.result) }
        }
    }

    private func evaluated(_ line: JSON, after step: Int) throws {
        let finding = try finding(line, after: step)
        findings.append(finding)
        tell(.evaluated(name: finding.name, afterStep: step, finding.result))
    }

    private func finding(
        _ line: JSON, after step: Int
    ) throws -> (step: Int, name: String, result: EvaluationResult) {
        guard let name = line["set"]?.string, let nats = line["nats"]?.double,
            let tokens = line["tokens"]?.int,
            let ends = line["ends"]?.int, let endNats = line["end_nats"]?.double,
            let probability = line["end_probability"]?.double
        else { throw malformed(line) }
        let sum = EvaluationSum(
            nats: nats, tokens: tokens, endNats: endNats, endProbability: probability, texts: ends)
        return (step, name, sum.result(bytes: line["bytes"]?.int))
    }

    private func finding(_ line: JSON) throws -> StepGuard.Finding {
        guard let what = line["what"]?.string else { throw malformed(line) }
        let before = line["mean"]?.double.flatMap { mean in
            line["deviation"]?.double.map { StepGuard.Finding.Before(mean: mean, deviation: $0) }
        }
        return StepGuard.Finding(what: what, value: line["value"]?.double ?? .nan, before: before)
    }

    private func malformed(_ line: JSON) -> UserFacingError {
        UserFacingError(
            .malformed,
            """
            \(Path.join(folder.path, RunFolder.eventsName)) has a line that no worker of this version writes: \
            \(String(decoding: line.serialized(indent: nil).prefix(200), as: UTF8.self))
            """)
    }
}

extension WorkerEvents {
    /// The lines of a whole run that are not taken back: where it went on after a step, later ones are void.
    static func lines(of folder: RunFolder) throws(UserFacingError) -> [JSON] {
        let path = Path.join(folder.path, RunFolder.eventsName)
        guard FileSystem.kind(of: path) == .file else {
            throw UserFacingError(
                .missing,
                "\(path) is not there: the job was not carried out yet; start it with torchrun, then adopt it"
            )
        }
        var lines: [JSON] = []
        for text in try InputFile(path: path).bytes().split(separator: UInt8(ascii: "\n")) {
            let line = try JSON(parsing: Array(text), file: path)
            if line["event"]?.string == "started" {
                let step = line["step"]?.int ?? 0
                lines.removeAll { ($0["step"]?.int ?? .max) > step || $0["event"]?.string == "stopped" }
                if !lines.isEmpty && step > 0 { continue }
                lines.removeAll()
            }
            lines.append(line)
        }
        return lines
    }

    /// What is told of each step that has moved the weights.
    private static func steps(of folder: RunFolder) throws(UserFacingError) -> [Int: JSON] {
        var steps: [Int: JSON] = [:]
        for line in try lines(of: folder) {
            guard let step = line["step"]?.int else { continue }
            switch line["event"]?.string {
            case "step": steps[step] = line
            case "skipped": steps[step] = nil
            case "rolled_back": steps = steps.filter { $0.key <= step }
            default: break
            }
        }
        return steps
    }

    /// The steps that have moved the weights, and where their sequences stand among those of their stage.
    static func draws(of folder: RunFolder) throws(UserFacingError) -> [Int: Int] {
        try steps(of: folder).compactMapValues { $0["draw"]?.int }
    }

    /// How many targets a teacher has taught by a step; nil where there was none.
    static func taught(of folder: RunFolder, through step: Int) throws(UserFacingError) -> TaughtTargets? {
        try steps(of: folder).filter { $0.key <= step }.values.reduce(nil) { sum, line in
            guard let figures = try? line["teacher"]?.decoded(as: TeacherFigures.self) else { return sum }
            return (sum ?? TaughtTargets()) + figures
        }
    }
}
