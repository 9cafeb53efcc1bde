internal import Glibc

/// The stream of everything that is written for people: messages, plans, progress.
///
/// Standard output belongs to what a command reports, which another program may read.
public struct StandardError: TextOutputStream {
    /// The stream; it has no state of its own.
    public init() {}

    /// Writes a text at once, whole, unless nobody listens any more.
    public mutating func write(_ text: String) {
        var text = text
        text.withUTF8 { bytes in
            var written = 0
            while written < bytes.count {
                let count = unsafe Glibc.write(
                    STDERR_FILENO, bytes.baseAddress?.advanced(by: written), bytes.count - written)
                if count < 0 && errno == EINTR { continue }
                if count <= 0 { return }
                written += count
            }
        }
    }

    /// Whether a terminal shows this stream.
    public static var isTerminal: Bool { isatty(STDERR_FILENO) == 1 }

    /// How many characters a line of the terminal holds; 80 where that is not known.
    public static var columns: Int {
        var size = winsize()
        let status = unsafe ioctl(STDERR_FILENO, UInt(TIOCGWINSZ), &size)
        return status == 0 && size.ws_col > 0 ? Int(size.ws_col) : 80
    }
}

/// Prints a line for people on standard error.
public func report(_ line: String = "") {
    var stream = StandardError()
    print(line, to: &stream)
}

/// Prints a line on standard error that does not stop the command but which its user should know.
public func warn(_ message: String) {
    report("warning: \(message)")
}
