public import ArgumentParser
import CommandLineSupport
public import Formats
import Surgery

/// What is to become of a vocabulary, as it is typed.
struct VocabularyChangeOptions: ParsableArguments {
    @Option(help: "Learn so many tokens from --corpus.")
    var learn: Int?

    @Option(
        parsing: .upToNextOption,
        help: "Texts to learn from, and for --init auto to try rows on, as trainer tokenize reads them.")
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
    var tokensAs = TokenList.Kind.merges

    @Option(help: "Only change the number of rows, as resize_token_embeddings does.")
    var size: Int?

    @Option(
        parsing: .upToNextOption, help: "Texts to say of how many bytes a token stands for before and after.")
    var heldOut: [String] = []

    @OptionGroup var reading: TextArguments

    /// Puts what was typed into an operation.
    func fill(_ operation: inout VocabularyChange) {
        operation.learn = learn
        operation.corpus = corpus.isEmpty ? nil : corpus
        operation.tokenizer = tokenizer
        operation.keepOld = keepOld ? true : nil
        operation.tokens = tokens
        operation.tokensAs = tokensAs == .merges ? nil : tokensAs
        operation.size = size
        operation.heldOut = heldOut.isEmpty ? nil : heldOut
        let text = reading.options
        operation.textKey = text.textKey == TextOptions().textKey ? nil : text.textKey
        operation.nfc = text.composes ? true : nil
        operation.skipBadLines = text.skipsBadLines ? true : nil
        operation.plainText = text.isPlain ? true : nil
    }
}

extension TokenList.Kind: ExpressibleByArgument {}
