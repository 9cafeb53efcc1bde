internal import Formats

extension Engine {
    /// Copies a list to the device.
    func upload(_ values: [Float], to tensor: Tensor<Buffer>) { upload(values.span, to: tensor) }

    /// A tensor of 32-bit elements whose bits are read from the device when they are asked for.
    func tensor(
        _ name: String, type: ElementType = .f32, shape: [Int], in buffer: Buffer
    ) throws(UserFacingError) -> TensorExpression {
        let size = MemoryLayout<Float>.size
        return try .stored(
            MemoryTensor(name: name, type: type, shape: shape) {
                (bytes, destination) throws(UserFacingError) in
                var values = [Float](repeating: 0, count: bytes.count / size)
                var span = values.mutableSpan
                self.download(
                    Tensor(buffer[bytes.lowerBound / size..<bytes.upperBound / size]), to: &span)
                for (index, value) in values.enumerated() {
                    destination.storeBytes(of: value, toByteOffset: index * size, as: Float.self)
                }
            })
    }

    /// Fills memory with a tensor's values, some at a time; packed memory has the tensor's own type.
    func load(_ expression: TensorExpression, into tensor: Tensor<Buffer>) throws(UserFacingError) {
        guard tensor.precision == .f32 else { return try loadBits(expression, into: tensor.storage) }
        let piece = 1 << 20
        var values = [Float](repeating: 0, count: min(piece, tensor.count))
        for start in stride(from: 0, to: tensor.count, by: piece) {
            let count = min(piece, tensor.count - start)
            var span = values.mutableSpan
            var part = span._mutatingExtracting(first: count)
            try expression.floats(start..<start + count, into: &part)
            upload(values.span.extracting(first: count), to: tensor[start..<start + count])
        }
    }

    /// Fills a buffer with the bits of a tensor of as many bytes, some at a time.
    func loadBits(_ expression: TensorExpression, into buffer: Buffer) throws(UserFacingError) {
        let size = MemoryLayout<Float>.size
        let piece = 1 << 20
        var bytes = [UInt8](repeating: 0, count: min(piece, buffer.count) * size)
        for start in stride(from: 0, to: buffer.count, by: piece) {
            let count = min(piece, buffer.count - start)
            var span = bytes.mutableSpan
            var whole = unsafe span.mutableBytes
            var part = whole._mutatingExtracting(first: count * size)
            _ = try expression.read(start * size..<(start + count) * size, into: &part)
            let values = unsafe bytes.withUnsafeBytes {
                unsafe [Float]($0.bindMemory(to: Float.self).prefix(count))
            }
            upload(values, to: Tensor(buffer[start..<start + count]))
        }
    }
}
