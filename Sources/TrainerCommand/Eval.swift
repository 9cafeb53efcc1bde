import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Eval: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "eval",
        abstract: "Say how well a model predicts text, and which of several choices it takes.",
        discussion: """
            Each document is evaluated by itself: its tokens after a start token, in windows that predict --length \
            tokens each, the last one the rest with as much context as fits (lm-evaluation-harness's \
            loglikelihood_rolling with add_bos_token=False). Bits per byte divides the summed cross entropy of the \
            text's tokens by the bytes of the text, so it compares models whose tokenizers differ. How well the ends \
            of texts are predicted is printed apart. A model is refused, by the key of its config.json, where it asks for what the \
            trainer does not compute.

              trainer eval my-model --data en=english.val.jsonl --data ko=korean.val.jsonl
              trainer eval my-model --choices help=questions.jsonl --parent ../base

            \(TextArguments.files) Without a name a set is called by its path.

            --choices takes JSON lines: {"context": "…", "choices": ["…", "…"], "answer": 0}. The model takes the choice \
            whose tokens have the largest summed log-likelihood after the context (acc), and the largest by character \
            (acc_norm), encoded as lm-evaluation-harness does by default for causal models. Texts are taken as they \
            stand: a space before a choice is at the end of the context, or at the start of the choice.

            --completions takes {"prompt": "…", "expected": "…"}: the likeliest tokens until there are as many characters, or \
            the text ends, and the share of those that are what is expected, white space around both aside.

            With --json: {"sets": {NAME: {"loss", "perplexity", "bits_per_byte", "tokens", "bytes", \
            "end_of_text": {"loss", "probability", "documents"}}}, "choices": {NAME: {"acc", "acc_norm", "acc_stderr", \
            "items"}}, "completions": {NAME: {"exact", "items"}}, "parent": {"model", "sets", "choices", "completions"}}, each where it was asked for; "parent" is null where \
            --beside-parent found none. With --ids the set is called "ids", and "loss" stands at the top as well.
            """)

    @Argument(help: "The model's folder.") var model = "."
    @Option(
        name: .customLong("data"), parsing: .upToNextOption,
        help: ArgumentHelp(
            "A set of documents, or of tokens that tokenize packed.", valueName: "[name=]file"),
        transform: TextSource.unweighted)
    var sets: [TextSource] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Questions with choices, in JSON lines.", valueName: "[name=]file"),
        transform: TextSource.unweighted)
    var choices: [TextSource] = []
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Texts to complete, in JSON lines.", valueName: "[name=]file"),
        transform: TextSource.unweighted)
    var completions: [TextSource] = []
    @Option(
        help: ArgumentHelp(
            "A model to evaluate on the same sets, beside this one: what this one was made of.",
            valueName: "model"))
    var parent: String?
    @Flag(
        help: """
            The same with the model that surgery.json names as the source, where it is what it was: weights, \
            configuration, tokenizer.
            """)
    var besideParent = false
    @Option(
        help: ArgumentHelp(
            "Write what the model makes of each question and text to complete to this file, in JSON lines.",
            valueName: "file"))
    var items: String?
    @Flag(help: "Replace the file of --items.") var force = false
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
        guard (sets + choices + completions).isEmpty != (ids == nil) else {
            throw ValidationError("give --data, --choices or --completions, or --ids alone")
        }
        guard logits == nil || ids != nil else { throw ValidationError("--logits goes with --ids") }
        guard items == nil || !(choices + completions).isEmpty else {
            throw ValidationError("--items goes with --choices and --completions")
        }
        guard !force || items != nil || logits != nil else {
            throw ValidationError("--force goes with --items and --logits")
        }
        guard !sets.isEmpty || length == nil && ends.endOfText == .ofModel else {
            throw ValidationError(
                "--length, --end-of-text and --no-end-of-text are of --data; leave them out")
        }
        // Control tokens count in questions, too.
        var asked = text.options
        if ids == nil { asked.isPlain = false }
        guard !sets.isEmpty || asked == TextOptions() else {
            throw ValidationError(
                "\(ids == nil ? "--text-key, --nfc and --skip-bad-lines are" : "how texts are read is") of --data; leave it out"
            )
        }
        guard parent == nil || !besideParent else {
            throw ValidationError("--parent names the parent and --beside-parent looks for it; give one")
        }
        if let length, length < 1 { throw ValidationError("--length must be at least 1, not \(length)") }
        for names in [sets, choices, completions].map({ $0.map(\.name) }) {
            guard let twice = names.firstRepeated else { continue }
            throw ValidationError("two sets are called '\(twice)'; give each its own name")
        }
        let paths = (sets + choices + completions).map(\.path)
        try refuseModels(among: paths)
        guard parent != nil || besideParent else { return }
        guard ids == nil else {
            throw ValidationError("a parent goes with --data, --choices and --completions, not with --ids")
        }
        if let pipe = paths.first(where: TextPaths.isPipe) {
            throw ValidationError("\(pipe) can be read once, and the parent reads it, too; keep it in a file")
        }
    }

    func run() throws {
        try runReportingErrors {
            for file in [items, logits].compactMap(\.self) where !force && FileSystem.kind(of: file) != nil {
                throw ValidationError("\(file) exists; give another name, or --force to replace it")
            }
            if let items {
                let read = (sets + choices + completions).map(\.path) + [model, parent].compactMap(\.self)
                try TextPaths.check(items, apartFrom: read)
            }
            Interruption.watch()
            // Begun before, so that a place where nothing can be written is told at once.
            let file = try items.map { try AtomicFile(path: $0) }
            let parent = try parentModel()
            let own = try evaluate(model)
            let (other, fault) = try parent.map(evaluateParent) ?? (nil, nil)
            try file?.publish(own.items(beside: other))
            if json {
                try show(own, parent: parent, other)
            } else {
                if let parent, other != nil { report("parent: \(parent)\n") }
                report(own.tables(beside: other))
            }
            if let items { report("wrote \(items)") }
            if let fault { throw fault.within("the parent, which nothing is put beside") }
            for (outcome, name) in [(own, ""), (other, " of the parent")] {
                guard let set = outcome?.notFinite else { continue }
                throw UserFacingError.lossNotFinite(set: set + name)
            }
        }
    }

    private func evaluate(_ model: String) throws -> EvaluationOutcome {
        var request = EvaluationRequest(
            model: model, sets: sets.map { ($0.name, $0.path) }, text: text.options, rows: ids,
            logits: logits, endOfText: ends.endOfText, length: length ?? 0, threads: compute.count)
        request.choices = choices.map { ($0.name, $0.path) }
        request.completions = completions.map { ($0.name, $0.path) }
        do {
            return try request.run(isCancelled: { Interruption.signal != nil }, warn: { warn($0) })
        } catch let error as UserFacingError where error.kind == .notFinite {
            let names = ids == nil ? sets.map(\.name) : ["ids"]
            var unknown = EvaluationOutcome(
                sets: names.map { ($0, .unknown) }, tasks: choices.map { ($0.name, []) })
            unknown.completions = completions.map { ($0.name, []) }
            if json, model == self.model { try show(unknown, parent: nil, nil) }
            throw error
        }
    }

    /// The parent's results, or why there are none; the model's own, which are there by then, don't depend on it.
    private func evaluateParent(_ parent: String) throws -> (EvaluationOutcome?, UserFacingError?) {
        do { return (try evaluate(parent), nil) } catch let error as UserFacingError
            where !error.isInterruption
        { return (nil, error) }
    }

    /// The model to evaluate beside this one; nil where none is wanted or none can be used.
    private func parentModel() throws -> String? {
        let choice: ParentChoice = parent.map { .named($0) } ?? (besideParent ? .ofManifest : .none)
        guard choice != .none else { return nil }
        switch try choice.find(for: Checkpoint.open(model), isCancelled: { Interruption.signal != nil }) {
        case .found(let folder): return folder
        case .missing(let reason): warn("no parent beside it: \(reason); --parent names one")
        case nil: break
        }
        return nil
    }

    private func show(_ own: EvaluationOutcome, parent: String?, _ other: EvaluationOutcome?) throws {
        var object = try own.json
        if ids != nil { object["loss"] = try JSON(encoding: own.sets.first?.result.loss) }
        if let parent, let other, let results = try other.json.object {
            var member: JSON = ["model": .string(parent)]
            for (key, value) in results { member[key] = value }
            object["parent"] = member
        } else if parent != nil || besideParent {
            object["parent"] = .null
        }
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
