internal import Formats
internal import CThreadPool
private import Synchronization

/// Threads that share out the pieces of one loop at a time.
@safe final class ThreadPool: Sendable {
    /// How many threads work, the caller's included.
    let threads: Int
    /// How long each kind of work has taken.
    let times = OperationTimes()
    nonisolated(unsafe) private let pool: OpaquePointer
    /// Whether a loop runs: the pool has room for one.
    private let busy = Atomic(false)

    /// Starts `threads` - 1 threads.
    init(threads: Int) throws(UserFacingError) {
        precondition(threads > 0)
        guard let pool = unsafe ctp_create(threads) else { throw .noThreads(count: threads) }
        unsafe self.pool = pool
        self.threads = threads
    }

    deinit { unsafe ctp_destroy(pool) }

    /// Calls `body` with each of 0 ..< `tasks` and the number of the thread, and returns when all are done.
    ///
    /// `body` may not touch what another task writes, and no loop may begin before the last has ended.
    func run(_ kind: OperationKind, _ tasks: Int, _ body: (_ task: Int, _ thread: Int) -> Void) {
        let wasBusy = busy.exchange(true, ordering: .acquiring)
        precondition(!wasBusy, "an engine carries out one operation at a time")
        defer { busy.store(false, ordering: .releasing) }
        times.measure(kind) { run(tasks, body) }
    }

    private func run(_ tasks: Int, _ body: (Int, Int) -> Void) {
        typealias Body = (Int, Int) -> Void
        withoutActuallyEscaping(body) { body in
            unsafe withUnsafePointer(to: body) { context in
                unsafe ctp_run(
                    pool, tasks,
                    { context, task, thread in
                        guard let context = unsafe context else { return }
                        unsafe context.assumingMemoryBound(to: Body.self).pointee(task, thread)
                    },
                    UnsafeMutableRawPointer(mutating: context))
            }
        }
    }

    /// Calls `body` with consecutive ranges that cover 0 ..< `count`.
    ///
    /// Where the ranges end depends on the arguments alone, never on the number of threads.
    ///
    /// `cost` is about how many values one element touches; pieces touch some 16,384.
    func forEachPiece(_ kind: OperationKind, of count: Int, cost: Int, _ body: (Range<Int>) -> Void) {
        let piece = max(1, 16_384 / max(cost, 1))
        run(kind, (count + piece - 1) / piece) { task, _ in
            body(task * piece..<min(count, (task + 1) * piece))
        }
    }
}
