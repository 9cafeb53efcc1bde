import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Surgery

struct MergeModels: OperationCommand {
    static let configuration = CommandConfiguration(
        commandName: "merge",
        abstract: "Makes one model of several, as a configuration file of mergekit says.",
        discussion: """
            The methods are \(MergeMethod.allCases.map(\.rawValue).joined(separator: ", ")). Sums are computed in float32 and \
            rounded once. In the file, ranges of layers are mergekit's: [0, 24] is layers 0 to 23.

            A model is a folder (a relative path counts from the file) or a name on the hub that is in the local cache. \
            Everything that is not merged, as the configuration, is the base model's, or the first model's.

            examples:
              surgery merge merge.yml -o merged
              surgery merge merge.yml -o merged --dry-run
            """)

    @Argument(help: ArgumentHelp("The configuration file.", valueName: "config"))
    var file: String

    @Option(help: "What random numbers follow from.")
    var seed: UInt64?

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: the file's name with -merged behind it, here)")
    var output: String?

    @OptionGroup var options: OutputOptions

    var model: String { "." }
    var operation: any SurgeryOperation { Merge(config: file, seed: seed) }

    func source() throws -> Checkpoint {
        try Checkpoint.openModel(MergeConfiguration.read(path: file).basePath)
    }

    func standardOutput(suffix: String) -> String {
        let name = Path.name(file).split(separator: ".").first.map(String.init) ?? "model"
        return Path.absolute("\(name)-\(suffix)")
    }
}
