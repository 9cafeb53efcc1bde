/// What a byte-pair encoding has learned on top of its vocabulary.
public struct LearnedTokens: Sendable, Equatable {
    /// A new token.
    public struct Token: Sendable, Equatable {
        /// Its id; ids go on from the largest there was.
        public let id: Int32
        /// How it is spelled in the vocabulary.
        public let spelling: String
        /// How many tokens of the corpus it saved when it was chosen.
        public let saving: Int
    }

    /// A new merge, which comes after all that there were.
    public struct Merge: Sendable, Equatable {
        /// The token on the left.
        public let left: Int32
        /// The token on the right.
        public let right: Int32
        /// What they become.
        public let joined: Int32
    }

    /// The tokens in the order in which they were chosen.
    public internal(set) var tokens: [Token] = []
    /// The merges in the order in which they are applied.
    public internal(set) var merges: [Merge] = []
    /// How many distinct words the corpus has.
    public internal(set) var distinctWords = 0
    /// The bytes of the corpus's text.
    public internal(set) var textBytes = 0
    /// What there is to know of the corpus's text.
    public internal(set) var findings = TextFindings()
    /// How many tokens the corpus was with the vocabulary that there was.
    public internal(set) var tokensBefore = 0
    /// How many tokens it is with the new ones.
    public internal(set) var tokensAfter = 0
    /// How often each of the new ones comes in it then, in their order: not where it became a part of a longer one.
    public internal(set) var counts: [Int] = []
}

// Why no tokens were learned.
extension UserFacingError {
    /// The tokenizer is of a kind that can't learn.
    package static func cannotLearn(file: String, what: String) -> Self {
        Self(
            .unsupported,
            "\(file): \(what); tokens are learned only by a byte-pair encoding whose pieces are spelled alike wherever they stand"
        )
    }

    /// The corpus has fewer tokens to give than were asked for.
    package static func tooFewTokens(asked: Int, given: Int, words: Int) -> Self {
        Self(
            .missing,
            "the corpus gives \(given) tokens, not \(asked): in its \(words) distinct words no other pair comes twice; "
                + "ask for \(given), or give more text")
    }
}
