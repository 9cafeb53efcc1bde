extension JSON {
    /// The value as text that is laid out as another text of JSON is: indented as much, with a line end or without.
    ///
    /// - Parameter original: the file before it was changed.
    /// - Returns: the file's new bytes.
    package func serialized(laidOutLike original: [UInt8]) -> [UInt8] {
        let ending = original.last == UInt8(ascii: "\n") ? [UInt8(ascii: "\n")] : []
        return serialized(indent: indentation(of: original)) + ending
    }
}

/// How many spaces the first line that is indented begins with; nil when there is but one line.
private func indentation(of bytes: [UInt8]) -> Int? {
    guard let line = bytes.firstIndex(of: UInt8(ascii: "\n")), line + 1 < bytes.count else { return nil }
    let spaces = bytes[(line + 1)...].prefix { $0 == UInt8(ascii: " ") }.count
    return spaces == 0 ? 2 : spaces
}
