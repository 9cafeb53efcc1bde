public import Formats
internal import Models

extension PretrainedModel {
    /// The model's own tokenizer, which must not make tokens that the embedding has no row for.
    public func tokenizer() throws -> Tokenizer {
        let tokenizer = try TokenizerFiles(of: checkpoint.auxiliaryFiles, path: checkpoint.path).tokenizer()
        guard tokenizer.largestID < architecture.vocabularySize else {
            throw UserFacingError.vocabularyTooSmall(
                path: checkpoint.path, rows: architecture.vocabularySize, largestID: tokenizer.largestID)
        }
        return tokenizer
    }
}
