public import ArgumentParser
import CommandLineSupport
import Formats
public import Trainer

struct HandOffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hand-off",
        abstract: "Write a planned run as another framework's configuration and data.",
        discussion: """
            RUN is the folder OUT.cluster that trainer heal --on torchrun --plan-only has written:

              trainer heal deep-model --data korean.jsonl --on torchrun --plan-only
              trainer hand-off deep-model-healed.cluster --to axolotl -o for-axolotl
              MODEL=/models/deep-model sh for-axolotl/launch.sh                       # there

            The folder has the configuration, the sequences in their order with the borders of documents, the logits and losses \
            that the trainer finds on the first step's sequences, and launch.sh: it compares model and data with these by \
            check.py, and starts the framework only where nothing differs.

            No framework can do all of what the trainer plans. What a run asks for and its framework can't do is said and refused, \
            unless --without names it: \
            stages, frozen-rows, row-rates, tensor-rates, schedule. What is given up stands at the top of the configuration.
            """)

    @Argument(help: ArgumentHelp("The run folder.", valueName: "run")) var planned: String
    @Option(
        name: .customLong("to"),
        help: ArgumentHelp(
            "The framework: automodel, axolotl, megatron-bridge or torchtitan.", valueName: "framework"))
    var target: HandOffTarget
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The folder to write (default: OUT-FRAMEWORK).", valueName: "folder"))
    var output: String?
    @Option(
        help: ArgumentHelp("What is given up, with commas between.", valueName: "names"), transform: Self.gaps
    )
    var without: Set<HandOffGap> = []
    @Option(help: ArgumentHelp("The stage to hand off.", valueName: "number")) var stage = 1
    @Option(
        help: ArgumentHelp(
            "The model's folder (default: where it was planned); for a later stage, what those before it have made.",
            valueName: "folder"))
    var model: String?
    @Option(
        help: ArgumentHelp(
            "Compute only so many of the first step's sequences (default: all).", valueName: "sequences"))
    var golden: Int?
    @Flag(help: "Replace a folder that is there.") var force = false
    @Flag(help: "Print one JSON object on standard output at the end.") var json = false
    @OptionGroup var compute: ComputeOptions

    func validate() throws {
        if let golden, golden < 1 { throw ValidationError("--golden is \(golden); give 1 or more") }
    }

    private static func gaps(_ text: String) throws -> Set<HandOffGap> {
        Set(
            try text.split(separator: ",").map { name in
                guard let gap = HandOffGap(rawValue: String(name)) else {
                    throw ValidationError(
                        "'\(name)' is none of \(HandOffGap.allCases.map(\.rawValue).joined(separator: ", "))")
                }
                return gap
            })
    }

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            let handOff = try HandOff(planned, to: target, stage: stage, without: without, model: model)
            let folder = output ?? HandOff.folder(of: planned, to: target)
            var line = ProgressLine()
            let loss = try handOff.write(
                to: folder, golden: golden, force: force, threads: compute.count,
                isCancelled: { Interruption.signal != nil },
                progress: { line.update("\($0) of \($1) sequences of the first step computed") })
            line.clear()
            if json {
                return printJSON([
                    "folder": .string(folder), "package": .string(handOff.package),
                    "first_loss": loss.map { JSON($0) } ?? .null,
                    "given_up": .array(
                        handOff.givenUp.map { ["name": .string($0.name), "text": .string($0.text)] }),
                    "not_done": .array(handOff.remarks.map { .string($0) }),
                ])
            }
            for (name, text) in handOff.givenUp { warn("\(name) is given up: \(text)") }
            for remark in handOff.remarks { report("note: \(remark)") }
            if let loss { report("the first step should show a loss of \(Units.fixed(loss, digits: 4))") }
            report(
                "\(folder) is for \(handOff.package); start it by launch.sh, which checks model and data first"
            )
        }
    }
}

extension HandOffTarget: ExpressibleByArgument {}
