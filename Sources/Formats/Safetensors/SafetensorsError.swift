/// Why a safetensors file was refused.
public enum SafetensorsError: UserFacingError, Equatable {
    /// The file can't be read.
    case file(FileError)
    /// The file is too short to hold the length of its header.
    case tooShort(file: String, bytes: Int)
    /// The header would be longer than the format allows.
    case headerTooLarge(file: String, declared: UInt64)
    /// The header would reach beyond the end of the file.
    case headerCutOff(file: String, declared: Int, available: Int)
    /// The header is no JSON, or has a key twice that may stand once.
    case json(JSONError)
    /// A part of the header is not what the format asks for.
    case malformed(file: String, tensor: String?, found: String, expected: String)
    /// A tensor's data does not begin where the one before ends, or ends before it begins.
    case offsets(file: String, tensor: String, found: (UInt64, UInt64), expected: UInt64)
    /// A shape whose bytes can't be counted.
    case uncountable(file: String, tensor: String, type: ElementType, shape: [UInt64])
    /// Packed elements that do not end on a byte.
    case misaligned(file: String, tensor: String, type: ElementType, shape: [UInt64])
    /// A tensor's data is not as long as its type and shape ask for.
    case size(
        file: String, tensor: String, type: ElementType, shape: [UInt64], bytes: UInt64, expected: UInt64)
    /// The tensors end before the file does, or the file before the tensors.
    case length(file: String, bytes: Int, expected: UInt64)

    /// One sentence with the file, the tensor and the numbers that disagree.
    public var description: String {
        switch self {
        case .file(let error): error.description
        case .json(let error): error.description
        case .tooShort(let file, let bytes):
            "\(file) is no safetensors file: it has \(bytes) bytes, and the length of the header alone takes 8"
        case .headerTooLarge(let file, let declared):
            "\(file) is no safetensors file: its header claims \(declared) bytes, and the format allows 100000000"
        case .headerCutOff(let file, let declared, let available):
            "\(file) is cut off or no safetensors file: its header claims \(declared) bytes, and \(available) follow; download it again"
        case .malformed(let file, let tensor, let found, let expected):
            "\(file): \(tensor.map { "tensor '\($0)'" } ?? "the header") has \(found) where \(expected) is expected"
        case .offsets(let file, let tensor, let found, let expected):
            "\(file): the data of tensor '\(tensor)' is at bytes \(found.0) to \(found.1), and should begin at \(expected), where the tensor before it ends"
        case .uncountable(let file, let tensor, let type, let shape):
            "\(file): tensor '\(tensor)' \(type.rawValue)\(shape) takes more bytes than can be counted"
        case .misaligned(let file, let tensor, let type, let shape):
            "\(file): tensor '\(tensor)' \(type.rawValue)\(shape) does not end on a whole byte"
        case .size(let file, let tensor, let type, let shape, let bytes, let expected):
            "\(file): tensor '\(tensor)' \(type.rawValue)\(shape) takes \(expected) bytes, and its offsets cover \(bytes)"
        case .length(let file, let bytes, let expected):
            "\(file) has \(bytes) bytes, and its header describes \(expected)\(UInt64(bytes) < expected ? ": it is cut off; download it again" : "")"
        }
    }

    /// The input is at fault, unless the system refused to read.
    public var fault: Fault {
        if case .file(let error) = self { return error.fault }
        return .input
    }

    /// Whether both say the same.
    public static func == (left: Self, right: Self) -> Bool { left.description == right.description }
}
