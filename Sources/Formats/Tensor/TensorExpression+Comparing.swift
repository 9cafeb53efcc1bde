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
    ///   - expected: what it should be.
    ///   - isCancelled: asked many times a second; true stops.
    ///   - progress: told as often how many more bytes have been compared.
    /// - Returns: the first difference; nil when there is none.
    /// - Throws: ``UserFacingError`` when either can't be read, or when it was stopped.
    public func firstDifference(
        from expected: TensorExpression, isCancelled: () -> Bool = { false },
        progress: (Int) -> Void = { _ in }
    ) throws(UserFacingError) -> ByteDifference? {
        precondition(
            type == expected.type && shape == expected.shape, "tensors of one type and shape are compared")
        let size = min(chunkSize(atMost: 4 << 20), max(byteCount, 1))
        var left = [UInt8](repeating: 0, count: size)
        var right = [UInt8](repeating: 0, count: size)
        var start = 0
        while start < byteCount {
            let part = start..<min(start + size, byteCount)
            try read(part, into: &left)
            try expected.read(part, into: &right)
            if let index = differingIndex(left, right, count: part.count) {
                return ByteDifference(
                    offset: start + index, found: left[index], expected: right[index])
            }
            start = part.upperBound
            progress(part.count)
            if isCancelled() { throw .interrupted }
        }
        return nil
    }

    private func read(_ bytes: Range<Int>, into buffer: inout [UInt8]) throws(UserFacingError) {
        var span = buffer.mutableSpan
        var all = unsafe span.mutableBytes
        var room = all._mutatingExtracting(0..<bytes.count)
        try read(bytes, into: &room)
    }

    private func differingIndex(_ left: [UInt8], _ right: [UInt8], count: Int) -> Int? {
        let isEqual = unsafe left.withUnsafeBytes { first in
            unsafe right.withUnsafeBytes { second in
                guard let one = first.baseAddress, let other = second.baseAddress else { return true }
                return unsafe memcmp(one, other, count) == 0
            }
        }
        return isEqual ? nil : (0..<count).first { left[$0] != right[$0] }
    }
}
