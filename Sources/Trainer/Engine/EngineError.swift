package import Formats

// Why an engine cannot work.
extension UserFacingError {
    /// The system has no memory for that many bytes.
    package static func outOfMemory(bytes: Int) -> Self {
        Self(
            .resources,
            """
            the system refused \(bytes / 1_048_576) MiB of memory; \
            take a smaller --batch or --length, or a machine with more memory
            """)
    }

    /// OpenBLAS is not there, or not usable; `reason` is the loader's.
    package static func noBLAS(reason: String) -> Self {
        Self(
            .resources,
            "OpenBLAS cannot be loaded (\(reason)); install it, on Debian: apt-get install libopenblas0")
    }

    /// The system would not start that many threads.
    package static func noThreads(count: Int) -> Self {
        Self(
            .resources,
            "the system refused to start \(count) threads; ask for fewer with --threads")
    }
}
