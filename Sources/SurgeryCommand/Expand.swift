public import ArgumentParser
public import Surgery

struct Expand: OperationCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Deepens a model by new layers that compute nothing yet, so that the result is the source's exactly.",
        discussion: """
            A new layer is a copy of the one before it in which everything that writes into the residual stream is zero \
            (LLaMA Pro, arXiv 2401.02415). Training brings it to life; the old layers can stay frozen meanwhile.

            Without --after, new layers are spread evenly through the upper two thirds and never go behind the last one; \
            --placement upper takes the upper half, even all layers, as LLaMA Pro did (32 to 40: behind 3, 7 … 31).

            examples:
              surgery expand --to 40
              surgery expand models/base --after 15,19,23,27
            """)

    @Argument(help: "The model: a folder, or a file of weights.")
    var model = "."

    @Option(help: "How many layers the result is to have.")
    var to: Int?

    @Option(help: "The layers behind each of which a new one goes, as in 15,20-23.")
    var after: String?

    @Option(help: "Where new layers go.")
    var placement: Expansion.Placement?

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: beside the model, as in NAME-expand-40)")
    var output: String?

    @OptionGroup var options: OutputOptions

    var operation: any SurgeryOperation { Expansion(to: to, after: after, placement: placement) }
}

extension Expansion.Placement: ExpressibleByArgument {}
