/// A run of bytes in a file.
public struct FileRange: Sendable {
    /// The file, open.
    public let file: InputFile
    /// Where the run begins, in bytes from the file's start.
    public let offset: Int
    /// How many bytes it has.
    public let count: Int

    /// A run of `count` bytes that begins at `offset` of `file`.
    public init(file: InputFile, offset: Int, count: Int) {
        precondition(offset >= 0 && count >= 0, "a range of a file begins and counts from 0 on")
        self.file = file
        self.offset = offset
        self.count = count
    }

    /// The part of the run at `bytes`, counted from the run's own start.
    public func extracting(_ bytes: Range<Int>) -> FileRange {
        precondition(bytes.lowerBound >= 0 && bytes.upperBound <= count, "a part lies inside its range")
        return FileRange(file: file, offset: offset + bytes.lowerBound, count: bytes.count)
    }
}
