internal import CSystemCalls
internal import Glibc
internal import Synchronization

/// A file opened to be read, closed when nothing refers to it any more.
///
/// Reads name their place, so any number of threads can share it. It stays readable when the path is
/// renamed or removed.
public final class InputFile: Sendable {
    /// Where it was opened.
    public let path: String
    /// The part of the path after its last slash.
    public let name: String
    /// Its size when it was opened, in bytes.
    public let size: Int
    /// What tells this version of the file from any other.
    public let identity: FileIdentity
    /// The open file, for copies inside the kernel.
    let descriptor: Int32
    private let isReadOnce = Atomic(false)

    /// Opens the file at `path`, following links.
    ///
    /// - Throws: ``UserFacingError`` when it can't be opened or is not a plain file.
    public convenience init(path: String) throws(UserFacingError) { try self.init(path: path, called: path) }

    /// Opens the file at `path`, which stands for what was called something else, such as a packed file.
    init(path: String, called name: String) throws(UserFacingError) {
        let opened = retrying { unsafe open(path, O_RDONLY | O_CLOEXEC) }
        guard opened >= 0 else { throw .file(.open, path) }
        var status = stat()
        let failure: Int32? =
            if unsafe fstat(opened, &status) != 0 {
                errno
            } else if status.st_mode & S_IFMT != S_IFREG {
                status.st_mode & S_IFMT == S_IFDIR ? EISDIR : EINVAL
            } else {
                nil
            }
        if let failure {
            close(opened)
            throw .file(.open, path, code: failure)
        }
        self.path = name
        self.name = Path.name(name)
        size = Int(status.st_size)
        identity = FileIdentity(status)
        descriptor = opened
    }

    deinit { close(descriptor) }

    /// Has reads from now on leave nothing in the system's memory that was not there before.
    ///
    /// For files that are read from one end to the other and not again: what others have in memory stays there, and the
    /// system need not find room, which can take longer than reading.
    func readOnce() { isReadOnce.store(true, ordering: .relaxed) }

    /// Fills `destination` from the bytes at `offset`.
    ///
    /// - Throws: ``UserFacingError`` when the file can't be read or ends too early.
    public func read(at offset: Int, into destination: inout MutableRawSpan) throws(UserFacingError) {
        let failure = unsafe destination.withUnsafeMutableBytes { unsafe self.fill($0, from: offset) }
        if let failure { throw failure }
    }

    /// The `count` bytes at `offset`.
    ///
    /// - Throws: ``UserFacingError`` when the file can't be read or ends too early.
    public func bytes(at offset: Int, count: Int) throws(UserFacingError) -> [UInt8] {
        // All empty arrays are one object, which threads would write at once.
        guard count > 0 else { return [] }
        var failure: UserFacingError?
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
            let whole = unsafe UnsafeMutableRawBufferPointer(start: buffer.baseAddress, count: count)
            failure = unsafe fill(whole, from: offset)
            initialized = failure == nil ? count : 0
        }
        if let failure { throw failure }
        return bytes
    }

    /// All bytes of the file.
    ///
    /// - Throws: ``UserFacingError`` when the file can't be read.
    public func bytes() throws(UserFacingError) -> [UInt8] { try bytes(at: 0, count: size) }

    private func fill(_ buffer: UnsafeMutableRawBufferPointer, from offset: Int) -> UserFacingError? {
        let isOnce = isReadOnce.load(ordering: .relaxed)
        let code = transferring(buffer.count) { done in
            let (rest, count) = unsafe (buffer.baseAddress?.advanced(by: done), buffer.count - done)
            return isOnce
                ? unsafe cs_read_once(descriptor, rest, count, Int64(offset + done))
                : unsafe pread(descriptor, rest, count, off_t(offset + done))
        }
        return code.map { UserFacingError.file(.read, path, code: $0) }
    }
}

/// What tells one version of a file from any other: device, inode, size and time of the last change.
public struct FileIdentity: Sendable, Hashable {
    let device: UInt64
    let inode: UInt64
    let size: Int
    let seconds: Int
    let nanoseconds: Int

    init(_ status: stat) {
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        size = Int(status.st_size)
        seconds = status.st_mtim.tv_sec
        nanoseconds = status.st_mtim.tv_nsec
    }

    /// The file at `path` as records have it: its name, its bytes, and when it was changed last.
    package func record(path: String) -> JSON {
        ["file": .string(path), "bytes": JSON(size), "modified": JSON(seconds)]
    }

    /// The file now at `path`; nil when there is none.
    init?(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        self.init(status)
    }
}
