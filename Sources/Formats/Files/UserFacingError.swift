internal import Glibc

/// An error that a person at the terminal can act on: the one error type of all libraries.
///
/// Each concern makes its errors in an extension of this type, one function a fault, beside the code that throws them.
public struct UserFacingError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What went wrong, as far as a program can act on it.
    public enum Kind: Sendable, Equatable {
        /// What was named, or what is needed, is not there.
        case missing
        /// A file breaks the rules of its format.
        case malformed
        /// Something valid that this program has no way to handle.
        case unsupported
        /// Two things that should belong together contradict each other.
        case inconsistent
        /// The command line asks for something that cannot be.
        case request
        /// A path that can't be opened or listed, with the system's `errno`; 0 when a file ended too early.
        case unreadable(code: Int32)
        /// A file holds infinity, or what is no number, where training and evaluation need numbers.
        case notFinite
        /// Another call that the system refused, with its `errno`.
        case system(code: Int32)
        /// The machine lacks what the run needs: memory, room on a disk, threads or a library.
        case resources
        /// Another process is at work on the same output.
        case busy
        /// The run was stopped.
        case interrupted
        /// A number that training made is not finite.
        case diverged
    }

    /// What went wrong.
    public let kind: Kind
    /// One sentence that says where, what was found, what was expected and what to do.
    public let message: String
    /// What was being done, the outermost first; it stands before the message.
    public private(set) var context: [String] = []

    /// An error.
    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }

    /// Whose fault it is, from which a command's exit code follows.
    public var fault: Fault {
        switch kind {
        case .missing, .malformed, .unsupported, .inconsistent, .unreadable, .notFinite: .input
        case .request: .usage
        case .system, .resources, .busy, .interrupted, .diverged: .run
        }
    }

    /// The context and the message, divided by colons.
    public var description: String { (context + [message]).joined(separator: ": ") }

    /// The same error, told by the one who knows what was being done.
    package func within(_ context: String) -> Self {
        var error = self
        error.context.insert(context, at: 0)
        return error
    }
}

/// Whose fault an error is.
public enum Fault: Sendable, Equatable {
    /// What was given to work on is not valid: exit code 2.
    case input
    /// The run itself failed, as when a disk is full: exit code 1.
    case run
    /// The command line asks for something that cannot be: exit code 64.
    case usage
}

extension UserFacingError {
    /// The run was stopped; what of it is kept, or that nothing is, stands after that word.
    package static func interrupted(_ what: String) -> Self { Self(.interrupted, "stopped\(what)") }

    /// A computation of tensors was stopped, which whoever asked for it says better.
    package static var interrupted: Self { .interrupted(" before the result was known") }

    /// Whether a disk has no room for what was to be written.
    package var isLackOfRoom: Bool {
        switch kind {
        case .resources: true
        case .system(let code): code == ENOSPC || code == EDQUOT
        default: false
        }
    }

    /// Whether it says no more than that the run was stopped.
    package var isInterruption: Bool { kind == .interrupted }
}
