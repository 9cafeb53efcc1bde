public import ArgumentParser
import CommandLineSupport
import Formats
public import Models
import Surgery

struct Convert: ModelStep {
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

    @Option(name: [.customShort("o"), .long], help: "The folder to write.")
    var output: String

    @Option(help: "The type of the numbers.")
    var dtype: NumberType?

    @Option(help: "The format of the weights.")
    var to: WeightsFormat?

    @OptionGroup var options: OutputOptions

    func run() throws {
        try runReportingErrors {
            let source = try Checkpoint.openModel(model)
            let result = try apply(to: source)
            let writing = Writing(
                command: "convert", source: source, result: result.checkpoint, output: output,
                options: options)
            try writing.run(result)
        }
    }

    func apply(to source: Checkpoint) throws -> StepResult {
        StepResult(
            checkpoint: try source.converted(to: dtype?.elementType, format: to),
            rows: (dtype.map { [("numbers", $0.elementType.rawValue)] } ?? [])
                + (to.map { [("format", $0.rawValue)] } ?? []),
            details: [
                ("dtype", dtype.map { .string($0.elementType.rawValue) } ?? .null),
                ("to", to.map { .string($0.rawValue) } ?? .null),
            ])
    }
}

extension WeightsFormat: ExpressibleByArgument {}

/// The types that a model can be converted to, as they are typed.
enum NumberType: String, CaseIterable, ExpressibleByArgument {
    case f32, bf16, f16

    /// The type itself.
    var elementType: ElementType {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .f16: .f16
        }
    }
}
