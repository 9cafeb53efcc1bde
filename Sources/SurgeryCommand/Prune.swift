public import ArgumentParser
public import Surgery

struct Prune: OperationCommand {
    static let configuration = CommandConfiguration(
        abstract: "Leaves layers out, those that are named or those that were measured to matter least.",
        discussion: """
            --drop names them. --to with --scores takes the file that trainer analyze -o wrote of this model: by block influence \
            (ShortGPT, arXiv 2403.03853), one block by angular distance (arXiv 2403.17887), by the loss without each, or in \
            the order of analyze --iterative.

            examples:
              surgery prune --drop 24-27
              surgery prune models/base --to 28 --scores scores.json --by angular-distance
            """)

    @Argument(help: "The model: a folder, or a file of weights.")
    var model = "."

    @Option(help: "How many layers the result is to have.")
    var to: Int?

    @Option(help: "The layers to leave out, as in 24-27,29.")
    var drop: String?

    @Option(help: "The file of scores.")
    var scores: String?

    @Option(help: "Which scores tell. (default: iterative where the file has an order, else block-influence)")
    var by: Pruning.Measure?

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: beside the model, as in NAME-prune-28)")
    var output: String?

    @OptionGroup var options: OutputOptions

    var operation: any SurgeryOperation { Pruning(to: to, drop: drop, scores: scores, by: by) }
}

extension Pruning.Measure: ExpressibleByArgument {}
