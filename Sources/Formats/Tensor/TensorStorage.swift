/// Where a tensor's bytes come from.
///
/// A format of its own (a file of another kind, a dataset, a computation) conforms, and everything
/// that takes tensor expressions works on it.
public protocol TensorStorage: Sendable {
    /// What the tensor is called where it comes from; errors and the manifest name it.
    var name: String { get }
    /// The type of its elements.
    var type: ElementType { get }
    /// Its dimensions, outermost first; empty for a scalar.
    var shape: [Int] { get }
    /// The bytes where they lie in a file as they are, so that the kernel can copy them; else nil.
    var fileRange: FileRange? { get }
    /// The file that it is of, and the place there by which a manifest finds it again; nil for what is in no file.
    var origin: TensorOrigin? { get }
    /// What it was before it was computed anew, of the same shape, as a tensor that was trained; nil when nothing is known
    /// of that. The manifest tells of it, so that a tensor's rows are found again however often they were trained.
    var beginning: TensorExpression? { get }
    /// What tells this content from any other of the same name, so that an interrupted write can go on;
    /// nil when nothing does.
    var fingerprint: String? { get }

    /// Fills `destination` with a part of the tensor.
    ///
    /// - Parameters:
    ///   - bytes: which part, in bytes from the tensor's start; whole elements.
    ///   - destination: as many bytes as `bytes` has.
    /// - Throws: ``UserFacingError`` when they can't be read or made.
    func read(_ bytes: Range<Int>, into destination: inout MutableRawSpan) throws(UserFacingError)
}

extension TensorStorage {
    /// The place of its bytes.
    public var origin: TensorOrigin? { fileRange.map { TensorOrigin(file: $0.file, offset: $0.offset) } }

    /// None.
    public var beginning: TensorExpression? { nil }
}

/// The file that a tensor is of, and a place in it.
public struct TensorOrigin: Sendable {
    /// The file.
    public let file: InputFile
    /// Where the tensor's bytes begin, or, when they do not lie there as they are, what describes them.
    public let offset: Int
}

/// A tensor that lies in a file as it is.
public struct StoredTensor: TensorStorage {
    /// The name the file gives it.
    public let name: String
    /// The type of its elements.
    public let type: ElementType
    /// Its dimensions, outermost first.
    public let shape: [Int]
    /// Where its bytes are.
    public let range: FileRange

    /// A tensor in a file.
    ///
    /// - Throws: ``UserFacingError`` when the range is not as long as type and shape ask.
    public init(name: String, type: ElementType, shape: [Int], range: FileRange) throws(UserFacingError) {
        guard type.byteCount(shape: shape) == range.count else {
            throw .wrongSize(name: name, type: type, shape: shape, bytes: range.count)
        }
        self.name = name
        self.type = type
        self.shape = shape
        self.range = range
    }

    /// Where its bytes are.
    public var fileRange: FileRange? { range }

    /// The version of the file and the place in it.
    public var fingerprint: String? { range.fingerprint }

    /// Reads a part of the tensor from the file.
    public func read(_ bytes: Range<Int>, into destination: inout MutableRawSpan) throws(UserFacingError) {
        let part = range.extracting(bytes)
        try part.file.read(at: part.offset, into: &destination)
    }
}

/// A tensor whose bytes are made when they are asked for, as a trainer's weights are.
public struct MemoryTensor: TensorStorage {
    /// Fills the span with the part of the tensor at these bytes.
    public typealias Producer = @Sendable (Range<Int>, inout MutableRawSpan) throws(UserFacingError) -> Void

    /// What the tensor is called.
    public let name: String
    /// The type of its elements.
    public let type: ElementType
    /// Its dimensions, outermost first.
    public let shape: [Int]
    /// What tells this content from any other.
    public let fingerprint: String?
    /// What it was before it was computed anew.
    public let beginning: TensorExpression?
    private let produce: Producer

    /// A tensor made by `produce`.
    ///
    /// - Parameters:
    ///   - name: what to call it.
    ///   - type: the type of its elements.
    ///   - shape: its dimensions, outermost first.
    ///   - fingerprint: what tells this content from any other; without it an interrupted write starts over.
    ///   - beginning: what it was before it was computed anew, of the same shape.
    ///   - produce: fills a span with the part at given bytes, which are whole elements.
    public init(
        name: String, type: ElementType, shape: [Int], fingerprint: String? = nil,
        beginning: TensorExpression? = nil, produce: @escaping Producer
    ) {
        precondition(beginning.map { $0.shape == shape } ?? true, "what a tensor was had its shape")
        self.name = name
        self.type = type
        self.shape = shape
        self.fingerprint = fingerprint
        self.beginning = beginning
        self.produce = produce
    }

    /// A tensor that holds these bytes.
    public init(name: String, type: ElementType, shape: [Int], bytes: [UInt8]) {
        self.init(name: name, type: type, shape: shape) { range, destination in
            unsafe bytes.withUnsafeBytes { source in
                unsafe destination.withUnsafeMutableBytes { target in
                    unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range]))
                }
            }
        }
    }

    /// A tensor of float32 that holds these numbers.
    public init(name: String, shape: [Int], floats: [Float]) {
        self.init(name: name, type: .f32, shape: shape) { range, destination in
            unsafe floats.withUnsafeBytes { source in
                unsafe destination.withUnsafeMutableBytes { target in
                    unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: source[range]))
                }
            }
        }
    }

    /// None: the bytes lie in no file.
    public var fileRange: FileRange? { nil }

    /// Has the bytes made.
    public func read(_ bytes: Range<Int>, into destination: inout MutableRawSpan) throws(UserFacingError) {
        try produce(bytes, &destination)
    }
}
