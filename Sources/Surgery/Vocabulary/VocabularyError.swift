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

    /// An end of the model is quantised, so that rows can't be made.
    package static func quantisedEnd(path: String, tensor: String) -> Self {
        Self(
            .unsupported,
            "\(path): \(tensor) shows that the embedding or the head is quantised, so rows can't be added, moved or taken away; start from the model that was not quantised, and quantise the result"
        )
    }

    /// A tensor is as high as the vocabulary, and what it does is not known.
    package static func unknownHeight(path: String, tensor: String, shape: [Int], rows: Int) -> Self {
        Self(
            .unsupported,
            "\(path): \(tensor) is \(shape), with something for each of the \(rows) rows of the vocabulary, but what it does is not known, so it can't follow; leave it out of the model if nothing needs it"
        )
    }

    /// A key of the configuration names a row that would be dropped.
    package static func namedRow(path: String, key: String, id: Int, asked: Int) -> Self {
        Self(
            .request,
            "\(path): \(key) is \(id), which \(asked) rows would not have; ask for \(id + 1) or more"
        )
    }

    /// A key names a token that the new tokenizer does not have.
    package static func tokenGone(path: String, key: String, id: Int, token: String?) -> Self {
        let name = token.map { " (\"\($0)\")" } ?? ""
        return Self(
            .inconsistent,
            "\(path): \(key) is \(id)\(name), a token that the new tokenizer does not have and the model can't be without; add it to that tokenizer, or keep the old tokens (--keep-old)"
        )
    }

    /// A key names an id behind the embedding that a token would now have.
    package static func namedBehindRows(path: String, key: String, id: Int) -> Self {
        Self(
            .inconsistent,
            "\(path): \(key) is \(id), which no row and no token has, but the new vocabulary would give to a token; give the key another id first"
        )
    }

    /// There is no tokenizer.json, and another file has more tokens than rows are asked for.
    package static func fewerRowsThanFile(path: String, asked: Int, file: String, tokens: Int) -> Self {
        Self(
            .request,
            "\(path): \(asked) rows are fewer than \(file) has tokens (\(tokens)); ask for \(tokens) or more"
        )
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
            "\(path): one tensor is both embedding and head (tie_word_embeddings), so its rows can't begin in two ways; give an --init that is one way for both, as --init subword-mean, and no --init-output"
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
