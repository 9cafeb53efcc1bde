internal import Formats

extension Engine {
    /// Copies a list to the device.
    func upload(_ values: [Float], to buffer: Buffer) { upload(values.span, to: buffer) }

    /// A float32 tensor whose values are read from the device when they are asked for.
    func tensor(_ name: String, shape: [Int], in buffer: Buffer) throws(TensorError) -> TensorExpression {
        let size = MemoryLayout<Float>.size
        return try .stored(
            MemoryTensor(name: name, type: .f32, shape: shape) { (bytes, destination) throws(TensorError) in
                var values = [Float](repeating: 0, count: bytes.count / size)
                var span = values.mutableSpan
                self.download(buffer[bytes.lowerBound / size..<bytes.upperBound / size], to: &span)
                for (index, value) in values.enumerated() {
                    destination.storeBytes(of: value, toByteOffset: index * size, as: Float.self)
                }
            })
    }

    /// Fills a buffer with a tensor's values, some at a time.
    func load(_ tensor: TensorExpression, into buffer: Buffer) throws(TensorError) {
        let piece = 1 << 20
        var values = [Float](repeating: 0, count: min(piece, buffer.count))
        for start in stride(from: 0, to: buffer.count, by: piece) {
            let count = min(piece, buffer.count - start)
            var span = values.mutableSpan
            var part = span._mutatingExtracting(first: count)
            try tensor.floats(start..<start + count, into: &part)
            upload(values.span.extracting(first: count), to: buffer[start..<start + count])
        }
    }
}
