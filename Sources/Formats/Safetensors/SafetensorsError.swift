// Why a safetensors file was refused.
extension UserFacingError {
    /// The file is too short to hold the length of its header.
    package static func tooShort(file: String, bytes: Int) -> Self {
        Self(
            .malformed,
            "\(file) is no safetensors file: it has \(bytes) bytes, and the length of the header alone takes 8"
        )
    }

    /// The header would be longer than the format allows.
    package static func headerTooLarge(file: String, declared: UInt64) -> Self {
        Self(
            .malformed,
            "\(file) is no safetensors file: its header claims \(declared) bytes, and the format allows 100000000"
        )
    }

    /// The header would reach beyond the end of the file.
    package static func headerCutOff(file: String, declared: Int, available: Int) -> Self {
        Self(
            .malformed,
            "\(file) is cut off or no safetensors file: its header claims \(declared) bytes, and \(available) follow; download it again"
        )
    }

    /// A part of the header is not what the format asks for.
    package static func malformedHeader(file: String, tensor: String?, found: String, expected: String)
        -> Self
    {
        Self(
            .malformed,
            "\(file): \(tensor.map { "tensor '\($0)'" } ?? "the header") has \(found) where \(expected) is expected"
        )
    }

    /// A tensor's data does not begin where the one before ends, or ends before it begins.
    package static func wrongOffsets(file: String, tensor: String, found: (UInt64, UInt64), expected: UInt64)
        -> Self
    {
        Self(
            .malformed,
            "\(file): the data of tensor '\(tensor)' is at bytes \(found.0) to \(found.1), and should begin at \(expected), where the tensor before it ends"
        )
    }

    /// A shape whose bytes can't be counted.
    package static func uncountable(file: String, tensor: String, type: ElementType, shape: [UInt64]) -> Self
    {
        Self(
            .malformed,
            "\(file): tensor '\(tensor)' \(type.rawValue)\(shape) takes more bytes than can be counted")
    }

    /// Packed elements that do not end on a byte.
    package static func misaligned(file: String, tensor: String, type: ElementType, shape: [UInt64]) -> Self {
        Self(
            .malformed,
            "\(file): tensor '\(tensor)' \(type.rawValue)\(shape) does not end on a whole byte")
    }

    /// A tensor's data is not as long as its type and shape ask for.
    package static func wrongSize(
        file: String, tensor: String, type: ElementType, shape: [UInt64], bytes: UInt64, expected: UInt64
    ) -> Self {
        Self(
            .malformed,
            "\(file): tensor '\(tensor)' \(type.rawValue)\(shape) takes \(expected) bytes, and its offsets cover \(bytes)"
        )
    }

    /// The tensors end before the file does, or the file before the tensors.
    package static func wrongLength(file: String, bytes: Int, expected: UInt64) -> Self {
        Self(
            .malformed,
            "\(file) has \(bytes) bytes, and its header describes \(expected)\(UInt64(bytes) < expected ? ": it is cut off; download it again" : "")"
        )
    }
}
