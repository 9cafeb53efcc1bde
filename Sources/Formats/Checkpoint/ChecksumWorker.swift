internal import Dispatch
internal import Synchronization

/// Makes the checksums of a result's sources while the result is written.
final class ChecksumWorker: Sendable {
    private let files: [InputFile]
    private let results: Mutex<[Int: Result<String, UserFacingError>]>
    private let isStopped = Atomic(false)
    private let group = DispatchGroup()

    /// Begins with the files whose checksum is not known, in order, on a thread of its own.
    init(_ files: [InputFile], known: [Int: String]) {
        self.files = files
        results = Mutex(known.mapValues { .success($0) })
        DispatchQueue.global().async(group: group) { [self] in
            for index in files.indices where results.withLock({ $0[index] }) == nil {
                if isStopped.load(ordering: .relaxed) { return }
                digest(index)
            }
        }
    }

    /// The checksums that are known by now.
    var known: [Int: String] {
        results.withLock { $0.compactMapValues { try? $0.get() } }
    }

    /// Stops, and waits until nothing is read any more.
    func stop() {
        isStopped.store(true, ordering: .relaxed)
        group.wait()
    }

    /// Waits for all checksums.
    ///
    /// - Throws: ``UserFacingError`` when a file can't be read, or when `isCancelled` stopped the waiting.
    func finish(isCancelled: () -> Bool) throws(UserFacingError) -> [String] {
        while group.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
            if isCancelled() { throw .interrupted }
        }
        let finished = results.withLock { $0 }
        var checksums: [String] = []
        for index in files.indices {
            if let checksum = try finished[index]?.get() { checksums.append(checksum) }
        }
        return checksums
    }

    private func digest(_ index: Int) {
        let result: Result<String, UserFacingError>
        do throws(UserFacingError) {
            result = .success(
                try FileDigest.sha256(files[index], isCancelled: { isStopped.load(ordering: .relaxed) }))
        } catch {
            if error.isInterruption { return }
            result = .failure(error)
        }
        results.withLock { $0[index] = result }
    }
}
