public import Formats
public import Models
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
    /// - Throws: ``UserFacingError`` when the numbers can't be converted one by one.
    public func converted(
        to type: ElementType?, format: WeightsFormat? = nil
    ) throws(UserFacingError) -> Checkpoint {
        if type != nil || format != nil, let quantization = configuration?["quantization_config"],
            !quantization.isNull
        {
            throw .quantized(path: path)
        }
        var result = try format.map { (format) throws(UserFacingError) in try converted(to: format) } ?? self
        var parameters = JSONObject()
        if let type {
            for (name, tensor) in result.tensors where tensor.type.isFloatingPoint {
                do { result.tensors[name] = try tensor.cast(to: type) } catch {
                    throw error.within("tensor '\(name)' can't be converted")
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
