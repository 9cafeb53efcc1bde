internal import Glibc

/// The first byte in which two tensors differ.
public struct ByteDifference: Sendable, Equatable {
    /// Where, in bytes from the tensors' start.
    public let offset: Int
    /// What is there.
    public let found: UInt8
    /// What should be there.
    public let expected: UInt8
}

extension TensorExpression {
    /// The first byte that is not that of a tensor of the same type and shape; both are read a part at a time.
    ///
    /// - Parameters:
    ///   - bytes: which bytes are compared, whole elements; nil for all.
    ///   - expected: what it should be.
    ///   - isCancelled: asked many times a second; true stops.
    ///   - progress: told as often how many more bytes have been compared.
    /// - Returns: the first difference; nil when there is none.
    /// - Throws: ``UserFacingError`` when either can't be read, or when it was stopped.
    public func firstDifference(
        in bytes: Range<Int>? = nil, from expected: TensorExpression, isCancelled: () -> Bool = { false },
        progress: (Int) -> Void = { _ in }
    ) throws(UserFacingError) -> ByteDifference? {
        precondition(
            type == expected.type && shape == expected.shape, "tensors of one type and shape are compared")
        let bytes = bytes ?? 0..<byteCount
        let size = min(chunkSize(atMost: 4 << 20), max(bytes.count, 1))
        var left = [UInt8](repeating: 0, count: size)
        var right = [UInt8](repeating: 0, count: size)
        var start = bytes.lowerBound
        while start < bytes.upperBound {
            let part = start..<min(start + size, bytes.upperBound)
            let onWork = { (_: Int) throws(UserFacingError) in if isCancelled() { throw .interrupted } }
            try read(part, into: &left, onWork)
            try expected.read(part, into: &right, onWork)
            let (found, wanted) = unsafe (left.span.bytes, right.span.bytes)
            let range = 0..<part.count
            if let index = found.extracting(range).firstDifference(from: wanted.extracting(range)) {
                return ByteDifference(offset: start + index, found: left[index], expected: right[index])
            }
            start = part.upperBound
            progress(part.count)
            if isCancelled() { throw .interrupted }
        }
        return nil
    }

    private func read(
        _ bytes: Range<Int>, into buffer: inout [UInt8], _ onWork: WorkObserver
    ) throws(UserFacingError) {
        var span = buffer.mutableSpan
        var all = unsafe span.mutableBytes
        var room = all._mutatingExtracting(0..<bytes.count)
        try read(bytes, into: &room, onWork: onWork)
    }
}

extension RawSpan {
    /// The first place at which another span of the same length has another byte; nil when there is none.
    func firstDifference(from other: RawSpan) -> Int? {
        precondition(byteCount == other.byteCount, "spans of one length are compared")
        return unsafe withUnsafeBytes { one in
            unsafe other.withUnsafeBytes { other in
                guard let first = one.baseAddress, let second = other.baseAddress,
                    unsafe memcmp(first, second, one.count) != 0
                else { return nil }
                return one.indices.first { unsafe one[$0] != other[$0] }
            }
        }
    }
}
