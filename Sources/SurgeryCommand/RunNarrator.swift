import CommandLineSupport
import Formats
import Recipes
import Surgery
import Trainer

/// Tells people what `surgery run` does as it does it, and keeps what programs are told at the end.
final class RunNarrator {
    private let options: OutputOptions
    private let operations = OperationProgress()
    private var line = ProgressLine()
    private var meter = ProgressMeter()
    private var healing = HealNarrator()
    /// How far a selection is.
    let selecting = SelectionProgress()
    /// What is planned to be written.
    private var planned: (plan: WritePlan, source: Checkpoint)?
    private var steps: [JSON] = []
    private var last = JSONObject()

    init(options: OutputOptions) { self.options = options }

    /// Clears the lines of progress.
    func finish() {
        operations.clear()
        line.clear()
        selecting.clear()
        healing.finish()
    }

    /// What programs are told: the last model that was written, and every step.
    var json: JSON {
        var object: JSONObject = ["command": "run", "dry_run": .bool(options.dryRun)]
        for (key, value) in last { object[key] = value }
        object["steps"] = .array(steps)
        return .object(object)
    }

    func tell(_ event: RecipeRun.Event) {
        switch event {
        case .progress(let doing, let done, let total): operations.show(doing, done, total)
        case .writing(let progress): line.update("writing \(meter.bytes(progress))")
        case .healing(let event): healing.tell(event)
        default:
            finish()
            say(event)
        }
    }

    private func say(_ event: RecipeRun.Event) {
        switch event {
        case .warning(let text): warn(text)
        case .note(let text): report(text)
        case .made(let step, let outcome): made(step, outcome)
        case .planned(let plan, let source, let outcome):
            for warning in outcome.warnings { warn(warning) }
            report(outcome.table(source: source, plan: plan))
            for left in plan.skippedFiles where options.dryRun {
                report("left behind: \(left)")
            }
            (planned, meter) = ((plan, source), ProgressMeter())
            keep(output: plan.output, source: source, figures: plan.figures(source: source, nil, nil))
        case .unwritten(let source, let outcome):
            for warning in outcome.warnings { warn(warning) }
            report(outcome.table(source: source))
        case .wrote(let written):
            let seconds = meter.seconds
            written.tell(seconds: seconds)
            guard let (plan, source) = planned else { return }
            keep(output: plan.output, source: source, figures: plan.figures(source: source, written, seconds))
        case .isThere(let path): report("\(path) is there already, made by the same steps")
        case .selected(let step, let selection, let file): selected(step, selection, file: file)
        case .prepared(let step, let job): prepared(step, job)
        case .healed(let step, let outcome, let folder): healed(step, outcome, folder: folder)
        case .evaluated(let step, let results):
            if !results.isEmpty { report(results.table) }
            add(step, ["sets": (try? results.json) ?? .null])
        case .progress, .writing, .healing: break
        }
    }

    private func made(_ step: RecipeRun.Step, _ outcome: Outcome) {
        var figures: JSONObject = [
            "parameters": JSON(outcome.checkpoint.parameterCount),
            "bytes": JSON(outcome.checkpoint.byteCount),
        ]
        for (key, value) in outcome.details { figures[key] = value }
        figures["memory_bytes"] = JSON(WriteEstimate.memoryBytes)
        figures["expected_seconds"] = JSON(WriteEstimate.seconds(bytes: outcome.checkpoint.byteCount))
        figures["warnings"] = .array(outcome.warnings.map { .string($0) })
        add(step, figures)
    }

    private func selected(_ step: RecipeRun.Step, _ selection: SelectionReport?, file: String) {
        guard let selection else {
            report("\(step.name): would write \(file)")
            return add(step, ["output": .string(file)])
        }
        for line in selection.lines(output: file) { report(line) }
        var figures = selection.json.object ?? JSONObject()
        figures["output"] = .string(file)
        add(step, figures)
    }

    private func prepared(_ step: RecipeRun.Step, _ job: PreparedJob) {
        for warning in job.warnings { warn(warning) }
        report(job.table())
        guard options.dryRun else { return }
        var figures = job.json().object ?? JSONObject()
        figures["bytes"] = JSON(job.output.byteCount)
        let seconds = try? job.expectedSeconds()
        if let seconds { report("about \(Units.duration(seconds: seconds)) on this machine") }
        figures["expected_seconds"] = seconds.map { JSON($0) } ?? .null
        add(step, figures)
    }

    private func healed(_ step: RecipeRun.Step, _ outcome: TrainingOutcome, folder: String) {
        for warning in outcome.warnings { warn(warning) }
        for text in outcome.lines(output: folder) { report(text) }
        let figures = (try? outcome.json(output: folder).object) ?? JSONObject()
        add(step, figures)
        last = ["output": .string(folder)]
    }

    private func keep(output: String, source: Checkpoint, figures: JSONObject) {
        last = ["source": .string(source.path), "output": .string(output)]
        for (key, value) in figures { last[key] = value }
    }

    /// What a step was told, and what it makes.
    private func add(_ step: RecipeRun.Step, _ figures: JSONObject) {
        var object: JSONObject = [
            "name": .string(step.name), "operation": .string(type(of: step.operation).name),
            "options": .object(step.operation.parameters),
        ]
        for (key, value) in figures { object[key] = value }
        steps.append(.object(object))
    }
}

/// What writing a model takes, about: Documentation/measurements.md has what was measured.
private enum WriteEstimate {
    /// The most memory that a `dus` was seen to take.
    static let memoryBytes = 38 << 20
    /// 21.1 GB in 22.8 s.
    static func seconds(bytes: Int) -> Double { Double(bytes) / 925e6 }
}
