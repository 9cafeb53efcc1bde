internal import Foundation

/// The processor that a command runs on.
public enum Processor {
    /// How many threads it runs at the same time.
    public static var count: Int { ProcessInfo.processInfo.activeProcessorCount }
}
