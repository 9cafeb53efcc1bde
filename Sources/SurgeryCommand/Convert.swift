public import ArgumentParser
public import Models
public import Surgery

struct Convert: OperationCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Writes a model with its numbers in another type, in another format, or in files of another size.",
        discussion: """
            Numbers are rounded to nearest, ties to even. Finite numbers that the type can't hold become infinite, and \
            the command says how many of which tensor. Without --dtype every number stays as it is.

            --to safetensors makes a Hugging Face model of a KerasHub preset, and --to hdf5 the other way round: names, \
            shapes, config.json and tokenizer, for Llama, Mistral, Qwen 2 and 3, Gemma, Phi-3, GPT-2, GPT-NeoX and BLOOM. \
            Other models keep their own names.

            examples:
              surgery convert models/base -o models/base-bf16 --dtype bf16
              surgery convert models/base -o models/base-sharded --shard-size 2GB
              surgery convert presets/llama -o models/llama --to safetensors
            """)

    @Argument(help: "The model: a folder, or a file of weights.")
    var model = "."

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: beside the model, as in NAME-bf16)")
    var output: String?

    @Option(help: "The type of the numbers.")
    var dtype: Conversion.NumberType?

    @Option(help: "The format of the weights.")
    var to: WeightsFormat?

    @OptionGroup var options: OutputOptions

    var operation: any SurgeryOperation { Conversion(dtype: dtype, to: to) }
}

extension WeightsFormat: ExpressibleByArgument {}
extension Conversion.NumberType: ExpressibleByArgument {}
