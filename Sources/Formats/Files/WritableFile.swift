internal import CSystemCalls
internal import Glibc

/// A file being written, closed when the value goes away.
package struct WritableFile: ~Copyable {
    /// How bytes get from one file into another, the best first.
    enum CopyMethod: Int { case copyFileRange, sendfile, buffered }

    /// Where it is.
    let path: String
    private let descriptor: Int32

    /// The most memory that bytes pass through.
    static let bufferSize = 8 << 20

    /// Opens the file at `path`, making it when it is not there; what it holds stays.
    package init(path: String) throws(UserFacingError) {
        descriptor = retrying { unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o666) }
        guard descriptor >= 0 else { throw .file(.create, path) }
        self.path = path
    }

    deinit { close(descriptor) }

    /// Its size now, in bytes.
    func size() throws(UserFacingError) -> Int {
        let end = lseek(descriptor, 0, SEEK_END)
        guard end >= 0 else { throw .file(.read, path) }
        return Int(end)
    }

    /// Everything in it.
    package func bytes() throws(UserFacingError) -> [UInt8] { try InputFile(path: path).bytes() }

    /// Writes all of `bytes` at `offset`.
    package func write(_ bytes: RawSpan, at offset: Int) throws(UserFacingError) {
        let code = unsafe bytes.withUnsafeBytes { buffer in
            transferring(buffer.count) { done in
                unsafe pwrite(
                    descriptor, buffer.baseAddress?.advanced(by: done), buffer.count - done,
                    off_t(offset + done))
            }
        }
        if let code { throw .file(.write, path, code: code) }
    }

    /// Copies a range of another file to `offset`, in the kernel where it can.
    ///
    /// - Parameters:
    ///   - range: what to copy.
    ///   - offset: where to.
    ///   - method: how to try it; becomes the next best when the file system refuses.
    ///   - buffer: what bytes pass through when they can't stay in the kernel; empty as long as they can.
    /// - Throws: ``UserFacingError`` when the source can't be read or the file not written.
    func copy(
        _ range: FileRange, to offset: Int, method: inout CopyMethod, buffer: inout [UInt8]
    ) throws(UserFacingError) {
        var done = 0
        while done < range.count {
            let copied: Int
            switch method {
            case .copyFileRange:
                copied = retrying {
                    cs_copy_file_range(
                        range.file.descriptor, Int64(range.offset + done), descriptor, Int64(offset + done),
                        range.count - done)
                }
            case .sendfile:
                guard lseek(descriptor, off_t(offset + done), SEEK_SET) >= 0 else {
                    throw .file(.write, path)
                }
                copied = retrying {
                    cs_sendfile(
                        descriptor, range.file.descriptor, Int64(range.offset + done), range.count - done)
                }
            case .buffered:
                if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.bufferSize) }
                copied = min(range.count - done, buffer.count)
                var span = buffer.mutableSpan
                var all = unsafe span.mutableBytes
                var room = all._mutatingExtracting(0..<copied)
                try range.file.read(at: range.offset + done, into: &room)
                try write(room.bytes, at: offset + done)
            }
            if copied > 0 {
                done += copied
            } else if let next = CopyMethod(rawValue: method.rawValue + 1),
                copied == 0 || Self.isRefusal(errno)
            {
                // Nothing copied may also mean that the source has shrunk, which reading it will tell.
                method = next
            } else {
                throw .file(.copy, path)
            }
        }
    }

    /// Whether an error means that files of this kind can't be copied this way, but perhaps another.
    private static func isRefusal(_ code: Int32) -> Bool {
        [EXDEV, EINVAL, ENOSYS, EOPNOTSUPP, EPERM, EBADF, ETXTBSY, EOVERFLOW].contains(code)
    }

    /// Takes the disk space that the file will need, so that it can't run out later.
    ///
    /// File systems that know no such thing are left as they are.
    func reserve(_ size: Int) throws(UserFacingError) {
        if size > 0 && cs_reserve(descriptor, Int64(size)) != 0 && (errno == ENOSPC || errno == EDQUOT) {
            throw .file(.reserve, path)
        }
    }

    /// Begins to write a part to the disk without waiting for it, so that ``synchronize()`` waits less.
    func startWriteback(_ bytes: Range<Int>) {
        _ = cs_start_writeback(descriptor, Int64(bytes.lowerBound), Int64(bytes.count))
    }

    /// Waits until everything written is durable.
    package func synchronize() throws(UserFacingError) {
        if retrying({ fsync(descriptor) }) != 0 { throw .file(.synchronize, path) }
    }

    /// Cuts the file off, or extends it with zeros.
    package func truncate(to size: Int) throws(UserFacingError) {
        if retrying({ ftruncate(descriptor, off_t(size)) }) != 0 { throw .file(.write, path) }
    }

    /// Claims the file until it is closed; false when another process has.
    package func lock() -> Bool { retrying { flock(descriptor, LOCK_EX | LOCK_NB) } == 0 }
}
