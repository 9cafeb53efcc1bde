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
        show(plan, outcome)
        try writer.check(plan)
        for left in plan.skippedFiles where options.dryRun {
            report("left behind: \(left.name) (\(left.reason))")
        }
        guard !options.dryRun else {
            report("nothing was written (--dry-run)")
            if options.json { printJSON(json(plan, details: details, report: nil, seconds: nil)) }
            return
        }
        let meter = ProgressMeter()
        let written = try writeShowingProgress(plan, with: writer)
        for overflow in written.overflows {
            warn(
                "\(overflow.count) numbers of \(overflow.tensor) are too large for the type and became infinite"
            )
        }
        for left in written.skippedFiles { report("left behind: \(left.name) (\(left.reason))") }
        let seconds = meter.seconds
        report("wrote \(output): \(Units.bytes(written.byteCount)) in \(Units.duration(seconds: seconds))")
        if options.json { printJSON(json(plan, details: details, report: written, seconds: seconds)) }
    }

    private func show(_ plan: WritePlan, _ outcome: Outcome) {
        var table = Table(columns: [("", .left), ("", .left)])
        table.add("source", source.path)
        table.add("output", output)
        for line in outcome.summary { table.add(line.label, line.text) }
        table.add(
            "parameters",
            source.parameterCount == plan.parameterCount
                ? Units.grouped(plan.parameterCount)
                : "\(Units.grouped(source.parameterCount)) → \(Units.grouped(plan.parameterCount))")
        table.add(
            "to write",
            "\(Units.bytes(plan.byteCount)) in \(plan.files.count) files, "
                + "\(Units.bytes(plan.copiedByteCount)) of them copied as they are")
        for (index, change) in outcome.changes.enumerated() {
            table.add(index == 0 ? "config.json" : "", change.description)
        }
        report(table.description)
    }

    private func json(
        _ plan: WritePlan, details: JSONObject, report: WriteReport?, seconds: Double?
    ) -> JSON {
        var object: JSON = [
            "command": .string(command), "source": .string(source.path), "output": .string(output),
            "dry_run": .bool(options.dryRun),
        ]
        for (key, value) in details { object[key] = value }
        object["parameters"] = ["before": JSON(source.parameterCount), "after": JSON(plan.parameterCount)]
        object["bytes"] = JSON(plan.byteCount)
        object["copied_bytes"] = JSON(plan.copiedByteCount)
        object["files"] = .array(plan.files.map { ["name": .string($0.name), "bytes": JSON($0.byteCount)] })
        object["left_behind"] = .array(
            plan.skippedFiles.map { ["name": .string($0.name), "reason": .string($0.reason)] })
        guard let report, let seconds else { return object }
        object["resumed_bytes"] = JSON(report.resumedByteCount)
        object["overflows"] = .array(
            report.overflows.map { ["tensor": .string($0.tensor), "count": JSON($0.count)] })
        object["seconds"] = JSON(seconds)
        return object
    }
}

/// Carries out a plan, shows how far it is, and stops it when the user says so.
func writeShowingProgress(_ plan: WritePlan, with writer: CheckpointWriter) throws -> WriteReport {
    Interruption.watch()
    var line = ProgressLine()
    let meter = ProgressMeter()
    defer { line.clear() }
    return try writer.write(plan, isCancelled: { Interruption.signal != nil }) { progress in
        line.update("writing \(meter.bytes(progress))")
    }
}
