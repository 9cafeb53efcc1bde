public import Formats
internal import Models

extension PretrainedModel {
    /// The model's own tokenizer, which must not make tokens that the embedding has no row for.
    ///
    /// An added token behind the rows is let be until a text has it.
    public func tokenizer() throws -> Tokenizer {
        let files = TokenizerFiles(of: checkpoint.auxiliaryFiles, path: checkpoint.path)
        let tokenizer = try files.tokenizer()
        let needed = try files.neededRows(tokenizer)
        guard needed <= architecture.vocabularySize else {
            throw UserFacingError.vocabularyTooSmall(
                path: checkpoint.path, rows: architecture.vocabularySize, largestID: needed - 1)
        }
        return tokenizer
    }

    /// How documents are laid out for the model, what its user should know of it, and the file that names the end.
    ///
    /// - Throws: ``UserFacingError`` that names the file and the token.
    func documentLayout(
        _ tokenizer: Tokenizer, endOfText: EndOfText
    ) throws(UserFacingError) -> (layout: DocumentLayout, notes: [String], endFile: String?) {
        try DocumentLayout.found(
            in: checkpoint, tokenizer: tokenizer, vocabularySize: architecture.vocabularySize,
            endOfText: endOfText)
    }
}
