public import Formats

/// What is to become of a model's vocabulary.
public struct VocabularyResize: Sendable {
    /// Where the new vocabulary comes from.
    public enum Change: Sendable {
        /// The tokenizer gets more tokens.
        case extended(VocabularyExtension)
        /// The model goes over to another tokenizer; tokens that it does not have are dropped, or follow behind its own.
        case replaced(by: TokenizerFiles, keepsOld: Bool)
        /// Nothing but the number of rows changes.
        case rows(Int)
    }

    /// Where the new vocabulary comes from.
    public var change: Change
    /// The number of rows becomes a multiple of this.
    public var multiple: Int
    /// Whether rows that no token has are dropped.
    public var dropsPadding: Bool
    /// How new rows of the embedding begin.
    public var input: RowInitialization
    /// How new rows of the output head begin; nil for the one that goes with `input`.
    public var output: RowInitialization?
    /// What random numbers follow from.
    public var seed: UInt64
    /// The model that the new tokenizer comes from, for methods that look at its rows.
    public var donor: Checkpoint?
    /// How many threads compare rows with the donor's; the result does not depend on it.
    public var threads: Int

    /// A request.
    public init(
        _ change: Change, multiple: Int = 1, dropsPadding: Bool = false,
        input: RowInitialization = .subwordMean, output: RowInitialization? = nil, seed: UInt64 = 0,
        donor: Checkpoint? = nil, threads: Int = 1
    ) {
        self.change = change
        self.multiple = multiple
        self.dropsPadding = dropsPadding
        self.input = input
        self.output = output
        self.seed = seed
        self.donor = donor
        self.threads = threads
    }
}

/// A checkpoint with another vocabulary, and what that changed.
public struct ResizedCheckpoint: Sendable {
    /// The result.
    public internal(set) var checkpoint: Checkpoint
    /// What changed in the configuration.
    public let changes: [ConfigurationChange]
    /// How many tokens the tokenizer had and has; nil where there is no tokenizer.
    public let tokens: (before: Int, after: Int)?
    /// How many rows there were and are.
    public let rows: (before: Int, after: Int)
    /// How many rows are old ones, new tokens', and without a token.
    public let origins: RowOrigins
    /// The ranges of rows that are not the source's.
    public let newRows: [Range<Int>]
    /// How many of the new tokens are reached by typing them, and how many through the merges alone.
    public let reached: (typed: Int, merged: Int)
    /// How new rows begin, in the embedding and in the output head.
    public let initializations: (input: RowInitialization, output: RowInitialization)
    /// What its user should know, a sentence each.
    public internal(set) var warnings: [String]
}

/// What the rows of a resized vocabulary are.
public struct RowOrigins: Sendable, Equatable {
    /// Rows of tokens that there were.
    public var kept = 0
    /// Rows of tokens that are new.
    public var initialized = 0
    /// Rows that no token has.
    public var padding = 0
    /// Rows of the source that are gone.
    public var dropped = 0
}
