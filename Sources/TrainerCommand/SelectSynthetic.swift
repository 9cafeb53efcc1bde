import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

/// Text that nobody has written, as it is typed: what is made of triples, and how much of it may be kept.
struct SyntheticOptions: ParsableArguments {
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "Make text of knowledge triples: .tsv (subject, relation and object between tabs) or .jsonl.",
            valueName: "file"))
    var triples: [String] = []
    @Option(
        help: ArgumentHelp(
            "Their templates by relation, .yaml, .jsonl or .tsv, as in '{subject:은/는} {object}의 수도이다.'",
            valueName: "file"))
    var templates: String?
    @Option(
        help: ArgumentHelp(
            "How many documents to make of the same triples, each by other templates, or all (1).",
            valueName: "count"))
    var wordings: Wordings?
    @Option(
        help: ArgumentHelp(
            "Leave synthetic documents out until they are at most this share of the text that is kept.",
            valueName: "share"))
    var syntheticCap: Double?

    func validate() throws {
        guard triples.isEmpty == (templates == nil) else {
            throw ValidationError("--triples and --templates go together; give both, or neither")
        }
        guard wordings == nil || !triples.isEmpty else {
            throw ValidationError("--wordings goes with --triples")
        }
        if let syntheticCap, !(0...1).contains(syntheticCap) {
            throw ValidationError("--synthetic-cap is 0 to 1, not \(syntheticCap)")
        }
    }

    /// Whether chance decides something of it.
    var usesSeed: Bool { !triples.isEmpty || syntheticCap != nil }

    /// What was typed; nil where there are no triples.
    var text: TripleText? {
        templates.map {
            TripleText(files: triples, templates: $0, wordings: (wordings ?? Wordings(count: 1)).count)
        }
    }
}

/// How many wordings, as it is typed: a number, or `all`.
struct Wordings: ExpressibleByArgument {
    /// Nil for all.
    let count: Int?

    init(count: Int?) { self.count = count }

    init?(argument: String) {
        if argument == "all" {
            count = nil
            return
        }
        guard let number = Int(argument), (1...1000).contains(number) else { return nil }
        count = number
    }
}
