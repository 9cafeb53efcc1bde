/// Why a tensor could not be described or read.
public enum TensorError: UserFacingError, Equatable {
    /// The file it lies in can't be read.
    case file(FileError)
    /// There are not as many bytes as type and shape ask for.
    case size(name: String, type: ElementType, shape: [Int], bytes: Int)
    /// No whole number of bytes that a computer can count holds this shape.
    case uncountable(type: ElementType, shape: [Int])
    /// Tensors that can't stand one above the other.
    case unjoinable(first: TensorDescription, other: TensorDescription)
    /// A part outside the tensor, or one that begins or ends inside a byte.
    case rows(Range<Int>, of: TensorDescription)
    /// As many elements as before are needed.
    case reshape(TensorDescription, to: [Int])
    /// There are no two last axes to exchange, or the elements are smaller than a byte.
    case transpose(TensorDescription)
    /// A conversion that is not known.
    case cast(TensorDescription, to: ElementType)
    /// An operation on another number of tensors than it takes.
    case operands(found: Int, expected: String)
    /// Rows that can't be made of others.
    case derivation(TensorDescription, rule: String)
    /// The file holds something else than its header promises.
    case damaged(name: String, reason: String)
    /// What makes the bytes could not.
    case production(name: String, reason: String)
    /// It was stopped before the result was known.
    case interrupted

    /// One sentence on what is wrong.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .size(let name, let type, let shape, let bytes):
            "tensor '\(name)' is \(type.rawValue)\(shape), which takes \(expected(type, shape)), but has \(bytes) bytes"
        case .uncountable(let type, let shape):
            "a tensor \(type.rawValue)\(shape) does not take a whole number of bytes that can be counted"
        case .unjoinable(let first, let other):
            "\(other) can't be joined below \(first): all but the first dimension must agree"
        case .rows(let rows, let tensor):
            "rows \(rows.lowerBound)..<\(rows.upperBound) can't be cut from \(tensor)"
        case .reshape(let tensor, let shape): "\(tensor) has another number of elements than shape \(shape)"
        case .transpose(let tensor): "\(tensor) can't be transposed"
        case .cast(let tensor, let type): "there is no conversion of \(tensor) to \(type.rawValue)"
        case .operands(let found, let expected):
            "it is made of \(found) tensors, and should be of \(expected)"
        case .derivation(let tensor, let rule): "\(tensor) can't give the rows that are to be \(rule) of it"
        case .damaged(let name, let reason): "tensor '\(name)' can't be read: \(reason)"
        case .production(let name, let reason): "tensor '\(name)' could not be computed: \(reason)"
        case .interrupted: "stopped before the result was known"
        }
    }

    /// A file's own fault; else the input's.
    public var fault: Fault {
        switch self {
        case .file(let error): error.fault
        case .production, .interrupted: .run
        default: .input
        }
    }

    private func expected(_ type: ElementType, _ shape: [Int]) -> String {
        type.byteCount(shape: shape).map { "\($0) bytes" } ?? "more bytes than can be counted"
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
