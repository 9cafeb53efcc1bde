import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Surgery

struct DepthUpScale: ModelStep {
    static let configuration = CommandConfiguration(
        commandName: "dus",
        abstract: "Deepens a model by Depth Up-Scaling: its layers twice, trimmed where the two copies meet.",
        discussion: """
            Of n layers, s = 2(n − m) are made: all but the last m, then all but the first m (SOLAR 10.7B, arXiv \
            2312.15166). 32 to 48 gives layers 0–23 and then 8–31. For an odd s the upper copy loses one layer more; \
            beyond 2n there are more copies. --keep-first and --keep-last choose the copies otherwise: \
            --keep-first 28 of 32 to 48 gives 0–27 and then 12–31, as Yi-9B has it.

            Every key of config.json that counts layers follows, or the command says which one can't and writes \
            nothing. The result has surgery.json, from which `surgery verify` proves it.

            The raw result is worse than the model it is made from. Train it on: trainer heal.

            examples:
              surgery dus --from 32 --to 48
              surgery dus models/base --to 48 -o models/deep --dry-run
            """)

    @Argument(help: "The model: a folder, or a file of weights.")
    var model = "."

    @Option(help: "How many layers the model has, to be sure that it is the right one.")
    var from: Int?

    @Option(help: "How many layers the result is to have.")
    var to: Int

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: beside the model, as in NAME-dus-48)")
    var output: String?

    @Option(help: "How many of the first layers the lower copy keeps.")
    var keepFirst: Int?

    @Option(help: "How many of the last layers the upper copy keeps.")
    var keepLast: Int?

    @OptionGroup var options: OutputOptions

    func run() throws {
        try runReportingErrors {
            let source = try Checkpoint.openModel(model)
            let result = try apply(to: source)
            let writing = Writing(
                command: "dus", source: source, result: result.checkpoint,
                output: output ?? OutputPath.beside(model, suffix: "dus-\(to)"), options: options)
            try writing.run(result)
        }
    }

    func apply(to source: Checkpoint) throws -> StepResult {
        let result = try source.depthUpScaled(
            DepthUpScaling(from: from, to: to, keepFirst: keepFirst, keepLast: keepLast))
        return StepResult(
            checkpoint: result.checkpoint,
            rows: [("layers", "\(result.plan.sourceCount) → \(result.plan.count): \(result.plan)")],
            changes: result.changes.map(\.description), details: details(of: result))
    }

    private func details(of result: RearrangedCheckpoint) -> [(String, JSON)] {
        let layers: JSON = [
            "before": JSON(result.plan.sourceCount), "after": JSON(result.plan.count),
            "origins": .array(result.plan.origins.map { JSON($0) }),
        ]
        let changes = result.changes.map { change -> JSON in
            ["key": .string(change.key), "before": change.before ?? .null, "after": change.after ?? .null]
        }
        return [("layers", layers), ("configuration", .array(changes))]
    }
}
