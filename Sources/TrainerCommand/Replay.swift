import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Replay: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Have a model write texts of its own, as replay against forgetting.",
        discussion: """
            What a model was trained on is seldom at hand. Its own samples stand for it (arXiv 2605.26097): documents that \
            begin with its start token, or, of --prefixes, with the first tokens of real texts, and go on as chance at \
            --temperature 1 has it until the model ends them.

              trainer replay my-model --tokens 5000000 -o own.jsonl
              trainer heal my-model-dus-48 --data korean.jsonl --replay own.jsonl:0.05 --steps 2000

            OUT.jsonl has a line a document: "text", "synthetic" ("replay"), "model", "seed", "index", "end" ("model", \
            "length" or "no-text": why there is no more), "prefix" (characters at its beginning that are real) and \
            "tokens" (as which the text was sampled).

            A run that was stopped goes on with the same command and --resume, to the same bytes on any number of threads. \
            What is kept for that lies beside the output, in OUT.jsonl.run, where a record of what was made stays: of a file that \
            is finished --resume says so, or what is other in it. The output can't be a file of --prefixes.

            \(TextArguments.files)

            With --json: documents, tokens (that a pass of training shows), sampled, bytes, ended, cut, broken, prefixed, \
            empty, altered, repetition, distinct, tokens_per_second.
            """)

    @Argument(help: "The model's folder.") var model = "."
    @Option(
        help: ArgumentHelp(
            "Tokens that a pass over the texts shows at least, starts and ends included.", valueName: "count")
    )
    var tokens: Int
    @Option(name: .shortAndLong, help: ArgumentHelp("The file to write.", valueName: "file.jsonl"))
    var output: String
    @Option(
        help: ArgumentHelp(
            "Tokens of a document at most (default: 512, or fewer if the model sees fewer).",
            valueName: "tokens"
        ))
    var length: Int?
    @Option(help: ArgumentHelp("What logits are divided by.", valueName: "number")) var temperature = 1.0
    @OptionGroup var sampling: SamplingOptions
    @Option(
        help: ArgumentHelp(
            "Real texts, or tokens that tokenize packed, whose first tokens some documents begin with.",
            valueName: "file"))
    var prefixes: String?
    @Option(help: ArgumentHelp("The share of documents that begin so.", valueName: "share"))
    var prefixShare = ReplayRequest.usualPrefixShare
    @Option(
        help: ArgumentHelp(
            "Tokens of such a beginning at most; never more than half of a text.", valueName: "tokens"))
    var prefixTokens = ReplayRequest.usualPrefixTokens
    @Flag(help: "Replace an output, or an unfinished run for it.") var force = false
    @Flag(help: "Go on with an unfinished run.") var resume = false
    @OptionGroup(title: "Reading of text") var reading: TextArguments
    @OptionGroup var compute: ComputeOptions
    @Flag(help: "Print one JSON object on standard output at the end.") var json = false

    func validate() throws {
        do { try request.check(prefix: "--") } catch { throw ValidationError("\(error)") }
        guard output.hasSuffix(".jsonl") else {
            throw ValidationError("the name of the output must end in .jsonl, unlike '\(output)'")
        }
        guard !(force && resume) else {
            throw ValidationError("--force begins again and --resume goes on; give one")
        }
        if let prefixes { try refuseModels(among: [prefixes]) }
    }

    private var request: ReplayRequest {
        var request = ReplayRequest(tokens: tokens)
        request.length = length
        request.sampling = Sampling(
            temperature: temperature, topK: sampling.topK, topP: sampling.topP, seed: sampling.seed)
        (request.prefixes, request.prefixShare, request.prefixTokens) = (prefixes, prefixShare, prefixTokens)
        request.text = reading.options
        return request
    }

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            var options = RunOptions()
            (options.threads, options.force, options.resume) = (compute.count, force, resume)
            let run = try ReplayRun(request, of: model, to: output, options: options)
            for warning in run.warnings { warn(warning) }
            var line = ProgressLine()
            defer { line.clear() }
            var start: (meter: ProgressMeter, tokens: Int)?
            let (figures, time) = try run(isCancelled: { Interruption.signal != nil }) { figures in
                let begun = start ?? (ProgressMeter(), figures.tokens)
                start = begun
                let left = begun.meter.secondsLeft(
                    done: figures.tokens - begun.tokens, of: tokens - begun.tokens)
                line.update(
                    "\(Units.grouped(figures.documents)) documents, \(Units.grouped(figures.tokens)) of "
                        + "\(Units.grouped(tokens)) tokens"
                        + (left.map { ", \(Units.duration(seconds: $0)) left" } ?? ""))
            }
            line.clear()
            for warning in figures.warnings { warn(warning) }
            if json {
                var object = try JSON(encoding: figures)
                object["tokens_per_second"] = (time?.tokensPerSecond).map { JSON($0) } ?? .null
                return printJSON(object)
            }
            show(figures, time)
        }
    }

    private func show(_ figures: ReplayFigures, _ time: GenerationTime?) {
        func share(_ part: Int) -> String {
            let percent = Double(part) / Double(max(1, figures.documents)) * 100
            return "\(Units.grouped(part)) (\(Units.fixed(percent, digits: 1)) %)"
        }
        func percent(_ share: Double) -> String { "\(Units.fixed(share * 100, digits: 1)) %" }
        var table = Table(columns: [("", .left), ("", .right)])
        table.add("documents", Units.grouped(figures.documents))
        table.add("tokens of a pass of training", Units.grouped(figures.tokens))
        table.add("tokens as they were sampled", Units.grouped(figures.sampled))
        table.add("bytes", Units.grouped(figures.bytes))
        table.add("ended by the model", share(figures.ended))
        table.add("cut at --length", share(figures.cut))
        if figures.broken > 0 { table.add("ended before what is no text", share(figures.broken)) }
        if figures.prefixed > 0 { table.add("begun by a real text", share(figures.prefixed)) }
        if figures.empty > 0 { table.add("left out for they were empty", Units.grouped(figures.empty)) }
        table.add("runs of four tokens that repeat in a document", percent(figures.repetition))
        table.add("different ones among the first of all", percent(figures.distinct))
        report(table.description)
        if let rate = time?.tokensPerSecond { report("\(Units.fixed(rate, digits: 1)) tokens a second") }
        report(time == nil ? "\(output) is there already" : "wrote \(output)")
    }
}
