import ArgumentParser
import CommandLineSupport
import Formats
import Models
import Surgery

/// What is to become of a vocabulary, as it is typed.
struct VocabularyChangeOptions: ParsableArguments {
    @Option(help: "Learn so many tokens from --corpus.")
    var learn: Int?

    @Option(
        parsing: .upToNextOption,
        help: "Texts to learn from: .jsonl with a \"text\" a line, or .txt, one document each.")
    var corpus: [String] = []

    @Option(help: "Go over to the tokenizer in this folder; rows of tokens that both have come along.")
    var tokenizer: String?

    @Flag(
        help: "With --tokenizer: tokens that it does not have follow behind its own instead of being dropped."
    )
    var keepOld = false

    @Option(help: "Add the tokens of this file, one a line.")
    var tokens: String?

    @Option(help: "With --tokens: how they are added.")
    var tokensAs = TokenKind.merges

    @Option(help: "Only change the number of rows, as resize_token_embeddings does.")
    var size: Int?

    @Option(
        parsing: .upToNextOption, help: "Texts to say of how many bytes a token stands for before and after.")
    var heldOut: [String] = []

    /// Refuses anything but one choice, or options that belong to another.
    func validateChoice() throws {
        let chosen = [learn != nil, tokenizer != nil, tokens != nil, size != nil].count { $0 }
        guard chosen == 1 else {
            throw ValidationError("give one of --learn, --tokenizer, --tokens and --size")
        }
        if let learn, learn < 1 { throw ValidationError("--learn \(learn): give a number from 1 on") }
        if (learn == nil) != corpus.isEmpty { throw ValidationError("--learn and --corpus go together") }
        if keepOld && tokenizer == nil { throw ValidationError("--keep-old goes with --tokenizer") }
    }

    /// The change, with what was learned for it.
    func make(for source: Checkpoint) throws -> (change: VocabularyResize.Change, learned: LearnedTokens?) {
        if let size { return (.rows(size), nil) }
        if let tokenizer {
            let folder = try TokenizerFiles.open(tokenizer)
            return (.replaced(by: folder, keepsOld: keepOld), nil)
        }
        let old = try source.tokenizerFiles().tokenizer()
        if let tokens {
            let strings = try TokenList.read(tokens)
            return (.extended(try VocabularyExtension(strings, as: tokensAs.kind, for: old)), nil)
        }
        let learned = try learned(by: old)
        return (.extended(VocabularyExtension(learned, for: old)), learned)
    }

    private func learned(by tokenizer: Tokenizer) throws -> LearnedTokens {
        try watching("reading") { isCancelled, progress in
            try tokenizer.learning(
                learn ?? 0, from: Documents(paths: corpus), threads: Processor.count,
                isCancelled: isCancelled, progress: progress)
        }
    }

    /// How many bytes a token stands for in the held-out texts, before and after.
    func heldOutTexts(
        source: Checkpoint, result: Checkpoint
    ) throws -> [(path: String, before: TextFigures, after: TextFigures)] {
        guard !heldOut.isEmpty else { return [] }
        let (old, new) = (
            try source.tokenizerFiles().tokenizer(),
            try result.tokenizerFiles().tokenizer()
        )
        return try heldOut.map { path in
            func figures(_ tokenizer: Tokenizer) throws -> TextFigures {
                try watching("counting") { isCancelled, progress in
                    try tokenizer.figures(
                        of: Documents(paths: [path]), threads: Processor.count, isCancelled: isCancelled,
                        progress: progress)
                }
            }
            return (path, try figures(old), try figures(new))
        }
    }

    /// Shows how far a reading of text is, and stops it when the user says so.
    private func watching<Result>(
        _ verb: String,
        _ body: (_ isCancelled: () -> Bool, _ progress: (Int, Int) -> Void) throws -> Result
    ) throws -> Result {
        Interruption.watch()
        var line = ProgressLine()
        let meter = ProgressMeter()
        defer { line.clear() }
        return try body({ Interruption.signal != nil }) { done, total in
            line.update("\(verb) \(meter.bytes(done: done, of: total))")
        }
    }
}

/// How given tokens are added, as it is typed.
enum TokenKind: String, CaseIterable, ExpressibleByArgument {
    case merges, added, special

    /// What the library calls it.
    var kind: TokenList.Kind {
        switch self {
        case .merges: .merges
        case .added: .added
        case .special: .special
        }
    }
}
