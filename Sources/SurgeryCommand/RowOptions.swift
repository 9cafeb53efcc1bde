public import ArgumentParser
import CommandLineSupport
import Formats
import Models
public import Surgery

/// How rows begin and how many there are, as it is typed.
struct RowOptions: ParsableArguments {
    @Option(
        name: .customLong("init"),
        help: ArgumentHelp(
            "How new rows begin. (default: \(InitializationPair.standard.name); mean-cov with --size)",
            discussion: InitializationPair.allNames.joined(separator: ", ")))
    var initialization: InitializationPair?

    @Option(help: "How new rows of the output head begin, where that differs.")
    var initOutput: RowInitialization?

    @Option(help: "What random numbers follow from.")
    var seed: UInt64 = 0

    @Option(help: "Add rows without a token until their number is a multiple of this.")
    var padToMultipleOf = 1

    @Flag(help: "Drop rows that no token has, which are kept otherwise.")
    var dropPadding = false

    /// A request with these rows.
    func request(_ change: VocabularyResize.Change, donor folder: String?) throws -> VocabularyResize {
        var pair = initialization ?? .standard
        if case .rows = change, initialization == nil { pair = .transformers }
        let needsDonor = pair.input.needsDonor || (initOutput ?? pair.output).needsDonor
        let donor = try needsDonor ? folder.map { path in try Checkpoint.openModel(path) } : nil
        return VocabularyResize(
            change, multiple: padToMultipleOf, dropsPadding: dropPadding, input: pair.input,
            output: initOutput ?? pair.output, seed: seed, donor: donor,
            threads: Processor.count)
    }
}

extension RowInitialization: ExpressibleByArgument {}

extension InitializationPair: ExpressibleByArgument {
    /// A pair by its name.
    public init?(argument: String) { self.init(name: argument) }
    /// What is shown as the default.
    public var defaultValueDescription: String { name }
}
