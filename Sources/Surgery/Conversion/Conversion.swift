public import Formats
internal import OrderedCollections

extension Checkpoint {
    /// The model with its numbers in another type, rounded to nearest, ties to even, and in files of another format.
    ///
    /// Only floating-point tensors are converted; integers and truth values stay what they are. The configuration's
    /// `dtype` or `torch_dtype` follows.
    ///
    /// - Parameters:
    ///   - type: the type; nil leaves the numbers as they are.
    ///   - format: the format; nil leaves the one it has.
    /// - Returns: the result, not written yet.
    /// - Throws: ``ConversionError`` when the numbers can't be converted one by one.
    public func converted(
        to type: ElementType?, format: WeightsFormat? = nil
    ) throws(ConversionError) -> Checkpoint {
        if type != nil || format != nil, let quantization = configuration?["quantization_config"],
            !quantization.isNull
        {
            throw .quantized(path: path)
        }
        var result = try format.map { (format) throws(ConversionError) in try converted(to: format) } ?? self
        var parameters = JSONObject()
        if let type {
            for (name, tensor) in result.tensors where tensor.type.isFloatingPoint {
                do { result.tensors[name] = try tensor.cast(to: type) } catch {
                    throw .tensor(name: name, error)
                }
            }
            result.configuration?.elementType = type
            parameters["dtype"] = .string(type.rawValue)
        }
        if let format { parameters["to"] = .string(format.rawValue) }
        result.operations.append(Manifest.Operation(name: "convert", parameters: parameters))
        return result
    }
}

/// Why a model's numbers can't be converted.
public enum ConversionError: Diagnosis, Equatable {
    /// The numbers mean something only together with scales.
    case quantized(path: String)
    /// A tensor has no conversion to the type.
    case tensor(name: String, TensorError)
    /// A tensor is not there that the family has.
    case missing(path: String, tensor: String, family: String)
    /// A tensor is there that the family does not have.
    case unknown(path: String, tensor: String, family: String)
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
        case .setting(let path, let key, let found, let expected):
            "\(path): config.json has \(found) for \(key), and \(expected) is needed to convert it"
        }
    }

    /// The input is at fault.
    public var fault: Fault { .input }
}
