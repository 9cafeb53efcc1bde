internal import Glibc

/// What the system says of this process.
public enum ProcessUsage {
    /// The processor time of all threads, in seconds.
    public static var cpuSeconds: Double {
        let usage = usage()
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1e6 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    /// The most memory that it has held, in bytes.
    public static var peakMemoryBytes: Int { usage().ru_maxrss * 1_024 }

    private static func usage() -> rusage {
        var usage = rusage()
        unsafe getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return usage
    }
}
