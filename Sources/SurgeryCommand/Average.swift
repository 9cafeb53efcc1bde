import ArgumentParser
import Surgery

struct Average: OperationCommand {
    static let configuration = CommandConfiguration(
        abstract: "Makes the mean of several models of one shape, as of a run's last checkpoints.",
        discussion: """
            The models must have the same tensors, shapes and tokens. Everything but the numbers is the first model's, and \
            so is the type; sums are made in float32 and rounded once (model soups, arXiv 2203.05482).

            A checkpoint of a run is no model yet: trainer export makes one of it.

            Without --weights all models count alike. Weights must make 1 together.

            examples:
              trainer export healed.run/step-001800
              surgery average healed healed-step-1800 -o averaged
              surgery average a b c --weights 0.5,0.25,0.25
            """)

    @Argument(help: "The models: folders, or files of weights.")
    var models: [String]

    @Option(help: "How much each model counts, as in 0.5,0.25,0.25.")
    var weights: String?

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: beside the first model, as in NAME-average-3)")
    var output: String?

    @OptionGroup var options: OutputOptions

    var model: String { models[0] }

    var operation: any SurgeryOperation { Averaging(with: Array(models.dropFirst()), weights: weights) }

    func validate() throws {
        guard models.count > 1 else { throw ValidationError("one model has no mean; name two or more") }
    }
}
