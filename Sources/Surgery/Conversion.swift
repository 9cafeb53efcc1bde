public import Formats
internal import OrderedCollections

extension Checkpoint {
    /// The model with its numbers in another type, rounded to nearest, ties to even.
    ///
    /// Only floating-point tensors are converted; integers and truth values stay what they are. The configuration's
    /// `dtype` or `torch_dtype` follows.
    ///
    /// - Parameter type: the type; nil leaves the numbers as they are.
    /// - Returns: the result, not written yet.
    /// - Throws: ``ConversionError`` when the numbers can't be converted one by one.
    public func converted(to type: ElementType?) throws(ConversionError) -> Checkpoint {
        if type != nil, let quantization = configuration?["quantization_config"], !quantization.isNull {
            throw .quantized(path: path)
        }
        var result = self
        var parameters = JSONObject()
        if let type {
            for (name, tensor) in tensors where tensor.type.isFloatingPoint {
                do { result.tensors[name] = try tensor.cast(to: type) } catch {
                    throw .tensor(name: name, error)
                }
            }
            result.configuration?.elementType = type
            parameters["dtype"] = .string(type.rawValue)
        }
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

    /// What is wrong, in one sentence.
    public var description: String {
        switch self {
        case .quantized(let path):
            "\(path) is quantised (quantization_config in config.json): its numbers mean something only together with "
                + "their scales and can't be converted one by one; start from the model that was not quantised"
        case .tensor(let name, let error): "tensor '\(name)' can't be converted: \(error)"
        }
    }

    /// The input is at fault.
    public var fault: Fault { .input }
}
