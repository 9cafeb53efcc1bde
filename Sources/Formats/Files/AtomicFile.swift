internal import Glibc

/// A file that is whole or not there: it is called `NAME.partial` until ``publish()`` gives it its name.
///
/// When the value goes away before that, nothing is left behind. A process that is killed leaves `NAME.partial`, which
/// the next one replaces; under the name itself stands what stood there before, or nothing.
package final class AtomicFile {
    /// Where it will be.
    package let path: String
    private let partial: String
    private let file: WritableFile
    private var isPublished = false

    /// Begins a file.
    ///
    /// - Parameter path: the file; one that exists is replaced at the end.
    /// - Throws: ``UserFacingError`` when it can't be made, or another process is making it.
    package init(path: String) throws(UserFacingError) {
        let partial = path + ".partial"
        let file = try WritableFile(path: partial)
        guard file.lock() else { throw .file(.lock, partial, code: EWOULDBLOCK) }
        try file.truncate(to: 0)
        // Only what has the lock is removed at the end.
        (self.path, self.partial) = (path, partial)
        self.file = file
    }

    deinit { if !isPublished { unsafe unlink(partial) } }

    /// Writes all of `bytes` at `offset`.
    package func write(_ bytes: RawSpan, at offset: Int) throws(UserFacingError) {
        try file.write(bytes, at: offset)
    }

    /// Cuts the file off, or extends it with zeros.
    package func truncate(to size: Int) throws(UserFacingError) { try file.truncate(to: size) }

    /// Makes the file durable and gives it its name; nothing can be written afterwards.
    package func publish() throws(UserFacingError) {
        precondition(!isPublished, "a file gets its name once")
        try file.synchronize()
        guard unsafe rename(partial, path) == 0 else { throw .file(.rename, path) }
        isPublished = true
        try FileSystem.synchronize(Path.parent(Path.absolute(path)))
    }

    /// Gives the file these bytes and its name.
    package func publish(_ bytes: [UInt8]) throws(UserFacingError) {
        unsafe try write(bytes.span.bytes, at: 0)
        try publish()
    }
}
