import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Adopt: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt",
        abstract: "Bring home what torchrun has made of a run folder.",
        discussion: """
            RUN is the folder OUT.cluster that trainer heal --on torchrun has planned, and that a worker has carried out to its \
            end, here or where it was copied to:

              trainer heal deep-model --data korean.jsonl --on torchrun --plan-only
              torchrun --standalone --nproc-per-node 8 deep-model-healed.cluster/worker.py deep-model-healed.cluster/job.json
              trainer adopt deep-model-healed.cluster

            Every file is compared with its SHA-256, every tensor with the plan: names, shapes, types, that all numbers are \
            finite, and that frozen rows have the bytes that they had. Then the model is written as by a run of our own, with \
            the record of the run beside it.
            """)

    @Argument(help: ArgumentHelp("The run folder.", valueName: "run")) var folder: String
    @Option(help: ArgumentHelp("The model's folder (default: where it was planned).", valueName: "folder"))
    var model: String?
    @Flag(help: "Replace an output.") var force = false
    @Flag(help: "Print one JSON object on standard output at the end.") var json = false

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            var options = RunOptions()
            (options.force, options.tool) = (force, "trainer \(Version.current)")
            let adoption = try Adoption(folder, model: model, options: options)
            let outcome = try adoption(isCancelled: { Interruption.signal != nil })
            for overflow in outcome.warnings { warn(overflow) }
            if json { return printJSON(try outcome.json(output: adoption.output)) }
            for line in outcome.lines(output: adoption.output) { report(line) }
        }
    }
}
