import ArgumentParser
import CommandLineSupport
import Formats
import Surgery

struct ResizeVocabulary: OperationCommand {
    static let configuration = CommandConfiguration(
        commandName: "resize-vocab",
        abstract: "Gives a model more tokens, or other ones, with everything that has to follow in step.",
        discussion: """
            One of --learn, --tokenizer, --tokens and --size says what is to become of the vocabulary. Embedding, output \
            head, its bias, config.json and all files of the tokenizer follow. Old rows stay what they are, byte for byte; \
            surgery.json has what each new one is made of, from which `surgery verify` proves it.

            --learn continues the training of the tokenizer's own byte-pair encoding on text: merges are appended, so text \
            in which no new token applies is encoded as before. Every new token is checked to be reachable.

            --init auto tries subword-mean, bil, eeve and mean-cov (with tied embeddings those that fit): each is trained \
            for 50 steps on --corpus, all weights at trainer heal's rates, and the one that predicts held-back documents \
            best is written. It takes the time and memory of training, which it says first.

            \(TextArguments.files)

            examples:
              surgery resize-vocab --learn 2000 --corpus korean.jsonl --held-out korean.val.jsonl
              surgery resize-vocab models/base --tokenizer models/other --init mean
              surgery resize-vocab --learn 2000 --corpus korean.jsonl --init auto
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

    var operation: any SurgeryOperation {
        var operation = VocabularyChange()
        change.fill(&operation)
        rows.fill(&operation)
        return operation
    }

    func validate() throws {
        // A contradiction is the command line's, before anything is opened.
        do { try (operation as? VocabularyChange)?.check() } catch { throw ValidationError(error.message) }
    }
}
