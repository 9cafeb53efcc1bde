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
    var wordings: String?
    @Option(
        help: ArgumentHelp(
            "Leave synthetic documents out until they are at most this share of the text that is kept.",
            valueName: "share"))
    var syntheticCap: Double?
}
