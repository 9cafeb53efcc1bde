import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Eval: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Say how well a model predicts text.",
        discussion: """
            Each document is evaluated by itself: its tokens after a start token, in windows that predict --length \
            tokens each, the last one the rest with as much context as fits (lm-evaluation-harness's \
            loglikelihood_rolling with add_bos_token=False). Bits per byte divides the summed cross entropy of the \
            text's tokens by the bytes of the text, so it compares models whose tokenizers differ. How well the ends \
            of texts are predicted is printed apart. A model is refused, by the key of its config.json, where it asks for what the \
            trainer does not compute.

              trainer eval my-model --data en=english.val.jsonl --data ko=korean.val.jsonl

            \(TextArguments.files) Without a name a set is called by its path.

            With --json: {"sets": {NAME: {"loss", "perplexity", "bits_per_byte", "tokens", "bytes", \
            "end_of_text": {"loss", "probability", "documents"}}}}; with --ids \
            the set is called "ids", and "loss" stands at the top as well.
            """)

    @Argument(help: "The model's folder.") var model = "."
    @Option(
        name: .customLong("data"), parsing: .upToNextOption,
        help: ArgumentHelp(
            "A set of documents, or of tokens that tokenize packed.", valueName: "[name=]file"),
        transform: TextSource.unweighted)
    var sets: [TextSource] = []
    @Option(
        help: ArgumentHelp(
            "Rows of tokens instead: a safetensors file with input_ids[N, T], and attention_mask and labels if need be.",
            valueName: "file"))
    var ids: String?
    @Option(help: ArgumentHelp("Write the logits of --ids, f32[N, T, V], to this file.", valueName: "file"))
    var logits: String?
    @Option(
        help: ArgumentHelp(
            "Tokens of a window (default: 512, or fewer if the model sees fewer).", valueName: "tokens"))
    var length: Int?
    @OptionGroup(title: "Reading of text") var text: TextArguments
    @OptionGroup var ends: EndOptions
    @OptionGroup var compute: ComputeOptions
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func validate() throws {
        guard sets.isEmpty != (ids == nil) else { throw ValidationError("give either --data or --ids") }
        guard logits == nil || ids != nil else { throw ValidationError("--logits goes with --ids") }
        if let length, length < 1 { throw ValidationError("--length must be at least 1, not \(length)") }
        if let twice = sets.map(\.name).firstRepeated {
            throw ValidationError("two sets are called '\(twice)'; give each its own name")
        }
        try refuseModels(among: sets.map(\.path))
    }

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            let request = EvaluationRequest(
                model: model, sets: sets.map { ($0.name, $0.path) }, text: text.options, rows: ids,
                logits: logits, endOfText: ends.endOfText, length: length ?? 0,
                threads: compute.count)
            let results: [(name: String, result: EvaluationResult)]
            do {
                results = try request.run(isCancelled: { Interruption.signal != nil }, warn: { warn($0) })
            } catch let error as UserFacingError where error.kind == .notFinite {
                let names = ids == nil ? sets.map(\.name) : ["ids"]
                if json { try show(names.map { ($0, .unknown) }) }
                throw error
            }
            if json { try show(results) } else { report(results.table) }
            if let set = results.first(where: { !$0.result.loss.isFinite }) {
                throw UserFacingError.lossNotFinite(set: set.name)
            }
        }
    }

    private func show(_ results: [(name: String, result: EvaluationResult)]) throws {
        var object: JSON = ["sets": try results.json]
        if ids != nil { object["loss"] = try JSON(encoding: results.first?.result.loss) }
        printJSON(object)
    }
}

extension Array where Element: Hashable {
    /// The first element that stands here twice.
    var firstRepeated: Element? {
        var seen: Set<Element> = []
        return first { !seen.insert($0).inserted }
    }
}
