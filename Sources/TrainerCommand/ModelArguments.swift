import ArgumentParser
import CommandLineSupport
import Formats
import Foundation
import Models
import Trainer

/// A set's name and its file, as in `en=english.val.jsonl`.
struct NamedFile: ExpressibleByArgument {
    let name: String
    let path: String

    init?(argument: String) {
        let parts = argument.split(separator: "=", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { return nil }
        (name, path) = (parts[0], parts[1])
    }
}

/// A file of text and its weight, as in `korean.jsonl:0.75`; the weight is 1 where none is given.
struct WeightedFile: ExpressibleByArgument {
    let path: String
    let weight: Double

    init?(argument: String) {
        guard !argument.isEmpty else { return nil }
        if let colon = argument.lastIndex(of: ":"),
            let weight = Double(argument[argument.index(after: colon)...])
        {
            (path, self.weight) = (String(argument[..<colon]), weight)
        } else {
            (path, weight) = (argument, 1)
        }
    }

    func source(isReplay: Bool) -> TextSource { TextSource(path: path, weight: weight, isReplay: isReplay) }
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

/// Refuses a command line in which the model stands where a list of other things is.
///
/// - Throws: `ValidationError` that says how to write it.
func checkModel(_ model: String, _ listed: [String]) throws {
    func isModel(_ path: String) -> Bool { FileSystem.kind(of: Path.join(path, "config.json")) == .file }
    if let taken = listed.first(where: isModel) {
        throw ValidationError(
            """
            \(taken) is a model, and stands behind an option that takes a list; name the model first: \
            trainer heal \(taken) --data …
            """)
    }
    guard model == ".", !isModel(model) else { return }
    throw ValidationError(
        "no model is named, and the current folder has no config.json; name it first: trainer heal MODEL --data …"
    )
}

/// The length of sequences where none is asked for: 512 tokens, or as many as the model was made for.
func defaultLength(of model: String) throws -> Int {
    min(512, try PretrainedModel.described(model).architecture.maximumLength)
}
