public import Formats

/// What a long run shows of itself on standard error: one line that is rewritten on a terminal, else a plain line
/// now and then, so that a log stays short.
public struct ProgressLine: Sendable {
    private let isTerminal: Bool
    private let interval: Duration
    private var last: ContinuousClock.Instant?
    private var isShown = false

    /// A line that shows nothing yet.
    ///
    /// - Parameters:
    ///   - plainInterval: the least time between two lines where there is no terminal. The first comes after it, so
    ///     that a quick run prints none.
    ///   - isTerminal: whether a terminal shows standard error.
    public init(plainInterval: Duration = .seconds(10), isTerminal: Bool = StandardError.isTerminal) {
        self.isTerminal = isTerminal
        interval = isTerminal ? .milliseconds(100) : plainInterval
        last = isTerminal ? nil : .now
    }

    /// Shows a text when enough time has passed since the last one.
    public mutating func update(_ text: @autoclosure () -> String) {
        let now = ContinuousClock.now
        if let last, now - last < interval { return }
        last = now
        show(text())
    }

    /// Shows a text at once.
    public mutating func show(_ text: String) {
        guard isTerminal else { return report(text) }
        var stream = StandardError()
        // Return to the line's start, write, and clear what an earlier, longer text left.
        stream.write("\r" + text.prefix(max(1, StandardError.columns - 1)) + "\u{1B}[K")
        isShown = true
    }

    /// Takes the line away, so that what follows starts on a clean one.
    public mutating func clear() {
        guard isShown else { return }
        var stream = StandardError()
        stream.write("\r\u{1B}[K")
        isShown = false
    }
}

/// How far a run of known length is, as a progress line tells it.
public struct ProgressMeter: Sendable {
    private let start = ContinuousClock.now

    /// A meter that starts now.
    public init() {}

    /// The seconds since the start.
    public var seconds: Double {
        (ContinuousClock.now - start) / .seconds(1)
    }

    /// How many units were done a second.
    public func rate(done: Int) -> Double {
        let seconds = seconds
        return seconds > 0 ? Double(done) / seconds : 0
    }

    /// The seconds that remain at the pace so far; nil before anything was done.
    public func secondsLeft(done: Int, of total: Int) -> Double? {
        guard done > 0 else { return nil }
        return seconds * Double(total - done) / Double(done)
    }

    /// "1.2 GB of 4.6 GB (26 %), 1.1 GB/s, 3.1 s left".
    public func bytes(done: Int, of total: Int) -> String {
        bytes(ByteProgress(done: done, total: total, work: (done, total)))
    }

    /// The same, where the time that is left follows from the share of the work.
    public func bytes(_ progress: ByteProgress) -> String {
        let percent = progress.total > 0 ? Int(Double(progress.done) / Double(progress.total) * 100) : 100
        let text = "\(Units.bytes(progress.done)) of \(Units.bytes(progress.total)) (\(percent) %)"
        guard progress.share > 0 else { return text }
        let left = seconds * (1 - progress.share) / progress.share
        return text
            + ", \(Units.bytes(Int(rate(done: progress.done))))/s, \(Units.duration(seconds: left)) left"
    }
}
