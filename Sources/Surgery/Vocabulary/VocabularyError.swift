public import Formats

/// Why a model's vocabulary can't be resized.
public enum VocabularyError: UserFacingError, Equatable {
    /// No tensor is an embedding.
    case noEmbedding(path: String, names: [String])
    /// Tensors that should have a row for each token have different numbers of rows.
    case rowsDiffer(path: String, tensor: String, rows: Int, embedding: String, expected: Int)
    /// The model has something that can't follow.
    case unsupported(path: String, what: String)
    /// The tokenizer has more tokens than there are rows.
    case beyondRows(path: String, tokens: Int, rows: Int)
    /// Fewer rows are asked for than there are tokens.
    case tooSmall(path: String, asked: Int, tokens: Int)
    /// The number that rows are padded to a multiple of is none.
    case multiple(Int)
    /// One tensor serves both ends and can't begin in two ways.
    case tied(path: String)
    /// Rows without a text can't begin with a text's pieces.
    case noText(method: String)
    /// There is no other model that has rows for the new tokens.
    case noDonor(method: String)
    /// The tokenizer's files can't be used or changed.
    case tokenizer(TokenizerEditError)
    /// The tokenizer could not encode a token's text.
    case encoding(TokenizerError)
    /// A tensor's rows can't be computed with.
    case tensor(name: String, TensorError)
    /// A string can't become a token.
    case token(String, reason: String)

    /// What was asked for is the command line's fault, everything else the input's.
    public var fault: Fault {
        switch self {
        case .tooSmall, .multiple, .tied, .noText, .noDonor: .usage
        case .tokenizer(let error): error.fault
        case .encoding(let error): error.fault
        default: .input
        }
    }

    /// One sentence on what was found, what was expected and what to do.
    public var description: String {
        switch self {
        case .noEmbedding(let path, let names):
            "\(path): no tensor is an embedding; one that ends in \(names.joined(separator: ", ")) is expected"
        case .rowsDiffer(let path, let tensor, let rows, let embedding, let expected):
            "\(path): \(tensor) has \(rows) rows, but \(embedding) has \(expected); both should have one for each token"
        case .unsupported(let path, let what):
            "\(path): the model has \(what), whose vocabulary can't be resized"
        case .beyondRows(let path, let tokens, let rows):
            "\(path): the tokenizer has \(tokens) tokens, but the embedding only \(rows) rows; the two do not belong together"
        case .tooSmall(let path, let asked, let tokens):
            "\(path): \(asked) rows are fewer than the tokenizer has tokens (\(tokens)); ask for \(tokens) or more"
        case .multiple(let multiple):
            "rows can't be padded to a multiple of \(multiple); give a number from 1 on"
        case .tied(let path):
            "\(path): one tensor is both embedding and head (tie_word_embeddings), so its rows can't begin in two ways; leave --init-output out"
        case .noText(let method):
            "rows without a token have no text to begin with (\(method)); use zero, mean or mean-cov"
        case .noDonor(let method):
            "\(method) looks at the rows of a model that has the new tokens; give such a model's folder with --tokenizer, or use another method"
        case .tokenizer(let error): error.description
        case .encoding(let error): error.description
        case .tensor(let name, let error): "the rows of tensor '\(name)' can't be made: \(error)"
        case .token(let text, let reason): "\"\(text)\" can't become a token: \(reason)"
        }
    }
}
