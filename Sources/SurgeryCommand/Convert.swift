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

            --dequantize makes numbers of a quantised model, bf16 or f32, and takes the quantisation out of its \
            configuration: of 8-bit floating point with scales (fp8, mxfp8, fbgemm_fp8, ModelOpt's FP8, compressed-tensors' \
            float-quantized) and of the MXFP4 of GPT-OSS's experts. Other schemes are refused by name.

            examples:
              surgery convert models/base -o models/base-bf16 --dtype bf16
              surgery convert models/base -o models/base-sharded --shard-size 2GB
              surgery convert presets/llama -o models/llama --to safetensors
              surgery convert models/gpt-oss-20b -o models/gpt-oss-20b-bf16 --dequantize
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

    @Flag(help: "Make numbers of quantised values and their scales.")
    var dequantize = false

    @OptionGroup var options: OutputOptions

    func validate() throws {
        if dequantize, dtype == .f16 {
            throw ValidationError("--dequantize makes bf16 or f32, not f16; give --dtype bf16 or --dtype f32")
        }
    }

    var operation: any SurgeryOperation {
        Conversion(dtype: dtype, to: to, dequantize: dequantize ? true : nil)
    }
}

extension WeightsFormat: ExpressibleByArgument {}
extension Conversion.NumberType: ExpressibleByArgument {}
