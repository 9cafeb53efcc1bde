import ArgumentParser
import Surgery

struct ArrangeLayers: OperationCommand {
    static let configuration = CommandConfiguration(
        commandName: "layers",
        abstract:
            "Arranges a model's layers in any way: repeated, left out, turned round, scaled or without effect.",
        discussion: """
            --plan lists the result's layers by the model's, counted from 0, ranges with both ends: 0-23,8-31 is Depth \
            Up-Scaling of 32 to 48, and 3-0 counts down. Behind a layer or range, :zero makes zero what writes into the \
            residual stream, so that the layer passes on what it is given, and :scale=0.7 multiplies it.

            examples:
              surgery layers --plan 0-23,8-31
              surgery layers models/base --plan 0-15,15:zero,16-31 -o models/block
            """)

    @Argument(help: "The model: a folder, or a file of weights.")
    var model = "."

    @Option(help: "The layers of the result.")
    var plan: String

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: beside the model, as in NAME-layers-48)")
    var output: String?

    @OptionGroup var options: OutputOptions

    var operation: any SurgeryOperation { LayerArrangement(plan: plan) }
}
