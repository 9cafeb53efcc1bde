import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Export: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write the model that a checkpoint of a run holds.",
        discussion: """
            The model is written as the end of the run would write it, in the types and the format of the model that the \
            run began with, and surgery.json in it names run and step. That model is found where it was then, and must \
            not have changed.

              trainer heal deep --data korean.jsonl --steps 2000 --keep 3 -o healed
              trainer export healed.run/step-001800
              surgery average healed healed-step-1800 healed-step-1900

            A run keeps its last checkpoint while it goes on, and more of them, and after its end, with --keep, \
            --keep-best and a stage's keep-end.
            """)

    @Argument(help: ArgumentHelp("The checkpoint, as OUT.run/step-000200.", valueName: "checkpoint"))
    var checkpoint: String
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The result's folder (default: OUT-step-200).", valueName: "folder"))
    var output: String?
    @Option(
        help: ArgumentHelp(
            "The model that the run began with (default: where it was then).", valueName: "folder"))
    var model: String?
    @Flag(help: "Write the running average of the weights, which a run with --result average keeps.")
    var average = false
    @Flag(help: "Replace the output when it exists.") var force = false
    @Flag(help: "Show what would be written, and write nothing.") var dryRun = false
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            var options = RunOptions()
            (options.force, options.tool) = (force, "trainer \(Version.current)")
            let export = try CheckpointExport(
                checkpoint, of: model, average: average,
                to: output ?? CheckpointExport.output(of: checkpoint, average: average), options: options)
            for warning in export.warnings { warn(warning) }
            report(export.table)
            try export.writer.check(export.plan)
            if dryRun {
                report("nothing was written (--dry-run)")
            } else {
                let meter = ProgressMeter()
                let written = try writeShowingProgress(export.plan, with: export.writer)
                written.tell(seconds: meter.seconds)
            }
            if json {
                var object = export.json
                (object["average"], object["dry_run"]) = (.bool(average), .bool(dryRun))
                printJSON(object)
            }
        }
    }
}
