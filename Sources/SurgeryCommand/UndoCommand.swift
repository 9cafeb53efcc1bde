import ArgumentParser
import CommandLineSupport
import Formats
import Surgery

struct UndoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "undo",
        abstract: "Makes the source again, byte for byte, of a result and its surgery.json alone.",
        discussion: """
            The source's files of weights, config.json and tokenizer come back as they were, and each is compared with its \
            SHA-256 before the folder gets its name. What was done in several steps of one run is undone at once; a result \
            of a result is undone in two steps.

            Where something was lost, as a layer that was dropped, nothing is written: it says what, and ends with exit \
            code 2.
            """)

    @Argument(help: "The result's folder.")
    var result: String

    @Option(name: [.customShort("o"), .long], help: "The folder to write.")
    var output: String

    @Flag(help: "Replace the output when it exists.")
    var force = false

    @Flag(help: "Show what would be written, and write nothing.")
    var dryRun = false

    @Flag(help: "Print one JSON object on standard output.")
    var json = false

    func run() throws {
        try runReportingErrors {
            let checkpoint = try Checkpoint.open(result)
            let undo = try checkpoint.undone()
            var seconds: Double?
            if undo.losses.isEmpty { seconds = try write(undo, of: checkpoint) } else { show(undo.losses) }
            if json { printJSON(object(undo, seconds: seconds)) }
            if !undo.losses.isEmpty { throw ExitCode(2) }
        }
    }

    /// Writes the files; how long it took, nil when nothing is to be written.
    private func write(_ undo: Undo, of checkpoint: Checkpoint) throws -> Double? {
        let writer = CheckpointWriter(options: WriteOptions(force: force))
        let plan = writer.plan(restoring: undo.files, of: checkpoint, to: output)
        try writer.check(plan)
        let names = undo.operations.map(\.name).joined(separator: ", ")
        report("undoing \(names): \(plan.files.count) files, \(Units.bytes(plan.byteCount))")
        guard !dryRun else {
            report("nothing was written (--dry-run)")
            return nil
        }
        let meter = ProgressMeter()
        _ = try writeShowingProgress(plan, with: writer)
        report("wrote \(output): \(Units.bytes(plan.byteCount)) in \(Units.duration(seconds: meter.seconds))")
        return meter.seconds
    }

    private func show(_ losses: [Undo.Loss]) {
        let most = 20
        for loss in losses.prefix(most) { report("lost: \(loss.name): \(loss.reason)") }
        if losses.count > most { report("lost: \(losses.count - most) others (--json lists all)") }
        report(
            "error: \(result) can't be undone: \(losses.count) tensors or files are lost; nothing was written"
        )
    }

    private func object(_ undo: Undo, seconds: Double?) -> JSON {
        [
            "command": "undo", "source": .string(result), "output": .string(output), "dry_run": .bool(dryRun),
            "undone": .bool(undo.losses.isEmpty),
            "operations": .array(undo.operations.map { .string($0.name) }),
            "files": .array(
                undo.files.map {
                    [
                        "name": .string($0.name), "bytes": JSON($0.byteCount),
                        "sha256": $0.sha256.map { .string($0) } ?? .null,
                    ]
                }),
            "lost": .array(undo.losses.map { ["name": .string($0.name), "reason": .string($0.reason)] }),
            "seconds": seconds.map { JSON($0) } ?? .null,
        ]
    }
}
