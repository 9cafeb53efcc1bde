package import Formats
internal import Models
internal import OrderedCollections

/// A quantised model with the numbers that its values and scales stand for.
struct Dequantizing {
    /// The model, which is quantised no more.
    private(set) var checkpoint: Checkpoint
    /// The tensors whose numbers were made, in order.
    private(set) var made: [String] = []
    /// Scales of what a model computes on the way, which numbers that are whole do not need.
    private(set) var dropped: [String] = []

    private let source: Checkpoint
    private let scheme: QuantizationScheme
    private let type: ElementType
    /// The scales that have been used.
    private var used: Set<String> = []

    /// What the name of a scale ends with, and what stands there instead in the name of its values.
    ///
    /// Source: transformers 5.24 (`FineGrainedFP8HfQuantizer`, `CompressedTensorsHfQuantizer`), which has the last two for
    /// DeepSeek-V4 and Mistral Large 4.
    private static let endings: [(scale: String, values: String)] = [
        ("_scale_inv", ""), ("_scale", ""), (".scale", ".weight"), (".qscale_weight", ".weight"),
    ]

    /// What the names of scales of activations and of the cache end with: they follow from the data.
    private static let activationEndings = [
        "input_scale", "activation_scale", ".k_scale", ".v_scale", ".q_scale", ".kv_scale",
        "input_scale_ub", ".qscale_act",
    ]

    /// GPT-OSS's packed experts.
    private static let (blocks, exponents) = ("_blocks", "_scales")

    /// Makes the numbers of a model; nothing is read.
    ///
    /// - Parameters:
    ///   - source: the model.
    ///   - type: the type of the numbers; nil for the one that the configuration names.
    /// - Throws: ``UserFacingError`` when the model is not quantised, or in a way that is not known: by name.
    init(_ source: Checkpoint, to type: ElementType?) throws(UserFacingError) {
        let stored = try source.stored()
        guard stored.quantization ?? source.quantization != nil else {
            throw .notQuantized(path: source.path)
        }
        self.source = source
        checkpoint = source
        scheme = try source.quantizationScheme()
        if let type { self.type = type } else { self.type = try Self.usualType(of: source) }
        var tensors: OrderedDictionary<String, TensorExpression> = [:]
        for (name, tensor) in source.tensors {
            guard let (name, tensor) = try result(name, tensor) else { continue }
            guard tensors.updateValue(tensor, forKey: name) == nil else {
                throw .twice(path: source.path, tensor: name)
            }
        }
        checkpoint.tensors = tensors
        try checkSiblings()
        describe()
        if let rest = try checkpoint.stored().quantization {
            throw .notAllDequantized(path: source.path, rest)
        }
    }

    /// The type that the configuration names, where it is one that numbers are made in.
    private static func usualType(of source: Checkpoint) throws(UserFacingError) -> ElementType {
        switch source.configuration?.elementType {
        case .f32?: .f32
        case .f16?: throw .halfWanted(path: source.path)
        default: .bf16
        }
    }

    /// What becomes of a tensor; nil where it goes into another, or is not needed.
    private mutating func result(
        _ name: String, _ tensor: TensorExpression
    ) throws(UserFacingError) -> (String, TensorExpression)? {
        if isActivationScale(name, tensor) {
            dropped.append(name)
            return nil
        }
        if scheme.hasMicroscaledExperts, name.hasSuffix(Self.blocks) {
            return try experts(name, tensor)
        }
        if tensor.type.isSmallFloat { return (name, try numbers(name, tensor)) }
        return isScale(name) ? nil : (name, tensor)
    }

    private func isActivationScale(_ name: String, _ tensor: TensorExpression) -> Bool {
        tensor.type.isFloatingPoint && Self.activationEndings.contains { name.hasSuffix($0) }
            || name.hasSuffix(".output_scale") && tensor.elementCount == 1
    }

    /// Whether a tensor scales another that has eight bits, or is an exponent of the experts.
    private func isScale(_ name: String) -> Bool {
        if scheme.hasMicroscaledExperts, name.hasSuffix(Self.exponents) { return true }
        return Self.endings.contains { end in
            name.hasSuffix(end.scale)
                && source.tensors[name.dropLast(end.scale.count) + end.values]?.type.isSmallFloat == true
        }
    }

    /// The numbers of eight bits and their scales.
    private mutating func numbers(
        _ name: String, _ values: TensorExpression
    ) throws(UserFacingError) -> TensorExpression {
        let names = Self.endings.compactMap { end in
            name.hasSuffix(end.values) ? name.dropLast(end.values.count) + end.scale : nil
        }.filter { source.tensors[$0] != nil }
        guard let scale = names.first, let scales = source.tensors[scale] else {
            throw .noScales(path: source.path, tensor: name, type: values.type)
        }
        if names.count > 1 { throw .twoScales(path: source.path, tensor: name, names) }
        guard let blocks = scheme.blocks(of: values, scales) else {
            throw .scalesDoNotFit(path: source.path, name, values, scale, scales, block: scheme.block)
        }
        used.insert(scale)
        made.append(name)
        // compressed-tensors multiplies in the scales' type; transformers does so in float32 for experts.
        let isRounded = scheme.roundsToScales && scales.type.bits == 16 && !name.contains(".experts.")
        return try values.dequantized(by: scales, blocks, to: isRounded ? scales.type : type).cast(to: type)
    }

