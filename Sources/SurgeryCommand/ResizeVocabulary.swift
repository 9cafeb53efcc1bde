import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Surgery

struct ResizeVocabulary: ModelStep {
    static let configuration = CommandConfiguration(
        commandName: "resize-vocab",
        abstract: "Gives a model more tokens, or other ones, with everything that has to follow in step.",
        discussion: """
            One of --learn, --tokenizer, --tokens and --size says what is to become of the vocabulary. Embedding, output \
            head, its bias, config.json and all files of the tokenizer follow. Old rows stay what they are, byte for byte; \
            surgery.json has what each new one is made of, from which `surgery verify` proves it.

            --learn continues the training of the tokenizer's own byte-pair encoding on text: merges are appended, so text \
            in which no new token applies is encoded as before. Every new token is checked to be reachable.

            examples:
              surgery resize-vocab --learn 2000 --corpus korean.jsonl --held-out korean.val.jsonl
              surgery resize-vocab models/base --tokenizer models/other --init mean
              surgery resize-vocab models/base --size 32064
            """)

    @Argument(help: "The model: a folder.")
    var model = "."

    @OptionGroup(title: "What becomes of the vocabulary") var change: VocabularyChangeOptions

    @OptionGroup(title: "Rows") var rows: RowOptions

    @Option(
        name: [.customShort("o"), .long],
        help: "The folder to write. (default: beside the model, as in NAME-vocab-34000)")
    var output: String?

    @OptionGroup var options: OutputOptions

    func validate() throws {
        try change.validateChoice()
    }

    func run() throws {
        try runReportingErrors {
            let source = try Checkpoint.openModel(model)
            if !options.allowDisagreement { try source.checkAgreement() }
            let result = try apply(to: source)
            let writing = Writing(
                command: "resize-vocab", source: source, result: result.checkpoint,
                output: output ?? OutputPath.beside(model, suffix: result.suffix), options: options)
            try writing.run(result)
        }
    }

    func apply(to source: Checkpoint) throws -> StepResult {
        let made = try change.make(for: source)
        let result = try source.vocabularyResized(
            try rows.request(made.change, donor: change.tokenizer))
        let report = VocabularyReport(
            result: result, learned: made.learned,
            texts: try change.heldOutTexts(source: source, result: result.checkpoint))
        return StepResult(
            checkpoint: result.checkpoint, suffix: "vocab-\(result.rows.after)", rows: report.rows,
            changes: result.changes.map(\.description),
            details: report.details)
    }
}
