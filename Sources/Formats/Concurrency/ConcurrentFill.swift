extension MutableRawSpan {
    /// Has its parts filled by several threads at once.
    ///
    /// - Parameters:
    ///   - size: how many bytes a part has; the last one may have fewer.
    ///   - body: given where a part lies, in bytes from the start, and its bytes; calls come in any order and at the
    ///     same time.
    /// - Returns: what `body` returned of each part, in order.
    /// - Throws: of the errors the one of the first part, whatever the number of threads.
    mutating func fillConcurrently<Value: Sendable, Failure: Error>(
        size: Int, _ body: @Sendable (Range<Int>, inout MutableRawSpan) throws(Failure) -> Value
    ) throws(Failure) -> [Value] {
        let (count, length) = ((byteCount + size - 1) / size, byteCount)
        return try unsafe withUnsafeMutableBytes { (bytes) throws(Failure) in
            // Each part is one call's alone.
            nonisolated(unsafe) let bytes = unsafe bytes
            return try mapConcurrently(count, threads: count) { (index) throws(Failure) in
                let range = index * size..<min((index + 1) * size, length)
                var part = unsafe MutableRawSpan(_unsafeBytes: .init(rebasing: bytes[range]))
                return try body(range, &part)
            }
        }
    }
}