    /// The numbers of GPT-OSS's experts: rows of what is stored are columns of what is computed with.
    ///
    /// Source: transformers 5.24, `convert_moe_packed_tensors`.
    private mutating func experts(
        _ name: String, _ values: TensorExpression
    ) throws(UserFacingError) -> (String, TensorExpression) {
        let stem = String(name.dropLast(Self.blocks.count))
        guard stem.hasSuffix(".gate_up_proj") || stem.hasSuffix(".down_proj") else {
            throw .unknownBlocks(path: source.path, tensor: name)
        }
        guard let scales = source.tensors[stem + Self.exponents] else {
            throw .noScales(path: source.path, tensor: name, type: values.type)
        }
        guard values.shape.count == 4 else { throw .unknownBlocks(path: source.path, tensor: name) }
        used.insert(stem + Self.exponents)
        made.append(stem)
        return (stem, try values.dequantized(by: scales, .microscaled, to: type).transposed())
    }

    /// Sees to it that no scale is left whose values are not there.
    private func checkSiblings() throws(UserFacingError) {
        for name in source.tensors.keys where !used.contains(name) && !dropped.contains(name) {
            let end = ["weight_scale", "weight_scale_inv", "proj_scale_inv", ".qscale_weight"].first {
                name.hasSuffix($0)
            }
            let isExponent = scheme.hasMicroscaledExperts && name.hasSuffix(Self.exponents)
            guard end != nil || isExponent else { continue }
            throw .noValues(path: source.path, scale: name)
        }
    }

    /// Takes away what says that the model is quantised.
    private mutating func describe() {
        if var configuration = checkpoint.configuration {
            configuration.removeQuantization()
            if configuration.elementType == nil { configuration.elementType = type }
            checkpoint.configuration = configuration
        }
        for file in checkpoint.auxiliaryFiles where Quantization.files.contains(file.name) {
            checkpoint.skippedFiles.append(
                SkippedFile(name: file.name, reason: "it describes the quantisation that is no more"))
        }
        checkpoint.auxiliaryFiles.removeAll { Quantization.files.contains($0.name) }
    }
}

extension QuantizationScheme {
    /// How values and scales belong together: a scale of the whole, of blocks, or of each row; nil where they do not.
    fileprivate func blocks(of values: TensorExpression, _ scales: TensorExpression) -> Dequantization? {
        guard let width = values.shape.last, let height = values.shape.dropLast().last else { return nil }
        let whole = Dequantization.blocks(rows: height, columns: width)
        var candidates = [whole]
        if let block { candidates.append(.blocks(rows: block[0], columns: block[1])) }
        candidates.append(.blocks(rows: 1, columns: width))
        return candidates.first { (try? values.dequantized(by: scales, $0, to: .f32)) != nil }
    }
}

extension ElementType {
    /// Whether it has eight bits and numbers that are scaled.
    fileprivate var isSmallFloat: Bool { isFloatingPoint && bits == 8 && self != .f8E8M0 }
}

// Why a model can't be dequantised.
extension UserFacingError {
    /// Nothing quantises the model.
    package static func notQuantized(path: String) -> Self {
        Self(
            .unsupported,
            "\(path) is not quantised, so that nothing is to be dequantised; leave --dequantize out")
    }

    /// The configuration asks for a type that numbers are not made in.
    package static func halfWanted(path: String) -> Self {
        Self(
            .unsupported,
            "\(path): config.json names float16, in which quantised numbers may not fit; give --dtype bf16 or f32"
        )
    }

    /// A type that numbers are not made in was asked for.
    package static func wrongDequantizedType(_ type: Conversion.NumberType) -> Self {
        Self(.request, "--dequantize makes bf16 or f32, not \(type.rawValue)")
    }

    /// Values have no scales.
    package static func noScales(path: String, tensor: String, type: ElementType) -> Self {
        Self(
            .inconsistent,
            "\(path): tensor '\(tensor)' is \(type.rawValue) and there are no scales of it; get all files of the model"
        )
    }

    /// Scales have no values.
    package static func noValues(path: String, scale: String) -> Self {
        Self(
            .inconsistent,
            "\(path): tensor '\(scale)' scales none that is quantised as is known here; \(dequantizable)")
    }

    /// Values have several scales.
    package static func twoScales(path: String, tensor: String, _ scales: [String]) -> Self {
        Self(
            .unsupported,
            "\(path): tensor '\(tensor)' has several scales (\(scales.joined(separator: ", "))); which holds is not known"
        )
    }

    /// Two tensors become one.
    package static func twice(path: String, tensor: String) -> Self {
        Self(.inconsistent, "\(path): tensor '\(tensor)' is there both quantised and as numbers")
    }

    /// Packed numbers are no experts of GPT-OSS.
    package static func unknownBlocks(path: String, tensor: String) -> Self {
        Self(
            .unsupported,
            "\(path): tensor '\(tensor)' is none of GPT-OSS's packed experts (gate_up_proj_blocks and down_proj_blocks, "
                + "of four axes)")
    }

    /// Scales are of another shape than any that is known.
    fileprivate static func scalesDoNotFit(
        path: String, _ name: String, _ values: TensorExpression, _ scale: String, _ scales: TensorExpression,
        block: [Int]?
    ) -> Self {
        let known = block.map { ", blocks of \($0[0]) × \($0[1])" } ?? ""
        return Self(
            .inconsistent,
            "\(path): '\(scale)' (\(scales.type.rawValue) \(scales.shape)) does not fit '\(name)' (\(values.type.rawValue) "
                + "\(values.shape)): a scale is of the whole, of each row\(known), and config.json has no other blocks "
                + "(weight_block_size)")
    }

    /// Something else is quantised.
    fileprivate static func notAllDequantized(path: String, _ rest: Quantization) -> Self {
        Self(.unsupported, "\(path) is also quantised \(rest), which is not known; \(dequantizable)")
    }
}
