package import Formats

// Why a model can't be converted.
extension UserFacingError {
    /// The numbers mean something only together with scales.
    package static func quantized(path: String, _ quantization: Quantization) -> Self {
        Self(
            .unsupported,
            "\(path) is quantised: \(quantization); such numbers mean something only together with their scales and "
                + "can't be converted one by one; --dequantize makes numbers of FP8 and MXFP4, else start from the model that was not "
                + "quantised"
        )
    }

    /// A tensor is not there that the family has.
    package static func missingTensor(path: String, tensor: String, family: String) -> Self {
        Self(
            .inconsistent,
            "\(path) has no tensor '\(tensor)', which a \(family) has; configuration and weights are of different models"
        )
    }

    /// A tensor is there that the family does not have.
    package static func unexpectedTensor(path: String, tensor: String, family: String) -> Self {
        Self(
            .unsupported,
            "\(path) has a tensor '\(tensor)', which has no place in a \(family); the model is of a kind that can't be converted"
        )
    }

    /// A setting is not what it should be.
    package static func unconvertibleSetting(path: String, key: String, found: String, expected: String)
        -> Self
    {
        Self(
            .unsupported,
            "\(path): config.json has \(found) for \(key), and \(expected) is needed to convert it")
    }
}
