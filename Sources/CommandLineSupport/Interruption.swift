internal import Glibc
internal import Synchronization

/// A signal that asks a program to stop.
public struct StopSignal: Sendable, Equatable {
    /// Its number.
    public let number: Int32

    /// The signal of that number.
    public init(number: Int32) { self.number = number }

    /// What the shell expects of a program that a signal stopped: 128 plus the signal's number.
    public var exitCode: Int32 { 128 + number }
}

/// Signals that ask to stop, noted so that long work ends at its next safe point.
public enum Interruption {
    private static let received = Atomic<Int32>(0)

    /// SIGINT is Ctrl-C, SIGTERM a machine that shuts down, SIGHUP a terminal or connection that ends; schedulers send
    /// SIGUSR1, and the system SIGXCPU, before a job's time is over.
    private static let numbers = [SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGXCPU]

    /// From now on these signals are noted instead of ending the program.
    ///
    /// A second SIGINT or SIGTERM ends it at once; the others may come again and again. A program that was started with
    /// SIGHUP ignored, as `nohup` does, goes on ignoring it. A pipe that nobody reads any more ends nothing.
    public static func watch() {
        received.store(0, ordering: .relaxed)
        Glibc.signal(SIGPIPE, SIG_IGN)
        // A parent whose thread blocks signals hands that on.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        for number in numbers { unsafe sigaddset(&signals, number) }
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in numbers where !(number == SIGHUP && isIgnored(number)) {
            Glibc.signal(number) { number in
                // The first is the one that stops the program.
                _ = Interruption.received.compareExchange(expected: 0, desired: number, ordering: .relaxed)
                if number == SIGINT || number == SIGTERM { Glibc.signal(number, SIG_DFL) }
            }
        }
    }

    /// The signal that came since `watch()`, if any.
    public static var signal: StopSignal? {
        let number = received.load(ordering: .relaxed)
        return number == 0 ? nil : StopSignal(number: number)
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard unsafe sigaction(number, nil, &action) == 0 else { return false }
        return unsafe unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
            == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
