internal import Glibc

/// A safetensors file of one float32 tensor whose values come one after the other.
///
/// The file has a temporary name until ``close()``; without it nothing is left behind.
public final class SafetensorsStream {
    private let path: String
    private let partial: String
    private let file: OutputFile
    private let size: Int
    private var offset: Int
    private var isClosed = false

    /// Begins a file.
    ///
    /// - Parameters:
    ///   - path: the file; one that exists is replaced at the end.
    ///   - name: the tensor's name.
    ///   - shape: the tensor's dimensions, outermost first.
    /// - Throws: ``FileError`` when it cannot be created.
    public init(path: String, name: String, shape: [Int]) throws(FileError) {
        self.path = path
        partial = path + ".partial"
        guard let zeros = try? TensorExpression.zeros(.f32, shape: shape) else {
            throw FileError(.create, path, code: EFBIG)
        }
        let layout = SafetensorsLayout([(name, zeros)], metadata: [:])
        file = try OutputFile(path: partial)
        size = layout.byteCount
        offset = layout.header.count
        try file.truncate(to: size)
        try unsafe file.write(layout.header.span.bytes, at: 0)
    }

    deinit { if !isClosed { unsafe unlink(partial) } }

    /// Writes the tensor's next values.
    ///
    /// - Throws: ``FileError`` when the disk is full.
    public func append(_ values: [Float]) throws(FileError) {
        precondition(
            offset + values.count * MemoryLayout<Float>.size <= size, "more values than the tensor has")
        try unsafe file.write(values.span.bytes, at: offset)
        offset += values.count * MemoryLayout<Float>.size
    }

    /// Makes the file durable and gives it its name; all values must have been written.
    ///
    /// - Throws: ``FileError`` when the system refuses.
    public func close() throws(FileError) {
        precondition(offset == size, "the tensor is not complete")
        try file.synchronize()
        guard unsafe rename(partial, path) == 0 else { throw FileError(.rename, path) }
        isClosed = true
    }
}
