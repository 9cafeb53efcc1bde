internal import Glibc

/// An empty file in the system's folder for temporary files (`TMPDIR`), removed with the value.
struct TemporaryFile: ~Copyable {
    /// Where it is.
    let path: String

    /// Makes one.
    ///
    /// - Throws: ``UserFacingError`` when the folder can't be written to.
    init() throws(UserFacingError) {
        let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? ""
        let pattern = Path.join(folder.isEmpty ? "/tmp" : folder, "surgery-XXXXXX")
        var name = pattern.utf8CString.map(\.self)
        let descriptor = unsafe mkstemp(&name)
        guard descriptor >= 0 else { throw .file(.create, pattern) }
        close(descriptor)
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { _ = unsafe unlink(path) }
}
