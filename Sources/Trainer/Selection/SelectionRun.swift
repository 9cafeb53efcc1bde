internal import Formats
internal import Synchronization

/// What the passes of a selection have in common: the texts, the settings, the work folder and the threads.
///
/// A pass reads the documents in order, a part at a time, and leaves what it finds of each in a file a part: a verdict, keys, a
/// score. What is whole there is not done again. The ledger is made of all of them.
struct SelectionRun: Sendable {
    let parts: TextParts
    /// What the files are called in the ledger.
    let fileNames: [String]
    let settings: SelectionSettings
    let threads: Int
    let places: SelectionPlaces
    let work: SelectionWork

    /// A document, as it is met in a part.
    struct Document {
        let batch: DocumentBatch
        /// Its place in the batch.
        let place: Int
        /// Its number in its part.
        let index: Int
        let text: [UInt8]
    }

    /// Does something for every part, by all threads.
    func forEachPart(
        _ stage: TextSelection.Stage, _ body: @Sendable (Int) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        _ = try work.map(stage, parts.count, threads: threads) { part throws(UserFacingError) in
            try body(part)
            work.advance(parts.byteCount(part))
        }
    }

    /// Does something for one part after the other.
    func forEachPartInOrder(
        _ stage: TextSelection.Stage, _ body: (Int) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        work.begin(stage)
        for part in 0..<parts.count {
            try work.check()
            try body(part)
            work.advance(parts.byteCount(part))
        }
    }

    /// Reads the documents of a part in order.
    ///
    /// - Parameters:
    ///   - part: which.
    ///   - findings: is told what was there.
    ///   - visit: is given each document.
    /// - Returns: how many lines or rows the part has.
    /// - Throws: ``UserFacingError`` when the file can't be read or when the run was stopped, and what `visit` throws.
    func forEachDocument(
        of part: Int, noting findings: inout TextFindings,
        _ visit: (Document) throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> Int {
        var (index, lines) = (0, 0)
        try parts.forEachBatch(of: part) { batch throws(UserFacingError) in
            for place in batch.parts.indices {
                try work.check()
                guard let text = try batch.text(place, noting: &findings) else { continue }
                try visit(Document(batch: batch, place: place, index: index, text: text))
                index += 1
            }
            lines += batch.parts.count
        }
        return lines
    }

    /// The key of a document, which orders as the files do.
    static func key(_ part: Int, _ index: Int) -> UInt64 { UInt64(part) << 32 | UInt64(index) }
}

/// Where things stand that belong to an output.
struct SelectionPlaces: Sendable {
    let output: String
    var folder: String { output + ".run" }
    var ledger: String { output + ".ledger" }
    var report: String { output + ".report.json" }
    var settings: String { file("settings.json") }
    /// The ledger until all is whole.
    var newLedger: String { file("ledger") }
    func triples(_ file: Int, _ wording: Int) -> String { self.file("triples-\(file)-\(wording).jsonl") }
    func part(_ number: Int) -> String { file("\(number).part") }
    func units(_ number: Int) -> String { file("\(number).units") }
    func scores(_ number: Int) -> String { file("\(number).scores") }
    func measures(_ number: Int) -> String { file("\(number).measures") }
    func embeddings(_ number: Int) -> String { file("\(number).embeddings") }
    func topics(_ number: Int) -> String { file("\(number).topics") }
    func file(_ name: String) -> String { Path.join(folder, name) }
}

/// What the threads of a run have in common.
final class SelectionWork: Sendable {
    private let total: Int
    private let isCancelled: @Sendable () -> Bool
    private let progress: @Sendable (TextSelection.Stage, Int, Int) -> Void
    private let done = Atomic(0)
    private let wasStopped = Atomic(false)
    private let state = Guarded<(stage: TextSelection.Stage, failure: UserFacingError?)>((.documents, nil))

    init(
        total: Int, _ isCancelled: @escaping @Sendable () -> Bool,
        _ progress: @escaping @Sendable (TextSelection.Stage, Int, Int) -> Void
    ) {
        (self.total, self.isCancelled, self.progress) = (total, isCancelled, progress)
    }

    /// Makes something of each of a count of things, by all threads; where one fails, the others stop as well.
    ///
    /// - Throws: the first failure, not those that followed from it.
    func map<Made: Sendable>(
        _ stage: TextSelection.Stage, _ count: Int, threads: Int,
        _ make: @Sendable (Int) throws(UserFacingError) -> Made
    ) throws(UserFacingError) -> [Made] {
        begin(stage)
        do throws(UserFacingError) {
            return try mapConcurrently(count, threads: threads) { index throws(UserFacingError) in
                do throws(UserFacingError) {
                    try check()
                    return try make(index)
                } catch {
                    throw stop(error)
                }
            }
        } catch {
            throw state.withLock { $0.failure } ?? error
        }
    }

    func begin(_ stage: TextSelection.Stage) {
        state.withLock { $0.stage = stage }
        done.store(0, ordering: .relaxed)
        progress(stage, 0, total)
    }

    func advance(_ bytes: Int) {
        progress(state.withLock { $0.stage }, done.wrappingAdd(bytes, ordering: .relaxed).newValue, total)
    }

    /// Whether the run was stopped.
    var isStopped: Bool { wasStopped.load(ordering: .relaxed) || isCancelled() }

    /// Stops a thread where the run was stopped.
    func check() throws(UserFacingError) {
        guard isStopped else { return }
        throw .interrupted(" while \(state.withLock { $0.stage }.rawValue); the same command goes on")
    }

    /// Has the other threads stop as well.
    private func stop(_ error: UserFacingError) -> UserFacingError {
        state.withLock { $0.failure = $0.failure ?? error }
        wasStopped.store(true, ordering: .relaxed)
        return error
    }
}
