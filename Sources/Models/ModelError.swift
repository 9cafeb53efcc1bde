public import Formats

/// Why a checkpoint cannot be trained or evaluated.
public enum ModelError: UserFacingError, Equatable {
    /// The model is not a folder.
    case noFolder(path: String)
    /// There is no config.json, or it names no family.
    case noFamily(path: String)
    /// The family is not among those that the trainer knows.
    case unknownFamily(path: String, found: String, known: [String])
    /// A preset of KerasHub can't be read as the model that it is.
    case conversion(ConversionError)
    /// A key of the configuration asks for what the trainer cannot do.
    case unsupported(path: String, key: String, value: String, reason: String)
    /// A key of the configuration has a value of another kind or size.
    case wrongValue(path: String, key: String, found: String, expected: String)
    /// A key of the configuration is not there.
    case missing(path: String, key: String, expected: String)
    /// A tensor that the configuration calls for is not in the checkpoint.
    case missingTensor(path: String, tensor: String, shape: [Int])
    /// A tensor has another shape than the configuration calls for.
    case shapeMismatch(path: String, tensor: String, found: [Int], expected: [Int])
    /// The checkpoint has a tensor that the model would not use.
    case unexpectedTensor(path: String, tensor: String, shape: [Int])
    /// Sequences are longer than the model was made for.
    case tooLong(path: String, length: Int, maximum: Int)
    /// A tensor's elements are not numbers with a fraction.
    case notFloatingPoint(path: String, tensor: String, type: String)
    /// A pattern of what to train is like no tensor's name.
    case noSuchTensor(path: String, pattern: String, example: String)
    /// There is nothing left to train.
    case nothingTrained(path: String)
    /// Tensors that are computed together are trained only in part.
    case partlyTrained(trained: [String], frozen: [String])
    /// The tokenizer makes tokens that the embedding has no row for.
    case vocabularyTooSmall(path: String, rows: Int, largestID: Int)

    /// Whose fault it is.
    public var fault: Fault { .input }

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .noFolder(let path):
            "\(path) is no folder; name the folder that holds the model's config.json and weights"
        case .noFamily(let path):
            "\(path): config.json has no model_type; the trainer must know the model's family to compute it"
        case .unknownFamily(let path, let found, let known):
            "\(path): model_type is '\(found)'; the trainer knows \(known.joined(separator: ", "))"
        case .conversion(let error): error.description
        case .unsupported(let path, let key, let value, let reason):
            "\(path): config.json asks for \(key) = \(value), and \(reason)"
        case .wrongValue(let path, let key, let found, let expected):
            "\(path): config.json has \(key) = \(found), which must be \(expected)"
        case .missing(let path, let key, let expected):
            "\(path): config.json lacks \(key), which must be \(expected)"
        case .missingTensor(let path, let tensor, let shape):
            "\(path): tensor '\(tensor)' \(shape) is missing, which config.json calls for"
        case .shapeMismatch(let path, let tensor, let found, let expected):
            "\(path): tensor '\(tensor)' is \(found), but config.json calls for \(expected)"
        case .unexpectedTensor(let path, let tensor, let shape):
            """
            \(path): tensor '\(tensor)' \(shape) is not part of the model that config.json describes; \
            correct the configuration or remove the tensor
            """
        case .tooLong(let path, let length, let maximum):
            """
            \(path): sequences of \(length) tokens were asked for, but the model was made for at most \(maximum) \
            (max_position_embeddings); ask for a shorter --length
            """
        case .notFloatingPoint(let path, let tensor, let type):
            "\(path): tensor '\(tensor)' is of type \(type); a model's weights must be floating-point numbers"
        case .noSuchTensor(let path, let pattern, let example):
            "\(path): no tensor is called '\(pattern)'; the names are like \(example), and * stands for any characters"
        case .nothingTrained(let path):
            "\(path): all tensors are frozen, so there is nothing to train; freeze fewer of them"
        case .partlyTrained(let trained, let frozen):
            """
            \(trained.joined(separator: ", ")) would be trained and \(frozen.joined(separator: ", ")) frozen, but they \
            are computed as one; train or freeze all of them
            """
        case .vocabularyTooSmall(let path, let rows, let largestID):
            """
            \(path): the tokenizer makes token \(largestID), but the embedding has only rows 0 to \(rows - 1); \
            this tokenizer belongs to another model
            """
        }
    }
}
