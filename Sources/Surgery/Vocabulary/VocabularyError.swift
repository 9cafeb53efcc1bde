package import Formats

// Why a model's vocabulary can't be resized.
extension UserFacingError {
    /// No tensor is an embedding.
    package static func noEmbedding(path: String, names: [String]) -> Self {
        Self(
            .missing,
            "\(path): no tensor is an embedding; one that ends in \(names.joined(separator: ", ")) is expected"
        )
    }

    /// Tensors that should have a row for each token have different numbers of rows.
    package static func rowsDiffer(path: String, tensor: String, rows: Int, embedding: String, expected: Int)
        -> Self
    {
        Self(
            .inconsistent,
            "\(path): \(tensor) has \(rows) rows, but \(embedding) has \(expected); both should have one for each token"
        )
    }

    /// The model has something that can't follow.
    package static func fixedVocabulary(path: String, what: String) -> Self {
        Self(
            .unsupported,
            "\(path): the model has \(what), whose vocabulary can't be resized")
    }

    /// The tokenizer has more tokens than there are rows.
    package static func beyondRows(path: String, tokens: Int, rows: Int) -> Self {
        Self(
            .inconsistent,
            "\(path): the tokenizer has \(tokens) tokens, but the embedding only \(rows) rows; the two do not belong together"
        )
    }

    /// Fewer rows are asked for than there are tokens.
    package static func fewerRowsThanTokens(path: String, asked: Int, tokens: Int) -> Self {
        Self(
            .request,
            "\(path): \(asked) rows are fewer than the tokenizer has tokens (\(tokens)); ask for \(tokens) or more"
        )
    }

    /// The number that rows are padded to a multiple of is none.
    package static func badMultiple(_ multiple: Int) -> Self {
        Self(
            .request,
            "rows can't be padded to a multiple of \(multiple); give a number from 1 on")
    }

    /// One tensor serves both ends and can't begin in two ways.
    package static func tiedHead(path: String) -> Self {
        Self(
            .request,
            "\(path): one tensor is both embedding and head (tie_word_embeddings), so its rows can't begin in two ways; leave --init-output out"
        )
    }

    /// Rows without a text can't begin with a text's pieces.
    package static func noTextForRows(method: String) -> Self {
        Self(
            .request,
            "rows without a token have no text to begin with (\(method)); use zero, mean or mean-cov")
    }

    /// There is no other model that has rows for the new tokens.
    package static func noDonor(method: String) -> Self {
        Self(
            .request,
            "\(method) looks at the rows of a model that has the new tokens; give such a model's folder with --tokenizer, or use another method"
        )
    }
}
