/// How the rows of new tokens begin.
///
/// The pieces of a token are the old tokenizer's tokens of its text.
public enum RowInitialization: String, Codable, Sendable, CaseIterable {
    /// Nothing but zeros.
    case zero
    /// The mean of all old rows.
    case mean
    /// Drawn from a normal distribution with the mean of all old rows and 1e-9 times their covariance.
    ///
    /// Source: `mean_resizing` of transformers' `resize_token_embeddings`; J. Hewitt, Initializing New Word Embeddings for
    /// Pretrained Language Models (2021).
    case meanCovariance = "mean-cov"
    /// The mean of the pieces' rows (Kim et al., EEVE, arXiv 2402.14714, input rows).
    case subwordMean = "subword-mean"
    /// The first piece's row (EEVE, output rows).
    case subwordFirst = "subword-first"
    /// The last piece's row.
    case subwordLast = "subword-last"
    /// The mean of the pieces' rows, each weighted by the bytes of its text.
    case subwordWeighted = "subword-weighted"
    /// The mean of the pieces' rows, each weighted by the characters of its text, of one that is divided its bytes' share
    /// (Beyond Initialization Loss, arXiv 2608.03494, output rows).
    case subwordCharacters = "subword-characters"

    /// A sum of the rows of the eight common tokens that are nearest to the token, by the cosine, in the model whose
    /// tokenizer this one goes over to; each counts as much as its cosine.
    case nearest
    /// The sum of the rows of up to 64 common tokens that is the token's row, as nearly as can be, in the model whose tokenizer
    /// this one goes over to.
    ///
    /// Source: orthogonal matching pursuit, arXiv 2506.06607 (mergekit-tokensurgeon).
    case matchingPursuit = "omp"

    /// Whether it needs another model that has rows for the new tokens.
    public var needsDonor: Bool { self == .nearest || self == .matchingPursuit }

    /// Whether it looks at a token's text.
    public var needsText: Bool {
        switch self {
        case .zero, .mean, .meanCovariance: false
        default: true
        }
    }

    /// What rows without a text get where their neighbours have one: padding is no token, and no worse than the mean.
    var withoutText: RowInitialization { needsText ? .mean : self }
}
