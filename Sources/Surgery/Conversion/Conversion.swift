public import Formats
public import Models
internal import OrderedCollections

/// A model with its numbers in another type, rounded to nearest, ties to even, and in files of another format; a quantised one
/// with the numbers that its values and scales stand for.
public struct Conversion: SurgeryOperation {
    /// `convert`.
    public static let name = "convert"
    /// What it takes.
    public static let parameterList = [
        OperationParameter("dtype", .choice(NumberType.allCases.map(\.rawValue)), "the type of the numbers"),
        OperationParameter(
            "to", .choice(WeightsFormat.allCases.map(\.rawValue)), "the format of the weights"),
        OperationParameter(
            "dequantize", .flag, "make numbers of quantised values and their scales, in bf16 or f32"),
    ]

    /// The types that a model can be converted to, as they are typed.
    public enum NumberType: String, Codable, Sendable, CaseIterable {
        case f32, bf16, f16

        /// The type itself.
        public var elementType: ElementType {
            switch self {
            case .f32: .f32
            case .bf16: .bf16
            case .f16: .f16
            }
        }
    }

    /// The type of the numbers; nil leaves them as they are.
    public var dtype: NumberType?
    /// The format of the weights; nil leaves the one that they have.
    public var to: WeightsFormat?
    /// Whether numbers are made of quantised values and their scales: where `dtype` says nothing in the type that the
    /// configuration names, else in bf16, and the others stay as they are.
    public var dequantize: Bool?

    private enum CodingKeys: String, CodingKey { case dtype, to, dequantize }

    /// A request.
    public init(dtype: NumberType? = nil, to: WeightsFormat? = nil, dequantize: Bool? = nil) {
        self.dtype = dtype
        self.to = to
        self.dequantize = dequantize
    }

    /// The result, not written yet, and what is told of it.
    public func apply(to source: Checkpoint, _ context: OperationContext) throws(UserFacingError) -> Outcome {
        let dequantizing = dequantize == true ? try dequantizing(source) : nil
        let original = source
        let source = dequantizing?.checkpoint ?? source
        var outcome = Outcome(try source.cast(to: dtype?.elementType, format: to))
        if let dequantizing { outcome.tell(dequantizing, of: original) }
        outcome.facts["dtype"] = dtype.map { .string($0.elementType.rawValue) } ?? .null
        outcome.facts["to"] = to.map { .string($0.rawValue) } ?? .null
        if let dtype { outcome.say("numbers", dtype.elementType.rawValue) }
        if let to { outcome.say("format", to.rawValue) }
        if let type = dtype?.elementType {
            let kept = source.tensorsKept(for: type)
            outcome.facts["kept"] = .array(kept.map { .string($0) })
            if let first = kept.first {
                outcome.say(
                    "kept",
                    "\(kept.count) tensor\(kept.count == 1 ? "" : "s") that the family does not round, such as \(first)"
                )
            }
        }
        if to == .hdf5, case .hdf5(let structure) = outcome.checkpoint.format, structure.layout == .plain,
            source.format.structure == nil
        {
            let family = source.configuration?.family?.name ?? source.configuration?.modelType ?? "this model"
            outcome.warnings.append(
                "KerasHub has no form of \(family) that is known here: the tensors keep their names in a plain HDF5 file, "
                    + "which KerasHub can't load")
        }
        outcome.suffix = [dequantizing.map { _ in "dequantized" }, dtype?.rawValue, to?.rawValue].compactMap(
            \.self
        ).joined(separator: "-")
        if outcome.suffix.isEmpty { outcome.suffix = "copy" }
        return outcome
    }

    private func dequantizing(_ source: Checkpoint) throws(UserFacingError) -> Dequantizing {
        if let dtype, dtype == .f16 { throw .wrongDequantizedType(dtype) }
        return try Dequantizing(source, to: dtype?.elementType)
    }
}

extension Outcome {
    /// Tells what was dequantised, and what the configuration loses by it.
    fileprivate mutating func tell(_ dequantizing: Dequantizing, of source: Checkpoint) {
        let (made, dropped) = (dequantizing.made, dequantizing.dropped)
        facts["dequantized"] = .array(made.map { .string($0) })
        facts["dropped"] = .array(dropped.map { .string($0) })
        if let first = made.first { say("dequantised", "\(made.count) tensors, such as \(first)") }
        if let first = dropped.first {
            say("dropped", "\(dropped.count) scales of activations, such as \(first)")
        }
        changes = ConfigurationChange.differences(
            from: source.configuration?.json, to: dequantizing.checkpoint.configuration?.json, path: "")
    }
}

extension Checkpoint {
    /// The model with its numbers in another type and in files of another format.
    ///
    /// Only floating-point tensors are converted; integers and truth values stay what they are, and so does what the
    /// family keeps in float32. The configuration's `dtype` or `torch_dtype` follows.
    ///
    /// - Parameters:
    ///   - type: the type; nil leaves the numbers as they are.
    ///   - format: the format; nil leaves the one it has.
    /// - Returns: the result, not written yet.
    /// - Throws: ``UserFacingError`` when the numbers can't be converted one by one.
    public func converted(
        to type: Conversion.NumberType?, format: WeightsFormat? = nil
    ) throws(UserFacingError) -> Checkpoint {
        try applying(Conversion(dtype: type, to: format)).checkpoint
    }

    fileprivate func cast(
        to type: ElementType?, format: WeightsFormat?
    ) throws(UserFacingError) -> Checkpoint {
        if type != nil || format != nil, let quantization = try stored().quantization ?? quantization {
            throw .quantized(path: path, quantization)
        }
        var result = try format.map { (format) throws(UserFacingError) in try converted(to: format) } ?? self
        guard let type else { return result }
        let kept = Set(result.tensorsKept(for: type))
        for (name, tensor) in result.tensors where tensor.type.isFloatingPoint && !kept.contains(name) {
            do { result.tensors[name] = try tensor.cast(to: type) } catch {
                throw error.within("tensor '\(name)' can't be converted")
            }
        }
        result.configuration?.elementType = type
        return result
    }
}
