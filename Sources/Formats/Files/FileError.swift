internal import Glibc

/// A call on a file that the system refused.
public struct FileError: UserFacingError, Equatable {
    /// What was tried.
    public enum Operation: String, Sendable {
        case open, read, write, create, copy, list, lock, remove, rename
        case reserve = "reserve space for"
        case synchronize = "make durable"
    }

    /// What was tried.
    public let operation: Operation
    /// The path as the caller gave it.
    public let path: String
    /// The value of `errno`; 0 when the file ended before it should have.
    public let code: Int32

    /// Keeps what failed, and by default the reason the system has just given.
    public init(_ operation: Operation, _ path: String, code: Int32? = nil) {
        self.operation = operation
        self.path = path
        self.code = code ?? errno
    }

    /// The path, what was tried, and the system's own words.
    public var description: String {
        let reason =
            code == 0 ? "the file is shorter than when it was opened" : unsafe String(cString: strerror(code))
        let advice =
            code == ENOSPC || code == EDQUOT
            ? ". Free some space and run the same command again; it goes on where it stopped" : ""
        return "cannot \(operation.rawValue) \(path): \(reason)\(advice)"
    }

    /// A path that can't be opened is the input's fault, all else the run's.
    public var fault: Fault {
        switch (operation, code) {
        case (.open, _), (.list, _), (.read, 0), (.read, EISDIR): .input
        default: .run
        }
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
