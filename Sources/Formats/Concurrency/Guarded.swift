private import Foundation

/// A value that one thread at a time may touch.
///
/// What the standard library's `Mutex` is, with a lock that the thread sanitizer knows, for what threads touch in
/// turn while they work.
package final class Guarded<Value: Sendable>: Sendable {
    private let lock = NSLock()
    nonisolated(unsafe) private var value: Value

    /// Guards a value.
    package init(_ value: Value) { unsafe self.value = value }

    /// Calls `body` with the value, which nobody else touches meanwhile.
    package func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        lock.withLock { unsafe body(&value) }
    }
}
