package import Formats
internal import Foundation
internal import Models
internal import OrderedCollections

/// A job with all that it needs but the model, so that PyTorch's engine can carry it out anywhere: `OUT.cluster`.
///
/// | File | What it holds |
/// | --- | --- |
/// | `job.json` | ``ClusterJob`` |
/// | `steps.jsonl` | a line a step: its stage, the share of the peak rate, its targets, what it has shown by then |
/// | `spare.jsonl` | the same of sequences that a run needs only after it has gone back; only with `--guard rollback` |
/// | `stage-N.tokens` | the sequences of a stage, in order: int32, (N, 3, T): tokens, targets, first visible positions; with a teacher (N, 4, T), 1 where it teaches the target; of snippets (N, 6, T): see ``TokenBatch/snippets(_:)`` |
/// | `teacher.tokens` | the teacher's token for each of the model's, negative where it has none: int32, (V) |
/// | `set-N.tokens` | the rows of an evaluation set: int32, (N, 4, T): the same, and 1 where the target ends a text |
/// | `beginning/` | weights and moments of the checkpoint that the run begins with: ``WorkerBeginning`` |
/// | `config.json`, `config-N.json`, `config-teacher.json` | the configuration of the model, of a stage with another rotary base, of the teacher |
/// | `worker.py` and what it imports, `requirements.txt` | the program, what it needs of Python |
/// | `SHA256SUMS` | the SHA-256 of each of these |
/// | `job.sbatch`, `pytorchjob.yaml` | what starts the worker by Slurm and by Kubernetes: ``SlurmScript``, ``KubernetesJob`` |
///
/// The worker adds `events.jsonl`, `checkpoint-N/` and `result/`. Numbers are little-endian.
package struct RunFolder: Sendable {
    /// Where it is.
    package let path: String
    /// What is to be done.
    package let job: ClusterJob

    static let jobName = "job.json"
    static let eventsName = "events.jsonl"
    static let resultName = "result"
    static let stopName = "stop"
    static let logName = "worker.log"
    /// The folder in which torchrun keeps what each process says.
    static let outputName = "output"
    static let workerName = "worker.py"
    static let sumsName = "SHA256SUMS"
    private static let stepsName = "steps.jsonl"
    private static let spareName = "spare.jsonl"

    /// The run folder of what makes `output`.
    package static func path(of output: String) -> String { Path.absolute(output) + ".cluster" }

    private init(path: String, job: ClusterJob) { (self.path, self.job) = (path, job) }

    /// Opens a run folder.
    ///
    /// - Parameters:
    ///   - path: the folder.
    ///   - checks: whether the files are compared with their SHA-256.
    /// - Returns: the folder.
    /// - Throws: ``UserFacingError`` when it is none, or was changed by hand.
    package static func open(_ path: String, checks: Bool = true) throws(UserFacingError) -> RunFolder {
        let file = Path.join(path, jobName)
        guard FileSystem.kind(of: file) == .file else {
            throw UserFacingError(
                .missing,
                "\(path) has no \(jobName); name the folder OUT.cluster that trainer heal --on has written")
        }
        let json = try JSON.read(path: file)
        guard json["format"]?.string == ClusterJob.formatName,
            json["version"]?.int == ClusterJob.formatVersion
        else {
            throw UserFacingError(
                .unsupported,
                """
                \(file) is not of version \(ClusterJob.formatVersion) of '\(ClusterJob.formatName)'; plan the job again \
                with this program
                """)
        }
        let job: ClusterJob
        do { job = try json.decoded(as: ClusterJob.self) } catch {
            throw UserFacingError(
                .malformed, "\(file) is not what was written (\(error)); plan the job again")
        }
        let folder = RunFolder(path: path, job: job)
        if checks { try folder.check() }
        return folder
    }

    /// Refuses files that are not what was written.
    private func check() throws(UserFacingError) {
        let sums = String(
            decoding: try InputFile(path: Path.join(path, Self.sumsName)).bytes(), as: UTF8.self)
        for line in sums.split(separator: "\n") {
            let (digest, name) = (String(line.prefix(64)), String(line.dropFirst(66)))
            let file = Path.join(path, name)
            guard FileSystem.kind(of: file) == .file else {
                throw UserFacingError(
                    .missing, "\(file) is not there; copy the run folder as a whole, or plan the job again")
            }
            guard try FileDigest.sha256(InputFile(path: file)) == digest else {
                throw UserFacingError(
                    .inconsistent,
                    "\(file) is not what was planned: its SHA-256 is another; plan the job again with --force"
                )
            }
        }
    }

    // MARK: Writing

    /// Writes the folder of a job; whole or not at all.
    ///
    /// - Parameters:
    ///   - prepared: the job.
    ///   - settings: where it is carried out.
    ///   - path: the folder, which is not there.
    ///   - isCancelled: asked before each step's sequences; true stops.
    /// - Returns: the folder.
    /// - Throws: ``UserFacingError`` when the worker can't do what the job asks, or a file can't be read or written.
    package static func write(
        _ prepared: PreparedJob, _ settings: ClusterSettings, to path: String,
        isCancelled: () -> Bool = { false }
    ) throws -> RunFolder {
        try ClusterJob.check(prepared)
        let partial = path + ".partial"
        try FileSystem.remove(partial)
        try FileSystem.create(partial)
        do {
            var names = [stepsName]
            let steps = try OutputStream(Path.join(partial, stepsName))
            let spare =
                prepared.stages.contains { $0.spareSteps > 0 }
                ? try OutputStream(Path.join(partial, spareName)) : nil
            if spare != nil { names.append(spareName) }
            var data = StageData(prepared)
            for (index, stage) in prepared.stages.enumerated() {
                let name = "stage-\(index + 1).tokens"
                names.append(name)
                let tokens = try OutputStream(Path.join(partial, name))
                try data.begin(index)
                for step in 0..<stage.plan.steps {
                    if isCancelled() { throw UserFacingError.interrupted }
                    try data.writeStep(step, to: tokens, noting: steps)
                }
                if let spare {
                    try data.writeSpare(to: tokens, noting: spare) {
                        if isCancelled() { throw UserFacingError.interrupted }
                    }
                }
                try tokens.close()
            }
            try steps.close()
            try spare?.close()
            var sets: [ClusterJob.Evaluation] = []
            for (index, set) in prepared.evaluations.enumerated() {
                let name = "set-\(index + 1).tokens"
                names.append(name)
                try write(set, length: prepared.window, to: Path.join(partial, name))
                sets.append(
                    ClusterJob.Evaluation(
                        name: set.name, file: name, length: prepared.window, bytes: set.bytes))
            }
            let parent = try measureParent(prepared, isCancelled)
            let beginning = try WorkerBeginning(prepared, in: partial)
            names += beginning?.files ?? []
            let job = try ClusterJob(
                prepared, settings, evaluations: sets, parent: parent, beginning: beginning)
            if let teacher = prepared.teacher {
                names.append(ClusterJob.Teacher.tokensName)
                let tokens = try OutputStream(Path.join(partial, ClusterJob.Teacher.tokensName))
                try tokens.append(teacher.shared.tokens)
                try tokens.close()
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            var texts =
                [
                    (jobName, [UInt8](try encoder.encode(job))),
                    (Configuration.fileName, configuration(of: prepared.model)),
                ] + program
            if let teacher = prepared.teacher {
                texts.append((ClusterJob.Teacher.configurationName, configuration(of: teacher.model)))
            }
            for (stage, own) in zip(prepared.stages, job.stages)
            where own.configuration != Configuration.fileName {
                texts.append((own.configuration, configuration(of: stage.model)))
            }
            for (name, bytes) in texts {
                names.append(name)
                try AtomicFile(path: Path.join(partial, name)).publish(bytes)
            }
            var sums = ""
            for name in names.sorted() {
                sums += "\(try FileDigest.sha256(InputFile(path: Path.join(partial, name))))  \(name)\n"
            }
            try AtomicFile(path: Path.join(partial, sumsName)).publish(Array(sums.utf8))
            // What is a cluster's own is added to these by hand, so they have no sums.
            for (name, text) in [
                (SlurmScript.fileName, SlurmScript.text(job, settings)),
                (KubernetesJob.fileName, KubernetesJob.text(job, settings)),
            ] {
                try AtomicFile(path: Path.join(partial, name)).publish(Array(text.utf8))
            }
            try FileSystem.rename(partial, to: path)
            return RunFolder(path: path, job: job)
        } catch {
            try? FileSystem.remove(partial)
            throw error
        }
    }

    /// The worker's files, and what they need of Python.
    private static var program: [(String, [UInt8])] {
        [
            (workerName, PackageResources.worker_py), ("job.py", PackageResources.job_py),
            ("hosts.py", PackageResources.hosts_py), ("opening.py", PackageResources.opening_py),
            ("parameters.py", PackageResources.parameters_py), ("losses.py", PackageResources.losses_py),
            ("teacher.py", PackageResources.teacher_py), ("rows.py", PackageResources.rows_py),
            ("rules.py", PackageResources.rules_py),
            ("requirements.txt", PackageResources.requirements_txt),
        ]
    }

    private static func configuration(of model: PretrainedModel) -> [UInt8] {
        model.checkpoint.configuration?.serialized() ?? []
    }

    /// What the parent makes of the sets, by the trainer's own engine.
    private static func measureParent(
        _ prepared: PreparedJob, _ isCancelled: () -> Bool
    ) throws -> ClusterJob.Parent? {
        switch try prepared.measureParent(isCancelled) {
        case .measured(let model, let sets):
            let sets = sets.map { EvaluationProgress.Finding(name: $0.name, result: $0.result) }
            return ClusterJob.Parent(model: model, sets: sets)
        case .missing(let reason): return ClusterJob.Parent(reason: reason)
        case nil: return nil
        }
    }

    /// What there is to know of the sequences of a stage, from 0: of its own steps, and then of spare ones.
    func draws(of stage: Int) throws(UserFacingError) -> [JSON] {
        var draws: [JSON] = []
        for name in [Self.stepsName, Self.spareName] {
            let file = Path.join(path, name)
            guard FileSystem.kind(of: file) == .file else { continue }
            for line in try InputFile(path: file).bytes().split(separator: UInt8(ascii: "\n")) {
                let draw = try JSON(parsing: Array(line), file: file)
                if draw["stage"]?.int == stage { draws.append(draw) }
            }
        }
        return draws
    }

    /// Shows the sequences, (B, T) of all its parts, of each step that was taken to a visitor.
    ///
    /// - Parameters:
    ///   - draws: where the sequences of a step stand among those of its stage, in steps; steps are counted from 1.
    ///   - visit: is given the sequences of a step.
    /// - Throws: ``UserFacingError`` when a file can't be read.
    func forEachStep(_ draws: [Int: Int], visit: (TokenBatch) -> Void) throws(UserFacingError) {
        var step = 0
        for stage in job.stages {
            let file = try InputFile(path: Path.join(path, stage.sequences))
            let (count, length) = (stage.batch * stage.accumulate, stage.length)
            let size = count * stage.parts * length * 4
            for _ in 0..<stage.steps {
                step += 1
                guard let index = draws[step] else { continue }
                let bytes = try file.bytes(at: index * size, count: size)
                let numbers = stride(from: 0, to: size, by: 4).map { place in
                    (0..<4).reduce(into: UInt32(0)) { $0 |= UInt32(bytes[place + $1]) << (8 * $1) }
                }.map { Int32(bitPattern: $0) }
                var batch = TokenBatch(batch: 0, sequenceLength: length, tokens: [], targets: [])
                for row in stride(from: 0, to: numbers.count, by: stage.parts * length) {
                    let part = { Array(numbers[row + $0 * length..<row + ($0 + 1) * length]) }
                    batch.append(part(0), targets: part(1), attentionStart: part(2))
                }
                visit(batch)
            }
        }
    }

    /// Removes the worker's checkpoints after a step, so that it goes on from there.
    ///
    /// - Throws: ``UserFacingError`` when there is none of that step.
    func goBack(to step: Int) throws(UserFacingError) {
        let prefix = "checkpoint-"
        let names = try FileSystem.names(path).filter { $0.hasPrefix(prefix) }
        let steps = names.compactMap { Int($0.dropFirst(prefix.count)) }.sorted()
        guard steps.contains(step) else { throw .noSuchStep(step, folder: path, kept: steps) }
        for name in names where Int(name.dropFirst(prefix.count)) ?? 0 > step {
            try FileSystem.remove(Path.join(path, name))
        }
    }

    /// Writes the rows of an evaluation set.
    private static func write(_ set: EvaluationSet, length: Int, to path: String) throws(UserFacingError) {
        let file = try OutputStream(path)
        for batch in set.batches(of: 1, length: length) {
            var ends = [Int32](repeating: 0, count: length)
            for place in batch.ends { ends[place] = 1 }
            let rows = batch.sequences
            try file.append([rows.tokens, rows.targets, rows.attentionStart, ends].flatMap(\.self))
        }
        try file.close()
    }
}

extension PreparedJob {
    /// Whether checkpoints stay when the run is done.
    fileprivate var keepsCheckpoints: Bool {
        job.keep != nil || job.keepBest || stages.contains(where: \.keepsEnd)
    }
}

/// The data of a job's stages, handed out as a run would hand it out.
private struct StageData {
    private let job: PreparedJob
    private var stage = 0
    private var data: any TrainingData
    /// What the stages before have shown, and the steps that they took.
    private var earlier: [SourceProgress] = [], step = 0

    init(_ job: PreparedJob) { (self.job, data) = (job, job.stages[0].data) }

    /// Goes over to a stage.
    mutating func begin(_ index: Int) throws(UserFacingError) {
        stage = index
        guard index > 0 else { return }
        var next = job.stages[index].data
        if job.stages[index].goesOn {
            try next.begin(at: data.position)
        } else {
            earlier = earlier.adding(data.sources)
        }
        data = next
    }

    /// Writes the sequences of a step of the stage, and the line of the step.
    mutating func writeStep(
        _ step: Int, to tokens: OutputStream, noting lines: OutputStream
    ) throws(UserFacingError) {
        self.step += 1
        var line: JSONObject = [
            "step": JSON(self.step), "factor": JSON(job.stages[stage].plan.schedule.factor(at: step)),
        ]
        for (key, value) in try writeDraw(to: tokens) { line[key] = value }
        try lines.append(bytes: JSON.object(line).serialized(indent: nil) + [UInt8(ascii: "\n")])
    }

    /// Writes the sequences behind those of the stage's own steps; the next stage goes on as if nobody had looked at them.
    mutating func writeSpare(
        to tokens: OutputStream, noting lines: OutputStream, check: () throws -> Void
    ) throws {
        let position = data.position
        for _ in 0..<job.stages[stage].spareSteps {
            try check()
            try lines.append(
                bytes: JSON.object(writeDraw(to: tokens)).serialized(indent: nil) + [UInt8(ascii: "\n")])
        }
        try data.move(to: position)
    }

    /// Writes the sequences of a step; what there is to know of them.
    private mutating func writeDraw(to tokens: OutputStream) throws(UserFacingError) -> JSONObject {
        let (plan, teacher) = (job.stages[stage].plan, job.stages[stage].teacher)
        var targets = 0
        var documents: [DocumentReference] = []
        for _ in 0..<plan.accumulate {
            let batch = try data.next(plan.batch)
            targets += batch.targetCount
            documents += batch.documents
            if let rule = plan.rows {
                try tokens.append(batch.snippets(rule))
                continue
            }
            var taught = [Int32](repeating: 0, count: batch.tokens.count)
            if let teacher, let teaching = plan.teaching {
                for row in batch.taughtRows(tokens: teacher.shared.tokens, on: teaching.text) {
                    taught[row] = 1
                }
            }
            for row in 0..<batch.batch {
                let range = row * plan.length..<(row + 1) * plan.length
                let starts = batch.attentionStart[range]
                if batch.countsPositionsFromRowStart,
                    zip(starts, 0...).contains(where: { $0 != 0 && Int($0) != $1 })
                {
                    throw UserFacingError(
                        .unsupported,
                        """
                        rows that are filled in front can't be trained on with --on; fill them behind, or leave --on out
                        """)
                }
                let parts = [batch.tokens[range], batch.targets[range], starts, taught[range]]
                try tokens.append(parts.prefix(teacher == nil ? 3 : 4).flatMap { Array($0) })
            }
        }
        let sources = earlier.adding(data.sources)
        var line: JSONObject = [
            "stage": JSON(stage), "targets": JSON(targets), "tokens": JSON(sources.tokens),
            "sources": (try? JSON(encoding: sources.figures)) ?? [:],
            "documents": .string(DocumentReference.list(documents)),
        ]
        // So that the trainer's own engine may go on from a checkpoint that stays.
        if job.keepsCheckpoints { line["position"] = try? JSON(encoding: data.position) }
        return line
    }
}

/// A file that is written from its beginning on, some at a time.
final class OutputStream {
    private let file: WritableFile
    private var buffer: [UInt8] = []
    private var offset = 0

    init(_ path: String) throws(UserFacingError) { file = try WritableFile(path: path) }

    /// Appends numbers of 32 bits.
    func append(_ numbers: [Int32]) throws(UserFacingError) {
        for number in numbers {
            unsafe withUnsafeBytes(of: number.littleEndian) { unsafe buffer.append(contentsOf: $0) }
        }
        if buffer.count >= 1 << 20 { try flush() }
    }

    func append(bytes: [UInt8]) throws(UserFacingError) {
        buffer += bytes
        if buffer.count >= 1 << 20 { try flush() }
    }

    /// Writes what is left and makes the file durable.
    func close() throws(UserFacingError) {
        try flush()
        try file.synchronize()
    }

    private func flush() throws(UserFacingError) {
        let bytes = buffer
        unsafe try file.write(bytes.span.bytes, at: offset)
        offset += bytes.count
        buffer.removeAll(keepingCapacity: true)
    }
}
