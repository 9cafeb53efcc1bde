package import Formats

/// How a quantised model's numbers follow from its tensors, where that is known: 8-bit floating point with scales, and the
/// four bits of GPT-OSS's experts.
package struct QuantizationScheme: Sendable, Equatable {
    /// How many rows and columns share a scale; nil where nothing says so, and a scale is of a row or of the whole.
    package var block: [Int]?
    /// Whether a product is rounded to the scales' type before it gets its own, as compressed-tensors does.
    package var roundsToScales = false
    /// Whether experts are of four bits, which are transposed when they are unpacked.
    package var hasMicroscaledExperts = false

    /// What transformers takes for the blocks where a description of `fp8` does not say (`FineGrainedFP8Config`).
    private static let usualBlock = [128, 128]

    /// Formats of compressed-tensors in which a weight is what is stored times its scale.
    private static let plainFormats: Set<String> = ["float-quantized", "naive-quantized"]

    /// Reads every description that a model has; none is a scheme, too.
    ///
    /// - Throws: ``UserFacingError`` that names the one that is not known, and why.
    init(_ all: [QuantizationSettings], of checkpoint: Checkpoint) throws(UserFacingError) {
        for settings in all {
            let scheme = try Self(settings, of: checkpoint)
            if let block, let other = scheme.block, block != other {
                throw .unknownScheme(
                    path: checkpoint.path, settings, "it has blocks of \(other), and others of \(block)")
            }
            block = block ?? scheme.block
            roundsToScales = roundsToScales || scheme.roundsToScales
            hasMicroscaledExperts = hasMicroscaledExperts || scheme.hasMicroscaledExperts
        }
    }

    private init(_ settings: QuantizationSettings, of checkpoint: Checkpoint) throws(UserFacingError) {
        let json = settings.json
        func refusal(_ reason: String? = nil) -> UserFacingError {
            .unknownScheme(path: checkpoint.path, settings, reason)
        }
        switch settings.method.lowercased() {
        case "fp8", "mxfp8":
            if let asked = json["expert_dtype"]?.string, asked != "fp8" {
                throw refusal("its experts are \(asked)")
            }
            // ModelOpt's own file calls its scales of whole tensors the same, without a quant_method.
            let isLeftOut = json["weight_block_size"] == nil && json["quant_method"] != nil
            block = isLeftOut ? Self.usualBlock : try Self.block(json["weight_block_size"], refusal)
        case "fbgemm_fp8": break
        case "modelopt":
            let algorithm = json["quant_algo"]?.string ?? ""
            guard algorithm.uppercased() == "FP8" else { throw refusal("quant_algo is \(algorithm)") }
        case "compressed-tensors": try readCompressed(json, refusal)
        case "" where json["config_groups"] != nil: try readCompressed(json, refusal)
        case "mxfp4":
            let type = checkpoint.configuration?.languageModel["model_type"]?.string
            guard type == "gpt_oss" else {
                throw refusal(
                    "of MXFP4 only GPT-OSS's experts are known, not those of \(type ?? "no model_type")")
            }
            hasMicroscaledExperts = true
        default: throw refusal()
        }
    }

    private static func block(
        _ json: JSON?, _ refusal: (String?) -> UserFacingError
    ) throws(UserFacingError) -> [Int]? {
        guard let json, !json.isNull else { return nil }
        let sizes = json.array?.compactMap(\.int) ?? []
        guard sizes.count == 2, sizes.count == json.array?.count, sizes.allSatisfy({ $0 > 0 }) else {
            throw refusal("blocks of \(json.text) are not two numbers of rows and columns")
        }
        return sizes
    }

    /// Source: compressed-tensors 0.20, `NaiveQuantizationCompressor` and `QuantizationArgs`.
    private mutating func readCompressed(
        _ json: JSON, _ refusal: (String?) -> UserFacingError
    ) throws(UserFacingError) {
        roundsToScales = true
        if let transform = json["transform_config"]?.object, !transform.isEmpty {
            throw refusal("its weights are rotated (transform_config)")
        }
        if let sparse = json["sparsity_config"]?["format"]?.string, sparse != "dense" {
            throw refusal("its weights are packed by \(sparse)")
        }
        for (name, group) in json["config_groups"]?.object ?? JSONObject() {
            let format = (group["format"] ?? json["format"])?.string ?? "no format"
            guard Self.plainFormats.contains(format) else { throw refusal("\(name) is \(format)") }
            guard let weights = group["weights"], !weights.isNull else { continue }
            guard weights["num_bits"]?.int == 8, weights["type"]?.string == "float" else {
                throw refusal(
                    "\(name) has \(weights["num_bits"]?.text ?? "unknown") bits of \(weights["type"]?.text ?? "no type")"
                )
            }
            if weights["symmetric"]?.bool == false { throw refusal("\(name) has zero points") }
            let sizes = try Self.block(weights["block_structure"], refusal)
            if let block, let sizes, block != sizes {
                throw refusal("\(name) has blocks of \(sizes), and others of \(block)")
            }
            block = block ?? sizes
        }
    }
}

extension Checkpoint {
    /// How the numbers of this quantised model follow from its tensors.
    ///
    /// - Throws: ``UserFacingError`` that names the scheme and where the model says it, where it is none that is known.
    package func quantizationScheme() throws(UserFacingError) -> QuantizationScheme {
        try QuantizationScheme(quantizationSettings, of: self)
    }
}

extension UserFacingError {
    /// What is dequantised, in words.
    package static let dequantizable =
        "known are 8-bit floating point with scales (fp8, mxfp8, fbgemm_fp8, ModelOpt's FP8, compressed-tensors' "
        + "float-quantized) and the MXFP4 of GPT-OSS's experts"

    /// A model is quantised in a way whose numbers are not known here.
    fileprivate static func unknownScheme(path: String, _ settings: QuantizationSettings, _ reason: String?)
        -> Self
    {
        let method = settings.method.isEmpty ? "a method that is not named" : settings.method
        return Self(
            .unsupported,
            "\(path) is quantised by \(method) (\(settings.place))\(reason.map { ": \($0)" } ?? ""); \(dequantizable); start from the "
                + "model that was not quantised")
    }
}
