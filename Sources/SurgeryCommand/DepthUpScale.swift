import ArgumentParser
import Surgery

struct DepthUpScale: OperationCommand {
    static let configuration = CommandConfiguration(
        commandName: "dus",
        abstract: "Deepens a model by Depth Up-Scaling: its layers twice, trimmed where the two copies meet.",
        discussion: """
            Of n layers, s = 2(n − m) are made: all but the last m, then all but the first m (SOLAR 10.7B, arXiv \
            2312.15166). 32 to 48 gives layers 0-23 and then 8-31. For an odd s the upper copy loses one layer more; \
            beyond 2n there are more copies. --keep-first and --keep-last choose the copies otherwise: \
            --keep-first 28 of 32 to 48 gives 0-27 and then 12-31, as Yi-9B has it.

            Every key of config.json that counts layers follows, or the command says which one can't and writes \
            nothing. The result has surgery.json, from which `surgery verify` proves it.

            The raw result is worse than the model it is made from. Train it on: trainer heal. --budget says how many \
            tokens that will be, and is told what published results took.

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

    @Option(help: "The share of noise in the matrices of repeated layers, 0 to 0.2.")
    var noise: Float?

    @Option(help: "What the noise follows from.")
    var seed: UInt64?

    @Option(help: "How many tokens of healing are planned.")
    var budget: Int?

    @OptionGroup var options: OutputOptions

    var operation: any SurgeryOperation {
        DepthUpScaling(
            from: from, to: to, keepFirst: keepFirst, keepLast: keepLast, noise: noise, seed: seed,
            budget: budget)
    }
}
