package import Formats

// Why text or tokens cannot be trained on.
extension UserFacingError {
    /// The file has no document with a token.
    package static func noTokens(path: String) -> Self {
        Self(
            .missing,
            "\(path): no text in it; give a file with at least one document")
    }

    /// No token of the text can be predicted.
    package static func nothingToPredict(path: String) -> Self {
        Self(
            .missing,
            "\(path): one token only: nothing to predict, for the model has no token that begins or ends a text"
        )
    }

    /// `--end-of-text` names no token.
    package static func noSuchEnd(path: String, token: String) -> Self {
        Self(
            .request,
            """
            \(path): its tokenizer has no token '\(token)' to end texts with; give one of tokenizer.json's tokens, or \
            an id
            """)
    }

    /// The file of tokens lacks `input_ids`, or holds it in another form.
    package static func badIDs(path: String, found: String, expected: String) -> Self {
        Self(
            .malformed,
            "\(path): found \(found); expected \(expected)")
    }

    /// The file of tokens holds something that nobody reads.
    package static func unknownRows(path: String, tensor: String) -> Self {
        Self(
            .unsupported,
            """
            \(path): tensor '\(tensor)' is not known here, and might change what the rows mean; 'input_ids', \
            'attention_mask' and 'labels' are read, 'logits', 'loss' and 'grad.*' passed over. Remove it from the file
            """)
    }

    /// A row's mask is not one run of ones.
    package static func brokenMask(path: String, row: Int) -> Self {
        Self(
            .unsupported,
            """
            \(path): row \(row) of 'attention_mask' is not zeros around one run of ones; a row is one text with \
            padding at its ends. Put texts into rows of their own
            """)
    }

    /// A label has no row in the embedding.
    package static func badLabel(path: String, label: Int, vocabularySize: Int) -> Self {
        Self(
            .inconsistent,
            "\(path): 'labels' has \(label), and a label is a token, 0 to \(vocabularySize - 1), or -100 where nothing is predicted"
        )
    }

    /// A label asks for what only padding stands before.
    package static func labelOfPadding(path: String, row: Int, token: Int) -> Self {
        Self(
            .inconsistent,
            """
            \(path): 'labels' asks for token \(token) of row \(row), and 'attention_mask' says that it and the one \
            before are padding; make it -100
            """)
    }

    /// No token is to be predicted.
    package static func noRowToPredict(path: String) -> Self {
        Self(
            .missing,
            "\(path): no token of it is to be predicted; a row needs two tokens that are not padding")
    }

    /// The file is not one of packed tokens, or not whole.
    package static func badTokens(path: String, found: String) -> Self {
        Self(
            .malformed,
            "\(path): found \(found); expected a file of tokens that `trainer tokenize -o` wrote")
    }

    /// The tokens were made with another tokenizer than the model's.
    package static func otherTokenizer(path: String, found: String, expected: String) -> Self {
        Self(
            .inconsistent,
            """
            \(path): the tokens were made with another tokenizer (SHA-256 \(found)) than the model's (\(expected)); \
            make them again with `trainer tokenize` and the model's folder
            """)
    }

    /// A token has no row in the embedding.
    package static func tokenOutOfRange(path: String, token: Int, vocabularySize: Int) -> Self {
        Self(
            .inconsistent,
            """
            \(path): token \(token) has no row in the embedding, which has rows 0 to \(vocabularySize - 1); \
            were these tokens made with another tokenizer?
            """)
    }

    /// The tokenizer could not encode a document.
    package static func unusableTokenizer(path: String, reason: String) -> Self {
        Self(
            .unsupported,
            "\(path): \(reason)")
    }

    /// The place where a run stood is not one that this data has.
    package static func badPosition(path: String) -> Self {
        Self(
            .inconsistent,
            "\(path): the kept run stood at a place that is not in it; begin again with --force and without --resume"
        )
    }

    /// A weight is not a number above zero.
    package static func badWeight(path: String, weight: Double) -> Self {
        Self(
            .unsupported,
            "\(path): the weight must be a number above zero, not \(weight)")
    }
}
