/// An error that a person at the terminal can act on.
///
/// Its description is one sentence that says where, what was found, what was expected and what to do.
public protocol UserFacingError: Error, CustomStringConvertible, Sendable {
    /// Whose fault it is, from which a command's exit code follows.
    var fault: Fault { get }
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
