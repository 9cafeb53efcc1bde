public import Formats

/// Why a model can't be converted.
public enum ConversionError: UserFacingError, Equatable {
    /// The numbers mean something only together with scales.
    case quantized(path: String)
    /// A tensor has no conversion to the type.
    case tensor(name: String, TensorError)
    /// A tensor is not there that the family has.
    case missing(path: String, tensor: String, family: String)
    /// A tensor is there that the family does not have.
    case unknown(path: String, tensor: String, family: String)
    /// The tokenizer is not what it should be.
    case tokenizer(TokenizerEditError)
    /// A setting is not what it should be.
    case setting(path: String, key: String, found: String, expected: String)

    /// What is wrong, in one sentence.
    public var description: String {
        switch self {
        case .quantized(let path):
            "\(path) is quantised (quantization_config in config.json): its numbers mean something only together with "
                + "their scales and can't be converted one by one; start from the model that was not quantised"
        case .tensor(let name, let error): "tensor '\(name)' can't be converted: \(error)"
        case .missing(let path, let tensor, let family):
            "\(path) has no tensor '\(tensor)', which a \(family) has; configuration and weights are of different models"
        case .unknown(let path, let tensor, let family):
            "\(path) has a tensor '\(tensor)', which has no place in a \(family); the model is of a kind that can't be converted"
        case .tokenizer(let error): error.description
        case .setting(let path, let key, let found, let expected):
            "\(path): config.json has \(found) for \(key), and \(expected) is needed to convert it"
        }
    }

    /// The input is at fault, unless a file could not be read.
    public var fault: Fault { if case .tokenizer(let error) = self { error.fault } else { .input } }
}
