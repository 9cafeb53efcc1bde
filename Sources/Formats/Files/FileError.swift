internal import Glibc

/// What can be tried with a file.
package enum FileOperation: String, Sendable {
    case open, read, write, create, copy, list, lock, remove, rename
    case reserve = "reserve space for"
    case synchronize = "make durable"
}

extension UserFacingError {
    /// A call on a file that the system refused.
    ///
    /// A path that can't be opened is the input's fault, all else the run's.
    ///
    /// - Parameters:
    ///   - operation: what was tried.
    ///   - path: the path as the caller gave it.
    ///   - code: the value of `errno`, by default the one that is set; 0 when the file ended before it should have.
    /// - Returns: the error, in the system's own words.
    package static func file(_ operation: FileOperation, _ path: String, code: Int32? = nil) -> Self {
        let code = code ?? errno
        let reason =
            code == 0 ? "the file is shorter than when it was opened" : unsafe String(cString: strerror(code))
        let advice =
            code == ENOSPC || code == EDQUOT
            ? ". Free some space and run the same command again; it goes on where it stopped" : ""
        let kind: Kind =
            switch (operation, code) {
            case (.open, _), (.list, _), (.read, 0), (.read, EISDIR): .unreadable(code: code)
            default: .system(code: code)
            }
        return Self(kind, "cannot \(operation.rawValue) \(path): \(reason)\(advice)")
    }
}

/// Repeats a system call that a signal interrupted.
func retrying<Result: SignedInteger>(_ call: () -> Result) -> Result {
    while true {
        let result = call()
        if result >= 0 || errno != EINTR { return result }
    }
}

/// Repeats a system call that moves a part of some bytes until all are moved.
///
/// - Parameters:
///   - count: how many bytes there are.
///   - call: moves some of those that are left, told how many are done.
/// - Returns: nil when all are moved, else `errno`; 0 when there was nothing more to move.
func transferring(_ count: Int, _ call: (_ done: Int) -> Int) -> Int32? {
    var done = 0
    while done < count {
        let moved = retrying { call(done) }
        if moved <= 0 { return moved < 0 ? errno : 0 }
        done += moved
    }
    return nil
}
