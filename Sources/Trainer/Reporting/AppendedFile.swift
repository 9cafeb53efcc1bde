internal import Formats

/// A file that grows; what finds no room is written with what comes next.
final class AppendedFile {
    private let file: WritableFile
    private var size: Int
    private var pending: [UInt8] = []

    /// Goes on with a file whose first `size` bytes stay.
    init(_ file: consuming WritableFile, keeping size: Int) throws(UserFacingError) {
        try file.truncate(to: size)
        self.file = file
        self.size = size
    }

    /// Writes bytes behind what is there, and before them what could not be written yet.
    func append(_ bytes: [UInt8]) throws(UserFacingError) {
        let bytes = pending + bytes
        pending = bytes
        unsafe try file.write(bytes.span.bytes, at: size)
        (size, pending) = (size + bytes.count, [])
    }

    /// Waits until everything is durable.
    func synchronize() throws(UserFacingError) {
        try append([])
        try file.synchronize()
    }
}
