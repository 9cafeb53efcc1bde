internal import Formats
internal import Foundation

/// What a run was and did, in `OUT.run/record.jsonl`: what `trainer report` is made of.
///
/// It has the lines of a ``StepLog``, and between them lines with an `event`: `began` and `resumed` with the job and the
/// model, `stage`, `parent`, `no_parent`, `evaluated`, `drifted`, `kept`, `not_kept`, `not_logged`, `ended`, `finished`. It begins with the first step, so a run that
/// takes none leaves nothing, nor touches what another run left. ``RunHistory`` reads it.
final class RunRecord: RunReporter {
    /// What the file is called.
    static let fileName = "record.jsonl"
    /// The version of what the lines have.
    static let format = 1

    private let path: String
    private let run: String
    private let begun: Int, rollbacks: Int
    private let facts: JSONObject
    private let peakMemory: () -> Int?
    private var log: StepLog?
    /// What happened before the first step.
    private var waiting: [JSONObject] = []
    /// What was evaluated before the run went on, by step and set.
    private var evaluated: Set<[String]> = []
    /// The parents whose results stand there, by model and set.
    private var parents: Set<[String]> = []

    /// The record of a run.
    ///
    /// - Parameters:
    ///   - facts: what there is to know of it before it begins: ``PreparedJob/facts``.
    ///   - run: its name.
    ///   - folder: where the record lies.
    ///   - begun: steps that are done.
    ///   - rollbacks: how often the run had gone back by then.
    ///   - peakMemory: the most memory that the process has held that computes; nil where it is not known.
    init(
        _ facts: JSONObject, run: String, in folder: String, begun: Int, rollbacks: Int = 0,
        peakMemory: @escaping () -> Int? = { ProcessUsage.peakMemoryBytes }
    ) {
        (self.facts, self.run, self.begun, self.rollbacks) = (facts, run, begun, rollbacks)
        self.peakMemory = peakMemory
        path = Path.join(folder, Self.fileName)
    }

    private var memory: JSON { peakMemory().map { JSON($0) } ?? .null }

    func note(_ event: TrainingEvent) throws {
        switch event {
        case .step(let report): try open().write(report)
        case .started(let step, _, _, _):
            var line = facts
            line["format"] = JSON(Self.format)
            try write(step == 0 ? "began" : "resumed", step, line)
        case .stage(let number, let count, let title, let step, _):
            try write(
                "stage", step, ["number": JSON(number), "count": JSON(count), "title": .string(title)])
        case .evaluated(let name, let step, let result):
            guard evaluated.insert([String(step), name]).inserted else { return }
            try write("evaluated", step, ["set": .string(name), "result": try JSON(encoding: result)])
        case .parent(let model, let name, let result):
            guard parents.insert([model, name]).inserted else { return }
            try write(
                "parent", begun,
                ["model": .string(model), "set": .string(name), "result": try JSON(encoding: result)])
        case .noParent(let reason): try write("no_parent", begun, ["reason": .string(reason)])
        case .exposed(let step, let summary):
            try write("exposed", step, ["tokens": try JSON(encoding: summary)])
        case .drifted(let step, let parts): try write("drifted", step, ["parts": try JSON(encoding: parts)])
        case .healed(let step, let tokens): try write("healed", step, ["tokens": JSON(tokens)])
        case .skipped(let step, let finding, let documents):
            try write("skipped", step, finding.line(documents))
        case .rolledBack(let from, let to, let finding, let documents):
            var line = finding.line(documents)
            line["from"] = JSON(from)
            try write("rolled_back", to, line)
            // What was evaluated since then is evaluated again.
            evaluated = evaluated.filter { Int($0[0]).map { $0 <= to } ?? true }
        case .kept(let step, _):
            try write("kept", step, ["memory_bytes": memory])
        case .notKept(let step, let reason): try write("not_kept", step, ["reason": .string(reason)])
        case .notLogged(let step, let reason): try write("not_logged", step, ["reason": .string(reason)])
        case .ended(let step, let reason): try write("ended", step, ["reason": .string(reason)])
        case .finished(let outcome):
            try write(
                "finished", outcome.step,
                [
                    "memory_bytes": memory,
                    "overflows": .array(
                        outcome.overflows.map {
                            ["tensor": .string($0.tensor), "count": JSON($0.count)]
                        }),
                ])
        case .writing: break
        }
    }

    private func write(_ event: String, _ step: Int, _ more: JSONObject) throws {
        var line: JSONObject = [
            "event": .string(event), "step": JSON(step), "time": .string(Date.now.formatted(.iso8601)),
        ]
        for (key, value) in more { line[key] = value }
        guard log != nil || begun > 0 || step > 0 else {
            waiting.append(line)
            return
        }
        try open().write(event: line)
    }

