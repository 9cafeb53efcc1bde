// Why a tokenizer could not be opened or could not encode.
extension UserFacingError {
    /// A field of tokenizer.json is not what the format asks for.
    package static func wrongField(file: String, path: String, found: String, expected: String) -> Self {
        Self(
            .malformed,
            "\(file): \(path) is \(found), expected \(expected)")
    }

    /// A part of the tokenizer is of a kind that isn't supported, so its ids would come out differently.
    package static func unsupportedField(file: String, path: String, what: String) -> Self {
        Self(
            .unsupported,
            "\(file): \(path) is \(what), which is not supported")
    }

    /// A token stands twice in a vocabulary that is a list.
    package static func duplicateToken(file: String, token: String, first: Int, second: Int) -> Self {
        Self(
            .malformed,
            "\(file): model.vocab[\(second)] is the token \"\(token)\", as model.vocab[\(first)] is; remove one"
        )
    }

    /// Two tokens have one id.
    package static func duplicateID(file: String, id: Int, first: String, second: String) -> Self {
        Self(
            .malformed,
            "\(file): the tokens \"\(first)\" and \"\(second)\" have the same id \(id); give one another id")
    }

    /// Ids below the largest have no token.
    package static func missingID(file: String, missing: Int, largest: Int, tokens: Int) -> Self {
        Self(
            .malformed,
            "\(file): no token has the id \(missing), although the ids of the \(tokens) tokens go up to "
                + "\(largest); ids must be 0 to \(tokens - 1)")
    }

    /// An added token stands in the vocabulary under another id.
    package static func addedTokenID(file: String, token: String, id: Int, inVocabulary: Int) -> Self {
        Self(
            .inconsistent,
            "\(file): the added token \"\(token)\" has the id \(id), but \(inVocabulary) in the vocabulary; "
                + "make them the same")
    }

    /// A merge names a piece, or makes one, that is not in the vocabulary.
    package static func missingMergePiece(file: String, index: Int, merge: String, piece: String) -> Self {
        Self(
            .malformed,
            "\(file): model.merges[\(index)] (\(merge)) needs the piece \"\(piece)\", which is not in the "
                + "vocabulary")
    }

    /// A text has a part that is no token, and the model has no token for that.
    package static func noUnknownToken(file: String, text: String, key: String) -> Self {
        Self(
            .missing,
            "\(file): \"\(text.prefix(40))\" has a part that is no token, and \(key) names none for that; name one"
        )
    }

    /// A pattern can't be compiled, or gave up on a text.
    package static func unusablePattern(file: String, pattern: String, reason: String) -> Self {
        Self(
            .unsupported,
            "\(file): the pattern \(pattern) can't be used: \(reason)")
    }

    /// A key names a token, or a token and an id, that the vocabulary does not have.
    package static func wrongReference(file: String, path: String, token: String, id: Int? = nil) -> Self {
        Self(
            .malformed,
            "\(file): \(path) "
                + (id.map { "says that \"\(token)\" has the id \($0), which is another token's or none's" }
                    ?? "names the token \"\(token)\", which does not exist"))
    }
}
