import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

extension TextSource {
    /// `[NAME=]FILE[:WEIGHT]`, as in `ko=korean.jsonl:0.75`; the weight is 1 where none is given.
    static func weighted(_ argument: String) throws -> TextSource {
        try typed(argument, takesWeight: true)
    }

    /// `[NAME=]FILE`, as in `en=english.val.jsonl`; without a name a set is called by its path.
    static func unweighted(_ argument: String) throws -> TextSource {
        try typed(argument, takesWeight: false)
    }

    private static func typed(_ argument: String, takesWeight: Bool) throws -> TextSource {
        guard let source = TextSource(typed: argument, takesWeight: takesWeight) else {
            throw ValidationError("'\(argument)' names no file")
        }
        return source
    }
}

/// Refuses a model among what options take, before anything is read.
func refuseModels(among paths: [String]) throws {
    for path in paths where TextPaths.isModel(path) {
        throw ValidationError(UserFacingError.modelInPlaceOfText(path: path).message)
    }
}

/// How documents end.
struct EndOptions: ParsableArguments {
    @Option(
        name: .customLong("end-of-text"),
        help: ArgumentHelp(
            "What ends a document (default: the first eos_token_id of config.json).", valueName: "token"))
    var token: String?
    @Flag(help: "Documents have no end.") var noEndOfText = false

    func validate() throws {
        guard token == nil || !noEndOfText else {
            throw ValidationError("--end-of-text names an end and --no-end-of-text leaves it out; give one")
        }
    }

    var endOfText: EndOfText { EndOfText(token: token, isLeftOut: noEndOfText) }
}

/// What every command that computes takes.
struct ComputeOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Threads that compute (default: all processors).", valueName: "count"))
    var threads: Int?

    func validate() throws {
        if let threads, threads < 1 { throw ValidationError("--threads must be at least 1, not \(threads)") }
    }

    var count: Int { threads ?? Processor.count }
}

/// Refuses a command that names no model in a folder that is none.
func requireModel(_ model: String) throws {
    guard model == ".", !TextPaths.isModel(model) else { return }
    throw ValidationError(
        "no model is named, and the current folder has no config.json; name it first: trainer heal MODEL --data …"
    )
}