    /// The file, with everything in it that happened before.
    private func open() throws -> StepLog {
        if let log { return log }
        if begun > 0, FileSystem.exists(path) {
            let history = try RunHistory.read(path)
            for evaluation in history.evaluations where evaluation.step <= begun {
                evaluated.insert([String(evaluation.step), evaluation.set])
            }
            for parent in history.parents { parents.insert([parent.model, parent.set]) }
        }
        let log = try StepLog(
            path: path, run: run, keepingUpTo: begun, rollbacks: rollbacks, resumes: begun > 0,
            replaces: begun == 0)
        for line in waiting { try log.write(event: line) }
        (self.log, waiting) = (log, [])
        return log
    }
}

extension PreparedJob {
    /// What there is to know of a run before it begins.
    var facts: JSONObject {
        let manifest = model.checkpoint.manifest
        let operations =
            (manifest?.history ?? []) + (manifest?.operations ?? []) + model.checkpoint.operations
        let asked = stages.flatMap(\.job.sources)
        let settings = Dictionary(
            (asked.map { ($0.name, $0) } + asked.map { (Snippets.name($0.name), $0) })
        ) { first, _ in first }
        return [
            "tool": .string(options.tool), "model": .string(model.checkpoint.path),
            "output": .string(output.output), "asked": .object(job.parameters),
            "steps": JSON(steps), "stages": (try? JSON(encoding: stages.map(\.plan))) ?? .null,
            "threads": JSON(options.threads), "checkpoint_every": JSON(job.checkpointEvery),
            "parameters": JSON(model.layout.parameterCount),
            "trained_parameters": JSON(trainedParameterCount),
            "teacher": teacher.map {
                ["model": .string($0.path), "shared_tokens": JSON($0.sharedTokens)]
            } ?? .null,
            "memory": .object(memory.json), "groups": .array(stages.flatMap { $0.groupRows(of: model) }),
            "sources": .array(
                sources.map { source in
                    let setting = settings[source.name]
                    return [
                        "name": .string(source.name), "path": setting.map { .string($0.path) } ?? .null,
                        // Snippets are as many as were found.
                        "weight": setting.flatMap { $0.name == source.name ? JSON($0.weight) : nil } ?? .null,
                        "replay": .bool(setting?.isReplay ?? false), "size": JSON(source.size),
                        "planned": JSON(source.shown),
                        "selected": setting.flatMap { setting in
                            selections[setting.path]?.json(path: setting.path)
                        } ?? .null,
                        "synthetic": source.synthetic.map { JSON($0) } ?? .null,
                    ]
                }),
            "surgery": .array(
                operations.map {
                    [
                        "name": .string($0.name), "parameters": .object($0.parameters),
                        "init_probe": $0.facts["init_probe"] ?? .null,
                    ]
                }),
            "warnings": .array((warnings + evaluations.flatMap(\.warnings)).map { .string($0) }),
        ]
    }
}

extension PreparedStage {
    /// Its groups, where it has any.
    fileprivate func groupRows(of model: PretrainedModel) -> [JSON] {
        guard !groups.rules.isEmpty else { return [] }
        return groups.table(of: model.layout).map { row in
            [
                "stage": plan.title.map { .string($0) } ?? .null, "name": .string(row.name),
                "tensors": JSON(row.tensors), "parameters": JSON(row.parameters),
                "rate": row.rate.map { JSON($0) } ?? .null, "decay": row.decay.map { JSON($0) } ?? .null,
                "frozen": .bool(row.isFrozen),
            ]
        }
    }
}

extension StepGuard.Finding {
    /// What a line of the record has of it.
    fileprivate func line(_ documents: String) -> JSONObject {
        [
            "what": .string(what), "value": value.isFinite ? JSON(value) : .null,
            "mean": before.map { JSON($0.mean) } ?? .null,
            "deviation": before.map { JSON($0.deviation) } ?? .null, "reason": .string(description),
            "documents": .string(documents),
        ]
    }
}

extension MemoryNeed {
    /// Bytes by what they are for.
    fileprivate var json: JSONObject {
        var parts: JSONObject = [
            "weights": JSON(weights), "gradients": JSON(gradients), "moments": JSON(moments),
            "activations": JSON(activations), "data": JSON(data), "program": JSON(program),
        ]
        if teacher > 0 { parts["teacher"] = JSON(teacher) }
        return parts
    }
}
