/// Why a tokenizer could not be opened or could not encode.
public enum TokenizerError: UserFacingError, Equatable {
    /// The file is missing or is not JSON.
    case json(JSONError)
    /// A field of tokenizer.json is not what the format asks for.
    case field(file: String, path: String, found: String, expected: String)
    /// A part of the tokenizer is of a kind that isn't supported, so its ids would come out differently.
    case unsupported(file: String, path: String, what: String)
    /// A token stands twice in a vocabulary that is a list.
    case duplicateToken(file: String, token: String, first: Int, second: Int)
    /// Two tokens have one id.
    case duplicateID(file: String, id: Int, first: String, second: String)
    /// Ids below the largest have no token.
    case gap(file: String, missing: Int, largest: Int, tokens: Int)
    /// An added token stands in the vocabulary under another id.
    case addedTokenID(file: String, token: String, id: Int, inVocabulary: Int)
    /// A merge names a piece, or makes one, that is not in the vocabulary.
    case mergePiece(file: String, index: Int, merge: String, piece: String)
    /// A token that another part refers to does not exist, or has another id.
    case reference(file: String, path: String, token: String, id: Int?)
    /// A text has a part that is no token, and the model has no token for that.
    case noUnknown(file: String, text: String, key: String)
    /// A pattern can't be compiled, or gave up on a text.
    case pattern(file: String, pattern: String, reason: String)

    /// The input is at fault, unless the system failed to read it.
    public var fault: Fault {
        if case .json(let error) = self { error.fault } else { .input }
    }

    /// The error in one sentence.
    public var description: String {
        switch self {
        case .json(let error):
            error.description
        case .field(let file, let path, let found, let expected):
            "\(file): \(path) is \(found), expected \(expected)"
        case .unsupported(let file, let path, let what):
            "\(file): \(path) is \(what), which is not supported"
        case .duplicateToken(let file, let token, let first, let second):
            "\(file): model.vocab[\(second)] is the token \"\(token)\", as model.vocab[\(first)] is; remove one"
        case .duplicateID(let file, let id, let first, let second):
            "\(file): the tokens \"\(first)\" and \"\(second)\" have the same id \(id); give one another id"
        case .gap(let file, let missing, let largest, let tokens):
            "\(file): no token has the id \(missing), although the ids of the \(tokens) tokens go up to "
                + "\(largest); ids must be 0 to \(tokens - 1)"
        case .addedTokenID(let file, let token, let id, let inVocabulary):
            "\(file): the added token \"\(token)\" has the id \(id), but \(inVocabulary) in the vocabulary; "
                + "make them the same"
        case .mergePiece(let file, let index, let merge, let piece):
            "\(file): model.merges[\(index)] (\(merge)) needs the piece \"\(piece)\", which is not in the "
                + "vocabulary"
        case .reference(let file, let path, let token, nil):
            "\(file): \(path) names the token \"\(token)\", which does not exist"
        case .reference(let file, let path, let token, let id?):
            "\(file): \(path) says that \"\(token)\" has the id \(id), which is another token's or none's"
        case .noUnknown(let file, let text, let key):
            "\(file): \"\(text.prefix(40))\" has a part that is no token, and \(key) names none for that; name one"
        case .pattern(let file, let pattern, let reason):
            "\(file): the pattern \(pattern) can't be used: \(reason)"
        }
    }
}
