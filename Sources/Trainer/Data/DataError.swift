public import Formats

/// Why text or tokens cannot be trained on.
public enum DataError: UserFacingError, Equatable {
    /// The documents of a file can't be read.
    case documents(DocumentError)
    /// The file has no document with a token.
    case empty(path: String)
    /// The file of tokens lacks `input_ids`, or holds it in another form.
    case badIDs(path: String, found: String, expected: String)
    /// The file is not one of packed tokens, or not whole.
    case badTokens(path: String, found: String)
    /// The tokens were made with another tokenizer than the model's.
    case otherTokenizer(path: String, found: String, expected: String)
    /// A token has no row in the embedding.
    case tokenOutOfRange(path: String, token: Int, rows: Int)
    /// The tokenizer could not encode a document.
    case tokenizer(path: String, reason: String)
    /// The file could not be read.
    case file(FileError)
    /// The place where a run stood is not one that this data has.
    case badPosition(path: String)
    /// It was stopped before all documents were encoded.
    case interrupted
    /// A weight is not a number above zero.
    case badWeight(path: String, weight: Double)

    /// Whose fault it is.
    public var fault: Fault {
        switch self {
        case .file(let error): error.fault
        case .documents(let error): error.fault
        case .interrupted: .run
        default: .input
        }
    }

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .documents(.unknownKind(let path)):
            "\(DocumentError.unknownKind(path: path)), or in .safetensors where packed tokens are read"
        case .documents(let error): error.description
        case .interrupted: "stopped before all documents were encoded; begin again"
        case .empty(let path):
            "\(path): no text in it; give a file with at least one document"
        case .badIDs(let path, let found, let expected):
            "\(path): found \(found); expected \(expected)"
        case .badTokens(let path, let found):
            "\(path): found \(found); expected a file of tokens that `trainer tokenize -o` wrote"
        case .otherTokenizer(let path, let found, let expected):
            """
            \(path): the tokens were made with another tokenizer (SHA-256 \(found)) than the model's (\(expected)); \
            make them again with `trainer tokenize` and the model's folder
            """
        case .tokenOutOfRange(let path, let token, let rows):
            """
            \(path): token \(token) has no row in the embedding, which has rows 0 to \(rows - 1); \
            were these tokens made with another tokenizer?
            """
        case .tokenizer(let path, let reason): "\(path): \(reason)"
        case .badPosition(let path):
            "\(path): the kept run stood at a place that is not in it; begin again with --force and without --resume"
        case .file(let error): error.description
        case .badWeight(let path, let weight):
            "\(path): the weight must be a number above zero, not \(weight)"
        }
    }
}
