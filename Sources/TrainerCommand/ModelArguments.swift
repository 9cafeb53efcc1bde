import ArgumentParser
import CommandLineSupport
import Formats
import Foundation
import Models
import Trainer

/// A set's name and its file, as in `en=english.val.jsonl`; without a name it is called by its path.
struct NamedFile: ExpressibleByArgument {
    let name: String
    let path: String

    init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        (name, path) = Self.parts(of: argument)
        if path.isEmpty { return nil }
    }

    /// The name before the first `=`, unless the whole is a path, as in `year=2024/texts.jsonl`.
    static func parts(of argument: String) -> (name: String, path: String) {
        guard !FileSystem.exists(argument), let sign = argument.firstIndex(of: "="),
            sign > argument.startIndex
        else { return (argument, argument) }
        let name = argument[..<sign]
        // A folder with the sign in its name, which a pattern leads into.
        if name.contains("/") { return (argument, argument) }
        return (String(name), String(argument[argument.index(after: sign)...]))
    }
}

/// A file of text and its weight, as in `korean.jsonl:0.75` or `ko=korean.jsonl:0.75`; the weight is 1 where none is given.
struct WeightedFile: ExpressibleByArgument {
    let name: String
    let path: String
    let weight: Double

    init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        let (whole, weight) = Self.parts(of: argument)
        self.weight = weight
        (name, path) = NamedFile.parts(of: whole)
        if path.isEmpty { return nil }
    }

    /// The number behind the last colon, unless that belongs to a path that there is.
    private static func parts(of argument: String) -> (path: String, weight: Double) {
        guard !FileSystem.exists(argument), !FileSystem.exists(NamedFile.parts(of: argument).path),
            let colon = argument.lastIndex(of: ":"),
            let weight = Double(argument[argument.index(after: colon)...])
        else { return (argument, 1) }
        return (String(argument[..<colon]), weight)
    }

    func source(isReplay: Bool) -> TextSource {
        TextSource(name: name, path: path, weight: weight, isReplay: isReplay)
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

    var endOfText: EndOfText { noEndOfText ? .nothing : token.map { .token($0) } ?? .ofModel }
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

/// The length of sequences where none is asked for: 512 tokens, or as many as the model was made for.
func defaultLength(of model: String) throws -> Int {
    min(512, try PretrainedModel.described(model).architecture.maximumLength)
}
