public import ArgumentParser
public import Surgery

/// How rows begin and how many there are, as it is typed.
struct RowOptions: ParsableArguments {
    @Option(
        name: .customLong("init"),
        help: ArgumentHelp(
            "How new rows begin. (default: \(InitializationPair.standard.name); mean-cov with --size)",
            discussion:
                "auto, which trains those that fit a little and takes the best, or \(InitializationPair.allNames.joined(separator: ", "))"
        ))
    var initialization: InitializationChoice?

    @Option(help: "How new rows of the output head begin, where that differs.")
    var initOutput: RowInitialization?

    @Option(help: "What random numbers follow from.")
    var seed: UInt64 = 0

    @Option(help: "Add rows without a token until their number is a multiple of this.")
    var padToMultipleOf = 1

    @Flag(help: "Drop rows that no token has, which are kept otherwise.")
    var dropPadding = false

    /// Puts what was typed into an operation.
    func fill(_ operation: inout VocabularyChange) {
        operation.initialization = initialization?.name
        operation.initOutput = initOutput
        operation.seed = seed == 0 ? nil : seed
        operation.padToMultipleOf = padToMultipleOf == 1 ? nil : padToMultipleOf
        operation.dropPadding = dropPadding ? true : nil
    }
}

extension RowInitialization: ExpressibleByArgument {}

extension InitializationChoice: ExpressibleByArgument {
    /// A choice by its name.
    public init?(argument: String) { self.init(name: argument) }
    /// What is shown as the default.
    public var defaultValueDescription: String { name }
}
