public import ArgumentParser
public import Formats
internal import Foundation

/// Runs a command and turns its errors into one sentence on standard error and an exit code.
///
/// | exit code | meaning |
/// | --- | --- |
/// | 1 | the run failed, also with an error that is no `UserFacingError` |
/// | 2 | the input is not valid |
/// | 64 | the command line asks for something that cannot be |
/// | 75 | stopped after the time that it was given, and kept |
/// | 128 + n | stopped by signal n (SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXCPU) after saving |
///
/// What the libraries log is printed from here on, too.
///
/// - Parameter body: what the command does.
/// - Throws: `ExitCode`, or what the argument parser itself throws, which it prints together with the usage.
public func runReportingErrors(_ body: () throws -> Void) throws {
    DiagnosticLog.start()
    do {
        try body()
    } catch let error as UserFacingError {
        if error.isInterruption {
            report(error.message)
            // Without a signal it was told how long it may go on; 75 is EX_TEMPFAIL of sysexits.h, "try again later".
            throw ExitCode(Interruption.signal?.exitCode ?? 75)
        }
        report("error: \(error)")
        throw error.fault.exitCode
    } catch {
        // What the argument parser knows (exit codes, validation errors) is its own to print.
        if error is ExitCode || error is ValidationError || error is CleanExit { throw error }
        report("error: \(line(describing: error))")
        throw ExitCode.failure
    }
}

/// One line on an error that nobody has prepared for people.
func line(describing error: any Error) -> String {
    let text =
        switch error {
        case is any LocalizedError, is CocoaError, is POSIXError, is URLError: error.localizedDescription
        default: "\(error)"
        }
    return text.split(whereSeparator: \.isNewline).joined(separator: " ")
}

extension Fault {
    /// The exit code that a command ends with.
    public var exitCode: ExitCode {
        switch self {
        case .input: ExitCode(2)
        case .run: ExitCode(1)
        case .usage: ExitCode.validationFailure
        }
    }
}
