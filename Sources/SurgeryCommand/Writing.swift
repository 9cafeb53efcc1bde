import CommandLineSupport
import Formats
import Surgery

/// A result being written: shown, then written unless it is only to be shown.
struct Writing {
    let command: String
    let source: Checkpoint
    let result: Checkpoint
    let output: String
    let options: OutputOptions

    /// Plans, checks, writes and reports what was made.
    ///
    /// - Parameters:
    ///   - outcome: what is told of the result.
    ///   - details: what the command adds to the JSON object; nil for what the outcome has for it.
    /// - Throws: what stands in the way of writing, or that it was stopped.
    func run(_ outcome: Outcome, details: JSONObject? = nil) throws {
        let details = details ?? outcome.details
        for warning in outcome.warnings { warn(warning) }
        let writer = CheckpointWriter(options: options.writeOptions)
        let plan = try writer.plan(result, to: output)
        report(outcome.table(source: source, plan: plan))
        try writer.check(plan)
        for left in plan.skippedFiles where options.dryRun {
            report("left behind: \(left)")
        }
        guard !options.dryRun else {
            report("nothing was written (--dry-run)")
            if options.json { printJSON(json(plan, details: details, report: nil, seconds: nil)) }
            return
        }
        let meter = ProgressMeter()
        let written = try writeShowingProgress(plan, with: writer)
        let seconds = meter.seconds
        written.tell(seconds: seconds)
        if options.json { printJSON(json(plan, details: details, report: written, seconds: seconds)) }
    }

    private func json(
        _ plan: WritePlan, details: JSONObject, report: WriteReport?, seconds: Double?
    ) -> JSON {
        var object: JSON = [
            "command": .string(command), "source": .string(source.path), "output": .string(output),
            "dry_run": .bool(options.dryRun),
        ]
        for (key, value) in details { object[key] = value }
        for (key, value) in plan.figures(source: source, report, seconds) { object[key] = value }
        return object
    }
}

extension Outcome {
    /// What was made of a source, for people; with what it takes where it is written.
    func table(source: Checkpoint, plan: WritePlan? = nil) -> String {
        var table = Table(columns: [("", .left), ("", .left)])
        table.add("source", source.path)
        if let plan { table.add("output", plan.output) }
        for line in summary { table.add(line.label, line.text) }
        let (before, after) = (source.parameterCount, plan?.parameterCount ?? checkpoint.parameterCount)
        table.add(
            "parameters",
            before == after
                ? Units.grouped(after) : "\(Units.grouped(before)) → \(Units.grouped(after))")
        if let plan {
            table.add(
                "to write",
                "\(Units.bytes(plan.byteCount)) in \(plan.files.count) files, "
                    + "\(Units.bytes(plan.copiedByteCount)) of them copied as they are")
        }
        for (index, change) in changes.enumerated() {
            table.add(index == 0 ? "config.json" : "", change.description)
        }
        return table.description
    }
}

extension WritePlan {
    /// What it takes, for programs, and what writing it took.
    func figures(source: Checkpoint, _ report: WriteReport?, _ seconds: Double?) -> JSONObject {
        var object = JSONObject()
        object["parameters"] = ["before": JSON(source.parameterCount), "after": JSON(parameterCount)]
        object["bytes"] = JSON(byteCount)
        object["copied_bytes"] = JSON(copiedByteCount)
        object["files"] = .array(files.map { ["name": .string($0.name), "bytes": JSON($0.byteCount)] })
        object["left_behind"] = skippedFiles.json
        guard let report, let seconds else { return object }
        object["resumed_bytes"] = JSON(report.resumedByteCount)
        object["overflows"] = .array(
            report.overflows.map { ["tensor": .string($0.tensor), "count": JSON($0.count)] })
        object["seconds"] = JSON(seconds)
        return object
    }
}
