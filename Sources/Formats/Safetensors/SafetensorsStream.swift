internal import Glibc

/// A safetensors file whose tensors are filled from their beginning on, each at its own pace.
///
/// The file appears under its name when it is closed; without that nothing is left behind.
public final class SafetensorsStream {
    /// A tensor of the file.
    package struct Tensor {
        let name: String
        let type: ElementType
        /// Its dimensions, outermost first; nil for one dimension as long as what will be appended.
        let shape: [Int]?

        /// A tensor of a known shape, or with nil of one dimension that is known at the end; only the last in the
        /// file may be one of these.
        package init(_ name: String, _ type: ElementType, shape: [Int]?) {
            (self.name, self.type, self.shape) = (name, type, shape)
        }
    }

    private let file: AtomicFile
    private let tensors: [Tensor]
    private let metadata: [String: String]
    private let headerSize: Int
    /// Where each tensor begins and ends in the file; the end of an open one is as far as it goes.
    private let places: [Range<Int>]
    /// How many bytes of each are written.
    private var written: [Int]

    /// Begins a file of one float32 tensor.
    ///
    /// - Parameters:
    ///   - path: the file; one that exists is replaced at the end.
    ///   - name: the tensor's name.
    ///   - shape: the tensor's dimensions, outermost first.
    /// - Throws: ``UserFacingError`` when it cannot be created.
    public convenience init(path: String, name: String, shape: [Int]) throws(UserFacingError) {
        try self.init(path: path, [Tensor(name, .f32, shape: shape)])
    }

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - path: the file; one that exists is replaced at the end.
    ///   - tensors: in the order in which they lie in the file: none with smaller elements before one with larger ones.
    ///   - metadata: what the header says besides.
    /// - Throws: ``UserFacingError`` when it cannot be created, or is larger than a file can be.
    package init(
        path: String, _ tensors: [Tensor], metadata: [String: String] = [:]
    ) throws(UserFacingError) {
        precondition(tensors.dropLast().allSatisfy { $0.shape != nil }, "only the last tensor's size is open")
        precondition(zip(tensors, tensors.dropFirst()).allSatisfy { $0.type.bits >= $1.type.bits })
        let layout = try Self.layout(tensors, elements: 0, metadata, path: path)
        var places: [Range<Int>] = []
        for tensor in tensors {
            let start = places.last?.upperBound ?? layout.header.count
            let size = tensor.shape.map { tensor.type.byteCount(shape: $0) ?? 0 }
            places.append(start..<(size.map { start + $0 } ?? .max))
        }
        (self.tensors, self.metadata, self.places) = (tensors, metadata, places)
        headerSize = layout.header.count
        written = Array(repeating: 0, count: tensors.count)
        file = try AtomicFile(path: path)
        try file.truncate(to: layout.byteCount)
    }

    private static func layout(
        _ tensors: [Tensor], elements: Int, _ metadata: [String: String], path: String
    ) throws(UserFacingError) -> SafetensorsLayout {
        var members: [(name: String, expression: TensorExpression)] = []
        for tensor in tensors {
            guard let zeros = try? TensorExpression.zeros(tensor.type, shape: tensor.shape ?? [elements])
            else { throw .file(.create, path, code: EFBIG) }
            members.append((tensor.name, zeros))
        }
        return SafetensorsLayout(members, metadata: metadata)
    }

    /// Writes the values of the only tensor that come next.
    ///
    /// - Throws: ``UserFacingError`` when the disk is full.
    public func append(_ values: [Float]) throws(UserFacingError) {
        try unsafe append(values.span.bytes, to: 0)
    }

    /// Writes the bytes of a tensor that come next.
    ///
    /// - Throws: ``UserFacingError`` when the disk is full.
    package func append(_ bytes: RawSpan, to tensor: Int) throws(UserFacingError) {
        precondition(
            bytes.byteCount <= places[tensor].count - written[tensor], "more values than the tensor has")
        try file.write(bytes, at: places[tensor].lowerBound + written[tensor])
        written[tensor] += bytes.byteCount
    }

    /// Makes the file durable and gives it its name; all values must have been written.
    ///
    /// - Throws: ``UserFacingError`` when the system refuses.
    public func close() throws(UserFacingError) {
        for (index, tensor) in tensors.enumerated() where tensor.shape != nil {
            precondition(written[index] == places[index].count, "the tensor is not complete")
        }
        let elements = (written.last ?? 0) * 8 / (tensors.last?.type.bits ?? 8)
        let layout = try Self.layout(tensors, elements: elements, metadata, path: file.path)
        precondition(layout.header.count == headerSize, "the header is longer than its place")
        try unsafe file.write(layout.header.span.bytes, at: 0)
        try file.truncate(to: layout.byteCount)
        try file.publish()
    }
}
