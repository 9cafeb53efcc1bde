internal import CSystemCalls
internal import Glibc

/// What is done to folders as a whole.
package enum FileSystem {
    /// What stands at a path.
    package enum Kind { case file, folder, other }

    /// What stands at `path`, links followed; nil when nothing does.
    package static func kind(of path: String) -> Kind? {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return nil }
        switch status.st_mode & S_IFMT {
        case S_IFREG: return .file
        case S_IFDIR: return .folder
        default: return .other
        }
    }

    /// Whether anything stands at `path`, even a link that leads nowhere.
    package static func exists(_ path: String) -> Bool {
        var status = stat()
        return unsafe lstat(path, &status) == 0
    }

    /// The names in a folder, sorted by their bytes, without `.` and `..`.
    package static func names(_ path: String) throws(UserFacingError) -> [String] {
        guard let listing = unsafe opendir(path) else { throw .file(.list, path) }
        defer { unsafe closedir(listing) }
        var names: [String] = []
        while true {
            errno = 0
            guard let entry = unsafe readdir(listing) else { break }
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                unsafe pointer.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        guard errno == 0 else { throw .file(.list, path) }
        return names.sorted()
    }

    /// Why nothing can be made in a folder, as in "does not exist"; nil when it can.
    static func obstacle(toWritingIn path: String) -> String? {
        switch kind(of: path) {
        case nil: "does not exist"
        case .file, .other: "is not a folder"
        case .folder:
            unsafe access(path, W_OK | X_OK) == 0
                ? nil : unsafe "can't be written to (\(String(cString: strerror(errno))))"
        }
    }

    /// Makes a folder; one that is there already will do.
    package static func create(_ path: String) throws(UserFacingError) {
        if unsafe mkdir(path, 0o777) != 0 && errno != EEXIST { throw .file(.create, path) }
    }

    /// Removes a file, or a folder with all that is in it; links are removed, not followed.
    package static func remove(_ path: String) throws(UserFacingError) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            if unsafe unlink(path) != 0 { throw .file(.remove, path) }
            return
        }
        for name in try names(path) { try remove(Path.join(path, name)) }
        if unsafe rmdir(path) != 0 { throw .file(.remove, path) }
    }

    /// Lets this process open as many files as the system would let it.
    static func allowManyFiles() {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
    }

    /// Makes the folder's own list of names durable.
    static func synchronize(_ path: String) throws(UserFacingError) {
        let descriptor = retrying { unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
        guard descriptor >= 0 else { throw .file(.synchronize, path) }
        defer { close(descriptor) }
        if retrying({ fsync(descriptor) }) != 0 { throw .file(.synchronize, path) }
    }

    /// The bytes of all files in a folder and in those in it; 0 when it is not there.
    package static func byteCount(of path: String) -> Int {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return 0 }
        guard status.st_mode & S_IFMT == S_IFDIR else { return Int(status.st_size) }
        return ((try? names(path)) ?? []).reduce(0) { $0 + byteCount(of: Path.join(path, $1)) }
    }

    /// How many bytes can still be written to the disk that holds `path`.
    package static func freeSpace(_ path: String) -> Int? {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return nil }
        return Int(
            clamping: UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
                .partialValue)
    }
}

extension FileSystem {
    /// Renames a file or folder; fails when something stands at the new name.
    package static func rename(_ old: String, to new: String) throws(UserFacingError) {
        if unsafe cs_rename_new(old, new) == 0 { return }
        let code = errno
        guard code == EINVAL || code == ENOSYS else { throw .file(.rename, new, code: code) }
        // A file system that does not know the safe call: the check and the rename are two steps.
        if exists(new) { throw .file(.rename, new, code: EEXIST) }
        if unsafe Glibc.rename(old, new) != 0 { throw .file(.rename, new) }
    }

    /// Puts the file `new` in the place of what stands at `path`, if anything does, in one step.
    package static func replace(_ path: String, with new: String) throws(UserFacingError) {
        if unsafe Glibc.rename(new, path) != 0 { throw .file(.rename, path) }
    }

    /// Puts `new` in the place of `old`, which then stands where `new` was, in one step where the file
    /// system knows how, else in three by way of `aside`.
    static func exchange(_ new: String, with old: String, aside: String) throws(UserFacingError) {
        if unsafe cs_exchange(new, old) == 0 { return }
        let code = errno
        guard code == EINVAL || code == ENOSYS else { throw .file(.rename, old, code: code) }
        for (from, to) in [(old, aside), (new, old), (aside, new)] {
            if unsafe Glibc.rename(from, to) != 0 { throw .file(.rename, to) }
        }
    }

    /// The path with all links followed; nil when nothing stands there.
    package static func resolved(_ path: String) -> String? {
        guard let buffer = unsafe realpath(path, nil) else { return nil }
        defer { unsafe free(buffer) }
        return unsafe String(cString: buffer)
    }
}
