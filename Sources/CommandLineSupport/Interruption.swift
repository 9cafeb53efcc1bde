internal import Glibc
internal import Synchronization

/// A signal that asks a program to stop.
public enum StopSignal: Sendable, Equatable {
    /// SIGINT, as Ctrl-C sends it.
    case interrupt
    /// SIGTERM, as a machine that shuts down sends it.
    case terminate

    /// What the shell expects of a program that a signal stopped: 128 plus the signal's number.
    public var exitCode: Int32 {
        switch self {
        case .interrupt: 130
        case .terminate: 143
        }
    }
}

/// Signals that ask to stop, noted so that long work ends at its next safe point.
public enum Interruption {
    private static let received = Atomic<Int32>(0)

    /// From now on SIGINT and SIGTERM are noted instead of ending the program; the second one ends it at once.
    public static func watch() {
        received.store(0, ordering: .relaxed)
        // A parent whose thread blocks signals hands that on.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe sigaddset(&signals, SIGINT)
        unsafe sigaddset(&signals, SIGTERM)
        unsafe pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGINT, SIGTERM] {
            Glibc.signal(number) { number in
                Interruption.received.store(number, ordering: .relaxed)
                Glibc.signal(number, SIG_DFL)
            }
        }
    }

    /// The signal that came since `watch()`, if any.
    public static var signal: StopSignal? {
        switch received.load(ordering: .relaxed) {
        case SIGINT: .interrupt
        case SIGTERM: .terminate
        default: nil
        }
    }
}
