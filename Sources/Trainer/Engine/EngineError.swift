public import Formats

/// Why an engine cannot work.
public enum EngineError: UserFacingError, Equatable {
    /// The system has no memory for that many bytes.
    case outOfMemory(bytes: Int)
    /// OpenBLAS is not there, or not usable; `reason` is the loader's.
    case noBLAS(reason: String)
    /// The system would not start that many threads.
    case noThreads(count: Int)

    /// Whose fault it is.
    public var fault: Fault { .run }

    /// What is wrong and what to do.
    public var description: String {
        switch self {
        case .outOfMemory(let bytes):
            """
            the system refused \(bytes / 1_048_576) MiB of memory; \
            take a smaller --batch or --length, or a machine with more memory
            """
        case .noBLAS(let reason):
            "OpenBLAS cannot be loaded (\(reason)); install it, on Debian: apt-get install libopenblas0"
        case .noThreads(let count):
            "the system refused to start \(count) threads; ask for fewer with --threads"
        }
    }
}
