internal import CKernels
internal import Formats

extension Engine {
    /// Copies a list to the device.
    func upload(_ values: [Float], to tensor: Tensor<Buffer>) { upload(values.span, to: tensor) }

    /// Makes all bits of a buffer zero.
    func clear(_ buffer: Buffer) {
        let piece = 1 << 20
        let zeros = [Float](repeating: 0, count: min(piece, buffer.count))
        for start in stride(from: 0, to: buffer.count, by: piece) {
            let count = min(piece, buffer.count - start)
            upload(zeros.span.extracting(first: count), to: Tensor(buffer[start..<start + count]))
        }
    }

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
    ///
    /// - Returns: where the first value stands that is infinite or no number; nil when all are finite.
    @discardableResult
    func load(
        _ expression: TensorExpression, into tensor: Tensor<Buffer>
    ) throws(UserFacingError) -> (index: Int, value: Float)? {
        guard tensor.precision == .f32 else {
            return try loadBits(expression, into: tensor.storage, holding: tensor.precision)
        }
        let piece = 1 << 20
        var values = [Float](repeating: 0, count: min(piece, tensor.count))
        for start in stride(from: 0, to: tensor.count, by: piece) {
            let count = min(piece, tensor.count - start)
            var span = values.mutableSpan
            var part = span._mutatingExtracting(first: count)
            try expression.floats(start..<start + count, into: &part)
            let largest = unsafe values.withUnsafeBufferPointer {
                unsafe ck_largest_f32($0.baseAddress, count)
            }
            if largest >= Float.infinity.bitPattern, let index = values.firstIndex(where: { !$0.isFinite }) {
                return (start + index, values[index])
            }
            upload(values.span.extracting(first: count), to: tensor[start..<start + count])
        }
        return nil
    }

    /// Fills a buffer with the bits of a tensor of as many bytes, some at a time.
    ///
    /// - Returns: where the first value of 16 bits stands that is infinite or no number; nil when all are finite.
    @discardableResult
    func loadBits(
        _ expression: TensorExpression, into buffer: Buffer, holding precision: Precision = .int32
    ) throws(UserFacingError) -> (index: Int, value: Float)? {
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
            if let found = precision.firstNotFinite(in: bytes, count: count * size) {
                return (start * size / 2 + found.index, found.value)
            }
            upload(values, to: Tensor(buffer[start..<start + count]))
        }
        return nil
    }
}

extension Precision {
    /// The first number of 16 bits in `count` bytes that is infinite or no number; nil also where values have other bits.
    fileprivate func firstNotFinite(in bytes: [UInt8], count: Int) -> (index: Int, value: Float)? {
        guard let infinity: UInt16 = self == .bf16 ? 0x7F80 : self == .f16 ? 0x7C00 : nil else { return nil }
        return unsafe bytes.withUnsafeBytes { raw in
            let halves = unsafe raw.bindMemory(to: UInt16.self)
            guard unsafe ck_largest_16(halves.baseAddress, count / 2) >= infinity else { return nil }
            let index = unsafe halves.firstIndex { $0 & 0x7FFF >= infinity } ?? 0
            let bits = unsafe halves[index]
            let value: Float = bits & 0x7FFF > infinity ? .nan : bits & 0x8000 == 0 ? .infinity : -.infinity
            return (index, value)
        }
    }
}
