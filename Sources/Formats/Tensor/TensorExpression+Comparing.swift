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

/// What comparing two tensors has shown.
public enum Comparison: Sendable, Equatable {
    /// All bytes are the same.
    case same
    /// They differ, here for the first time.
    case different(ByteDifference)
    /// It was stopped before either was known.
    case stopped
}

extension TensorExpression {
    /// The first byte that is not that of a tensor of the same type and shape.
    ///
    /// - Parameter expected: what it should be.
    /// - Returns: the first difference; nil when there is none.
    /// - Throws: ``TensorError`` when either can't be read.
    public func firstDifference(from expected: TensorExpression) throws(TensorError) -> ByteDifference? {
        guard case .different(let difference) = try compare(with: expected, progress: { _ in true }) else {
            return nil
        }
        return difference
    }

    /// Compares the bytes with those of a tensor of the same type and shape, a part at a time.
    ///
    /// - Parameters:
    ///   - expected: what it should be.
    ///   - progress: told how many more bytes have been compared, many times a second; false stops.
    /// - Returns: whether they are the same, unless it was stopped before that was known.
    /// - Throws: ``TensorError`` when either can't be read.
    public func compare(
        with expected: TensorExpression, progress: (Int) -> Bool
    ) throws(TensorError) -> Comparison {
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
                return .different(
                    ByteDifference(offset: start + index, found: left[index], expected: right[index]))
            }
            start = part.upperBound
            if !progress(part.count) { return .stopped }
        }
        return .same
    }

    private func read(_ bytes: Range<Int>, into buffer: inout [UInt8]) throws(TensorError) {
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
