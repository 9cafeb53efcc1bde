private import Dispatch
private import Synchronization

/// The results of `body` for 0 ..< `count`, in order, computed by several threads at once.
///
/// - Parameters:
///   - count: how many there are.
///   - threads: the most threads that work, the caller's included.
///   - body: computes one of them; calls come in any order and at the same time.
/// - Returns: the results.
/// - Throws: of the errors the one of the lowest number, whatever the number of threads.
package func mapConcurrently<Value: Sendable, Failure: Error>(
    _ count: Int, threads: Int, _ body: @Sendable (Int) throws(Failure) -> Value
) throws(Failure) -> [Value] {
    guard threads > 1, count > 1 else {
        var values: [Value] = []
        values.reserveCapacity(count)
        for index in 0..<count { values.append(try body(index)) }
        return values
    }
    let next = Atomic(0)
    let results = Guarded([(index: Int, result: Result<Value, Failure>)]())
    DispatchQueue.concurrentPerform(iterations: min(threads, count)) { _ in
        var own: [(index: Int, result: Result<Value, Failure>)] = []
        while true {
            let index = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard index < count else { break }
            do throws(Failure) {
                own.append((index, .success(try body(index))))
            } catch {
                own.append((index, .failure(error)))
                // Every lower number is taken already, so no earlier error is missed.
                next.store(count, ordering: .relaxed)
            }
        }
        results.withLock { $0 += own }
    }
    var values: [Value] = []
    values.reserveCapacity(count)
    for (_, result) in results.withLock({ $0 }).sorted(by: { $0.index < $1.index }) {
        values.append(try result.get())
    }
    return values
}
