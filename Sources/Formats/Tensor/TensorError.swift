// Why a tensor could not be described or read.
extension UserFacingError {
    /// There are not as many bytes as type and shape ask for.
    package static func wrongSize(name: String, type: ElementType, shape: [Int], bytes: Int) -> Self {
        Self(
            .malformed,
            "tensor '\(name)' is \(type.rawValue)\(shape), which takes \(type.byteCount(shape: shape).map { "\($0) bytes" } ?? "more bytes than can be counted"), but has \(bytes) bytes"
        )
    }

    /// No whole number of bytes that a computer can count holds this shape.
    package static func uncountable(type: ElementType, shape: [Int]) -> Self {
        Self(
            .malformed,
            "a tensor \(type.rawValue)\(shape) does not take a whole number of bytes that can be counted")
    }

    /// Tensors that can't stand one above the other.
    package static func unjoinable(first: TensorDescription, other: TensorDescription) -> Self {
        Self(
            .unsupported,
            "\(other) can't be joined below \(first): all but the first dimension must agree")
    }

    /// A part outside the tensor, or one that begins or ends inside a byte.
    package static func noRows(_ rows: Range<Int>, of tensor: TensorDescription) -> Self {
        Self(
            .unsupported,
            "rows \(rows.lowerBound)..<\(rows.upperBound) can't be cut from \(tensor)")
    }

    /// As many elements as before are needed.
    package static func cannotReshape(_ tensor: TensorDescription, to shape: [Int]) -> Self {
        Self(
            .unsupported,
            "\(tensor) has another number of elements than shape \(shape)")
    }

    /// There are no two last axes to exchange, or the elements are smaller than a byte.
    package static func cannotTranspose(_ tensor: TensorDescription) -> Self {
        Self(
            .unsupported,
            "\(tensor) can't be transposed")
    }

    /// A conversion that is not known.
    package static func cannotCast(_ tensor: TensorDescription, to type: ElementType) -> Self {
        Self(
            .unsupported,
            "there is no conversion of \(tensor) to \(type.rawValue)")
    }

    /// An operation on another number of tensors than it takes.
    package static func wrongOperands(found: Int, expected: String) -> Self {
        Self(
            .malformed,
            "it is made of \(found) tensors, and should be of \(expected)")
    }

    /// Rows that can't be made of others.
    package static func cannotDerive(_ tensor: TensorDescription, rule: String) -> Self {
        Self(
            .unsupported,
            "\(tensor) can't give the rows that are to be \(rule) of it")
    }
}

/// What an error says of a tensor.
public struct TensorDescription: Sendable, Equatable, CustomStringConvertible {
    /// Its name; empty when it was computed.
    public let name: String
    /// The type of its elements.
    public let type: ElementType
    /// Its dimensions, outermost first.
    public let shape: [Int]

    /// As in `tensor 'lm_head.weight' BF16[32000, 4096]`.
    public var description: String { "tensor \(name.isEmpty ? "" : "'\(name)' ")\(type.rawValue)\(shape)" }
}
