public import ArgumentParser
public import Surgery

struct Restore: OperationCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Adds what an instruct model learned beyond its base to a model that was made of that base.",
        discussion: """
            The result is MODEL + strength × (instruct − base), through surgery.json: to layers wherever they went, to rows \
            where they are (instruct residual, arXiv 2410.10739; chat vector, arXiv 2310.04799). Deepen or extend a base, \
            heal it with `trainer heal`, and give it back what the instruct model knew.

            What is new in the model, as added tokens and zeroed blocks, stays as it is and is listed, and so is what of the \
            base is no longer there. The instruct model's chat template comes along where the model's tokenizer has its \
            tokens, and with it generation_config.json.

            examples:
              surgery restore --instruct models/base-it --base models/base models/base-dus-48-healed
              surgery restore --instruct it --base base grown --strength 0.7 -o grown-it
            """)

    @Argument(help: "The model: a folder that surgery has made of the base.")
    var model = "."

    @Option(help: "The base after instruction tuning.")
    var instruct: String

    @Option(help: "The base that the model was made of.")
    var base: String

    @Option(help: "How much of the difference is added. (default: 1)")
    var strength: Double?

    @Option(help: "Whose chat template the result has. (default: instruct)")
    var chatTemplate: Restoration.Template?

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: beside the model, as in NAME-restored)")
    var output: String?

    @OptionGroup var options: OutputOptions

    var operation: any SurgeryOperation {
        Restoration(instruct: instruct, base: base, strength: strength, chatTemplate: chatTemplate)
    }
}

extension Restoration.Template: ExpressibleByArgument {}
