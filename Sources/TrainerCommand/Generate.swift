import ArgumentParser
import CommandLineSupport
import Formats
import Foundation
import Trainer

struct Generate: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Go on with texts.",
        discussion: """
            A prompt is encoded as the tokenizer does by default, what it puts before a text included. The text that \
            follows goes to standard output, as it comes where there is one prompt; of several each is a JSON string on \
            a line of its own, in their order. It ends at the end of text (every eos_token_id of config.json and \
            generation_config.json), or after --max-tokens.

              trainer generate my-model --prompt 'Once upon a time'
              trainer generate my-model --prompts questions.jsonl --json > answers.json
              echo 'Once upon a time' | trainer generate my-model --prompts - --temperature 0.8 --top-p 0.95

            \(TextArguments.files) One line feed at the end of a .txt file or a pipe of text is no part of the prompt.

            Weights are kept and multiplied as they are stored: bfloat16, float16 or float32; all else is float32.

            With --json: {"prompts": [{"prompt", "text", "prompt_tokens", "tokens" (ids), "stop": "end_of_text", \
            "max_tokens" or "length"}], "tokens_per_second", "prompt_tokens_per_second"}.
            """)

    @Argument(help: "The model's folder.") var model = "."
    @Option(
        name: .customLong("prompt"), parsing: .unconditionalSingleValue,
        help: ArgumentHelp("A text to go on with; may be given again.", valueName: "text"))
    var texts: [String] = []
    @Option(
        name: .customLong("prompts"), parsing: .upToNextOption,
        help: ArgumentHelp("Files of texts to go on with.", valueName: "file"))
    var files: [String] = []
    @Option(
        name: .customLong("max-tokens"),
        help: ArgumentHelp("Tokens that follow a prompt at most.", valueName: "count"))
    var maximumTokens = Generator.usualTokens
    @Option(
        help: ArgumentHelp(
            "What logits are divided by; 0 takes the most likely token, always.", valueName: "number"))
    var temperature = 0.0
    @OptionGroup var sampling: SamplingOptions
    @OptionGroup(title: "Reading of text") var reading: TextArguments
    @OptionGroup var compute: ComputeOptions
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func validate() throws {
        guard !texts.isEmpty || !files.isEmpty else {
            throw ValidationError("give a text with --prompt, or a file of texts with --prompts")
        }
        guard maximumTokens > 0 else {
            throw ValidationError("--max-tokens must be at least 1, not \(maximumTokens)")
        }
        guard temperature >= 0, temperature.isFinite else {
            throw ValidationError("--temperature must be 0 or more, not \(temperature)")
        }
        if let topK = sampling.topK, topK < 1 {
            throw ValidationError("--top-k must be at least 1, not \(topK)")
        }
        if let topP = sampling.topP, !(topP > 0 && topP <= 1) {
            throw ValidationError("--top-p must be above 0 and at most 1, not \(topP)")
        }
        guard temperature > 0 || (sampling.topK == nil && sampling.topP == nil) else {
            throw ValidationError(
                "--top-k and --top-p need a --temperature above 0: the most likely token is chosen without")
        }
        try refuseModels(among: files)
    }

    func run() throws {
        try runReportingErrors {
            Interruption.watch()
            let isCancelled = { Interruption.signal != nil }
            let model = try PretrainedModel.open(model)
            let prompts = try texts + textsOfFiles(for: model)
            let generator = try Generator(
                model, threads: compute.count, isPlain: reading.plainText, isCancelled: isCancelled)
            generator.notes.forEach { warn($0) }
            let streams = prompts.count == 1 && !json
            var (isWritten, failure): (Bool, UserFacingError?) = (false, nil)
            let results: [Continuation]
            do throws(UserFacingError) {
                results = try generator.generate(
                    prompts.map { GenerationPrompt($0) },
                    sampling: Sampling(
                        temperature: temperature, topK: sampling.topK, topP: sampling.topP,
                        seed: sampling.seed),
                    maximumTokens: maximumTokens, isCancelled: { isCancelled() || failure != nil },
                    notify: { _, text in
                        guard streams else { return }
                        isWritten = true
                        do throws(UserFacingError) { try write(text) } catch { failure = error }
                    })
            } catch {
                // What nobody reads any more stopped it, or a signal did, in the middle of a line.
                if isWritten, failure == nil { try write("\n") }
                throw failure ?? error
            }
            if let failure { throw failure }
            if json { return show(prompts, results, generator.time) }
            if streams {
                try write("\n")
            } else {
                for result in results { try write(JSON(result.text).text + "\n") }
            }
            report(summary(results, generator.time))
        }
    }

    private func textsOfFiles(for model: PretrainedModel) throws -> [String] {
        guard !files.isEmpty else { return [] }
        let tokenizer = try model.tokenizer()
        let documents = try DocumentIndex(paths: files, options: reading.options, tokenizer: tokenizer)
        for warning in documents.findings.warnings(for: tokenizer) { warn(warning) }
        return try (0..<documents.count).map { try documents.prompt($0) }
    }

    /// Writes to standard output at once.
    private func write(_ text: String) throws(UserFacingError) {
        do {
            try FileHandle.standardOutput.write(contentsOf: Data(text.utf8))
        } catch {
            throw .file(.write, "standard output")
        }
    }

    private func summary(_ results: [Continuation], _ time: GenerationTime) -> String {
        let tokens = results.reduce(0) { $0 + $1.tokens.count }
        var counts: [Continuation.Stop: Int] = [:]
        for result in results { counts[result.stop, default: 0] += 1 }
        let names: [(Continuation.Stop, String)] = [
            (.endOfText, "ended by the model"), (.tokens, "stopped by --max-tokens"),
            (.length, "as long as the model allows"),
        ]
        let stops = names.compactMap { stop, name in
            counts[stop].map { results.count == 1 ? name : "\($0) \(name)" }
        }
        let rate = time.tokensPerSecond.map { ", \(Units.fixed($0, digits: 1)) tokens a second" } ?? ""
        return "\(Units.grouped(tokens)) tokens, \(stops.joined(separator: ", "))\(rate)"
    }

    private func show(_ prompts: [String], _ results: [Continuation], _ time: GenerationTime) {
        func ids(_ tokens: [Int32]) -> JSON { .array(tokens.map { JSON(Int($0)) }) }
        func rate(_ rate: Double?) -> JSON { rate.map { JSON($0) } ?? .null }
        let list = zip(prompts, results).map { prompt, result -> JSON in
            [
                "prompt": JSON(prompt), "text": JSON(result.text),
                "prompt_tokens": ids(result.promptTokens), "tokens": ids(result.tokens),
                "stop": JSON(result.stop.rawValue),
            ]
        }
        printJSON([
            "prompts": .array(list), "tokens_per_second": rate(time.tokensPerSecond),
            "prompt_tokens_per_second": rate(time.promptTokensPerSecond),
        ])
    }
}
