extension MutableRawSpan {
    /// Has parts of it filled by several threads at once.
    ///
    /// - Parameters:
    ///   - parts: the parts, in bytes from the start; none has bytes of another.
    ///   - body: given which part it is and its bytes; calls come in any order and at the same time.
    /// - Returns: what `body` returned of each part, in order.
    /// - Throws: of the errors the one of the first part, whatever the number of threads.
    mutating func fillConcurrently<Value: Sendable, Failure: Error>(
        _ parts: [Range<Int>], _ body: @Sendable (Int, inout MutableRawSpan) throws(Failure) -> Value
    ) throws(Failure) -> [Value] {
        precondition(
            zip(parts, parts.dropFirst()).allSatisfy { $0.upperBound <= $1.lowerBound },
            "parts are in order and apart")
        return try unsafe withUnsafeMutableBytes { (bytes) throws(Failure) in
            nonisolated(unsafe) let bytes = unsafe bytes
            return try mapConcurrently(parts.count, threads: parts.count) { (index) throws(Failure) in
                var part = unsafe MutableRawSpan(_unsafeBytes: .init(rebasing: bytes[parts[index]]))
                return try body(index, &part)
            }
        }
    }
}
