#if canImport(Glibc)
private import Glibc
#else
private import Darwin
#endif

/// Why a file could not be read, in the system's words.
struct ReadFailure: Error { let reason: String }

/// A file's bytes, in one read where the system allows it.
func contents(of path: String) throws(ReadFailure) -> [UInt8] {
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    guard descriptor >= 0 else { throw ReadFailure(reason: reasonOfLastFailure()) }
    defer { close(descriptor) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw ReadFailure(reason: reasonOfLastFailure()) }
    guard status.st_mode & S_IFMT != S_IFDIR else {
        throw ReadFailure(reason: "it is a folder; name a file")
    }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size) + 1)
    var count = 0
    while true {
        if count == bytes.count { bytes.append(contentsOf: repeatElement(0, count: bytes.count)) }
        let chunk = unsafe bytes.withUnsafeMutableBytes { buffer in
            unsafe read(descriptor, buffer.baseAddress?.advanced(by: count), buffer.count - count)
        }
        if chunk < 0, errno == EINTR { continue }
        guard chunk >= 0 else { throw ReadFailure(reason: reasonOfLastFailure()) }
        if chunk == 0 { break }
        count += chunk
    }
    bytes.removeLast(bytes.count - count)
    return bytes
}

/// The system's words for what went wrong last.
private func reasonOfLastFailure() -> String {
    let code = errno
    guard let words = unsafe strerror(code) else { return "error \(code)" }
    return unsafe String(cString: words)
}
