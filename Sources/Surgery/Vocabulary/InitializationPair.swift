/// How new rows begin at both ends of a model.
public struct InitializationPair: Sendable, Equatable {
    /// What people call it.
    public let name: String
    /// The embedding's rows.
    public let input: RowInitialization
    /// The output head's rows.
    public let output: RowInitialization

    /// A pair by its name: a method for both, or `eeve`; nil for any other name.
    public init?(name: String) {
        if let method = RowInitialization(rawValue: name) {
            (self.name, input, output) = (name, method, method)
        } else if let pair = [Self.bil, .eeve].first(where: { $0.name == name }) {
            self = pair
        } else {
            return nil
        }
    }

    init(_ name: String, _ input: RowInitialization, _ output: RowInitialization) {
        (self.name, self.input, self.output) = (name, input, output)
    }

    /// What measures best right after the resize; Documentation/surgery-resize-vocab.md has the figures.
    public static let standard = InitializationPair("subword-mean", .subwordMean, .subwordMean)
    /// As transformers' `resize_token_embeddings` does.
    public static let transformers = InitializationPair("mean-cov", .meanCovariance, .meanCovariance)
    /// Beyond Initialization Loss, arXiv 2608.03494: the pieces' mean, and their mean by characters.
    public static let bil = InitializationPair("bil", .subwordMean, .subwordCharacters)
    /// Kim et al., EEVE, arXiv 2402.14714: the pieces' mean, and the first piece.
    public static let eeve = InitializationPair("eeve", .subwordMean, .subwordFirst)

    /// All names.
    public static let allNames = RowInitialization.allCases.map(\.rawValue) + [bil.name, eeve.name]
}
