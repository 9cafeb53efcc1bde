public import Formats
internal import Synchronization

/// Chooses documents of files of any size: cleans them, asks rules, leaves out what stands there twice or nearly so, and what
/// holds texts of evaluations.
///
/// Passes over the ``TextParts`` of the files, each on all threads: units that repeat, where they are asked for; every document
/// by itself; keys that are the same, sorted on the disk; writing. What a pass knows lies in a folder beside the output, a file
/// a part, so a run that was killed goes on, and the output is the same bytes on any number of threads. Memory holds a part and
/// a document a thread, about 20 bytes a document, and the evaluation texts.
///
/// A pass that gives documents a score, as of relevance, would stand between comparing and writing.
public struct TextSelection: Sendable {
    private let parts: TextParts
    private let settings: SelectionSettings
    private let threads: Int
    private let tool: String
    private let contamination: Contamination?

    /// The bytes of a part, on which what is in the work folder depends, and not the output.
    private static let partSize = 8 << 20

    /// Finds the files, and reads the evaluation texts.
    ///
    /// - Parameters:
    ///   - files: files, folders or patterns; nothing that can be read only once.
    ///   - settings: what is selected.
    ///   - threads: how many threads work.
    ///   - tool: name and version of what writes.
    /// - Throws: ``UserFacingError`` naming the file that can't be read.
    public init(
        of files: [String], _ settings: SelectionSettings, threads: Int, tool: String
    ) throws(UserFacingError) {
        try self.init(of: files, settings, threads: threads, tool: tool, partSize: Self.partSize)
    }

    init(
        of files: [String], _ settings: SelectionSettings, threads: Int, tool: String, partSize: Int
    ) throws(UserFacingError) {
        parts = try TextParts(files, options: settings.textOptions, partSize: partSize)
        guard parts.count > 0 else { throw .noDocuments(paths: files) }
        (self.settings, self.threads, self.tool) = (settings, max(1, threads), tool)
        var options = settings.textOptions
        options.textKey = settings.evaluationKey
        contamination =
            settings.evaluations.isEmpty
            ? nil
            : try Contamination(
                settings.evaluations, options: options, threshold: settings.contaminationShare)
    }

    /// What a run is doing.
    public enum Stage: String, Sendable {
        case units = "looking for repeated lines"
        case documents = "reading"
        case keys = "comparing"
        case output = "writing"
    }

    /// Where things stand that belong to an output.
    struct Places {
        let output: String
        var folder: String { output + ".run" }
        var ledger: String { output + ".ledger" }
        var report: String { output + ".report.json" }
        var settings: String { Path.join(folder, "settings.json") }
        func part(_ number: Int) -> String { Path.join(folder, "\(number).part") }
        func units(_ number: Int) -> String { Path.join(folder, "\(number).units") }
        func file(_ name: String) -> String { Path.join(folder, name) }
    }

    /// Writes the documents that are chosen, the ledger and the report.
    ///
    /// - Parameters:
    ///   - output: the file, whose names with `.ledger`, `.report.json` and `.run` are taken as well.
    ///   - replaces: whether what is there is replaced; else a run that was stopped goes on.
    ///   - isCancelled: asked now and then, by several threads; true ends the run, and what is whole stays.
    ///   - progress: is given what is done, and how many bytes of how many, by several threads.
    /// - Returns: the report.
    /// - Throws: ``UserFacingError`` when something can't be read or written, when it was stopped, or when the folder of a
    ///   run that was stopped holds what was made otherwise.
    public func write(
        to output: String, replaces: Bool = false, isCancelled: @Sendable @escaping () -> Bool = { false },
        progress: @Sendable @escaping (Stage, _ done: Int, _ total: Int) -> Void = { _, _, _ in }
    ) throws(UserFacingError) -> SelectionReport {
        let places = Places(output: output)
        guard replaces || FileSystem.kind(of: output) == nil else { throw .outputExists(path: output) }
        let sources = parts.files.map(\.path) + settings.evaluations.map(\.path)
        if let there = FileSystem.resolved(output),
            sources.contains(where: { FileSystem.resolved($0) == there })
        {
            throw .outputIsSource(path: output)
        }
        let lock = try begin(places, replaces: replaces)
        let work = SelectionWork(
            total: (0..<parts.count).reduce(0) { $0 + parts.byteCount($1) }, isCancelled, progress)
        let cleaner = TextCleaner(settings.cleaning, repeated: try repeatedUnits(places, work))
        try examineAll(places, cleaner, work)
        let clusters = try compared(places, work)
        let plan = try writeLedger(places, clusters)
        try writeOutput(places, plan, cleaner, work)
        try AtomicFile(path: places.report).publish(plan.report.json.serialized())
        try FileSystem.replace(output, with: places.file("output"))
        try FileSystem.remove(places.folder)
        _ = consume lock
        return plan.report
    }

    /// Takes the work folder over, or makes it.
    private func begin(_ places: Places, replaces: Bool) throws(UserFacingError) -> WorkLock {
        let sources = parts.files.map { file -> JSON in
            ["file": .string(file.path), "bytes": JSON(file.size), "modified": JSON(file.modified)]
        }
        let wanted: JSON = [
            "tool": .string(tool), "settings": settings.json, "sources": .array(sources),
            "against": .array(contamination?.files ?? []),
        ]
        try FileSystem.create(places.folder)
        let lock = try WorkLock(path: places.file("lock"))
        if FileSystem.exists(places.settings) {
            if try JSON.read(path: places.settings) == wanted { return lock }
            guard replaces else { throw .otherSelection(folder: places.folder) }
        }
        for name in try FileSystem.names(places.folder) where name != "lock" {
            try FileSystem.remove(places.file(name))
        }
        try AtomicFile(path: places.settings).publish(wanted.serialized())
        return lock
    }

    /// Does something for every part, by all threads.
    private func forEachPart(
        _ stage: Stage, _ work: SelectionWork, _ body: @Sendable (Int) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        work.begin(stage)
        do throws(UserFacingError) {
            _ = try mapConcurrently(parts.count, threads: threads) { part throws(UserFacingError) in
                do throws(UserFacingError) {
                    try work.check()
                    try body(part)
                    work.advance(parts.byteCount(part))
                } catch {
                    throw work.stop(error)
                }
            }
        } catch {
            throw work.failure ?? error
        }
    }

    /// The key of a document, which orders as the files do.
    private static func key(_ part: Int, _ index: Int) -> UInt64 { UInt64(part) << 32 | UInt64(index) }

    // MARK: Units

    /// Lines and paragraphs that are to be taken away; nil where none are asked for.
    private func repeatedUnits(_ places: Places, _ work: SelectionWork) throws(UserFacingError)
        -> RepeatedUnits?
    {
        guard settings.boilerplate != nil || settings.dropsParagraphs else { return nil }
        let (linePath, paragraphPath) = (places.file("lines"), places.file("paragraphs"))
        if !FileSystem.exists(linePath) || !FileSystem.exists(paragraphPath) {
            try forEachPart(.units, work) { part throws(UserFacingError) in
                guard !FileSystem.exists(places.units(part)) else { return }
                try collectUnits(of: part, to: places.units(part), work)
            }
            let size = (0..<parts.count).reduce(0) { $0 + FileSystem.byteCount(of: places.units($1)) }
            for (path, isParagraph, least) in [
                (linePath, false, settings.boilerplate ?? .max), (paragraphPath, true, 2),
            ] {
                let buckets = try KeyBuckets(path: path + ".keys", expecting: size / 12)
                for part in 0..<parts.count {
                    try forEachUnit(in: places.units(part)) { hash, index throws(UserFacingError) in
                        guard hash & 1 == (isParagraph ? 1 : 0) else { return }
                        try buckets.append(hash & ~1, Self.key(part, Int(index)))
                    }
                    try work.check()
                }
                try HashTable.write(to: path, try buckets.finish(), least: least, threads: threads)
            }
            for part in 0..<parts.count { try FileSystem.remove(places.units(part)) }
        }
        return RepeatedUnits(
            lines: settings.boilerplate == nil ? nil : try HashTable(path: linePath),
            paragraphs: settings.dropsParagraphs ? try HashTable(path: paragraphPath) : nil)
    }

    /// Writes the hashes of a part's lines and paragraphs, each once a document, with the document's number.
    private func collectUnits(of part: Int, to path: String, _ work: SelectionWork) throws(UserFacingError) {
        let file = try AtomicFile(path: path)
        let cleaner = TextCleaner(settings.cleaning)
        var (bytes, written, index): ([UInt8], Int, UInt32) = ([], 0, 0)
        var counts = TextCleaner.Counts()
        try parts.forEachBatch(of: part) { batch throws(UserFacingError) in
            var findings = TextFindings()
            for place in batch.parts.indices {
                guard let source = try batch.text(place, noting: &findings) else { continue }
                try work.check()
                let text = cleaner.normalized(source, counting: &counts)
                var hashes: Set<UInt64> = []
                if settings.boilerplate != nil {
                    for line in RepeatedUnits.lines(of: text) where line.hash != 0 {
                        hashes.insert(line.hash & ~1)
                    }
                }
                if settings.dropsParagraphs {
                    for paragraph in RepeatedUnits.paragraphs(of: text) where paragraph.hash != 0 {
                        hashes.insert(paragraph.hash | 1)
                    }
                }
                for hash in hashes {
                    bytes.append(number: hash)
                    bytes.append(number: index)
                }
                index += 1
                if bytes.count > 1 << 20 {
                    try file.write(bytes, at: written)
                    written += bytes.count
                    bytes.removeAll(keepingCapacity: true)
                }
            }
        }
        try file.write(bytes, at: written)
        try file.publish()
    }

    private func forEachUnit(
        in path: String, _ visit: (UInt64, UInt32) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        let input = try InputFile(path: path)
        for start in stride(from: 0, to: input.size, by: 12 << 16) {
            let bytes = try input.bytes(at: start, count: min(12 << 16, input.size - start))
            var place = 0
            while place < bytes.count {
                let hash: UInt64 = bytes.number(at: &place)
                try visit(hash, bytes.number(at: &place))
            }
        }
    }

    // MARK: Documents

    private func examineAll(
        _ places: Places, _ cleaner: TextCleaner, _ work: SelectionWork
    ) throws(UserFacingError) {
        let minHash = MinHash()
        try forEachPart(.documents, work) { part throws(UserFacingError) in
            guard !FileSystem.exists(places.part(part)) else { return }
            let writer = try SelectionPartWriter(path: places.part(part))
            var examiner = DocumentExaminer(settings, cleaner, contamination, minHash)
            var figures = PartFigures()
            try parts.forEachBatch(of: part) { batch throws(UserFacingError) in
                for place in batch.parts.indices {
                    try work.check()
                    guard let text = try batch.text(place, noting: &figures.findings) else { continue }
                    let found = examiner.examine(text, key: Self.key(part, writer.total))
                    figures.textBytes += text.count
                    if found.isChanged { figures.changed += 1 }
                    let length = found.code == 0 ? batch.record(place, text: found.text).count : 0
                    try writer.append(found, line: batch.line(of: place) - 1, length: length)
                }
                figures.lines += batch.parts.count
            }
            figures.cleaned = examiner.counts
            try writer.finish(figures)
        }
    }

    // MARK: Keys

    /// Which documents are the same, and which nearly so.
    private func compared(_ places: Places, _ work: SelectionWork) throws(UserFacingError) -> Clusters {
        work.begin(.keys)
        // How many documents, and how many of them are compared.
        var starts = [0]
        var compared = 0
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            var count = 0
            while let block = try reader.next() {
                count += block.documents.count
                compared += block.keys.count
            }
            starts.append((starts.last ?? 0) + count)
        }
        let total = starts.last ?? 0
        guard total < Int(SelectionLedger.noDocument) else { throw .tooManyDocuments(total) }
        var clusters = Clusters(count: total, starts: starts)
        if settings.dropsDuplicates {
            clusters = try joined(clusters, places, work, keys: compared) {
                $0.fingerprint == .none ? [] : [$0.fingerprint]
            }
            clusters.keepAsDuplicates()
        }
        if settings.dropsNearDuplicates {
            clusters = try joined(clusters, places, work, keys: compared * MinHash.bands) { $0.bands }
        }
        return clusters
    }

    /// Joins documents that have a key in common.
    private func joined(
        _ clusters: Clusters, _ places: Places, _ work: SelectionWork, keys count: Int,
        _ keys: (DocumentKeys) -> [Fingerprint]
    ) throws(UserFacingError) -> Clusters {
        let buckets = try KeyBuckets(path: places.file("keys"), expecting: count)
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            while let block = try reader.next() {
                for document in block.keys {
                    let number = clusters.starts[part] + Int(document.index)
                    guard !clusters.isDuplicate(number) else { continue }
                    for print in keys(document) {
                        try buckets.append(print.high, UInt64(print.low) << 32 | UInt64(number))
                    }
                }
            }
            try work.check()
        }
        let reading = try buckets.finish()
        let guarded = Guarded(clusters)
        _ = try mapConcurrently(reading.count, threads: threads) { bucket throws(UserFacingError) in
            try work.check()
            var table = PairTable(for: reading.pairCount(bucket))
            var edges: [(UInt32, UInt32)] = []
            try reading.forEach(of: bucket) { key, value in
                let number = UInt32(truncatingIfNeeded: value)
                if let first = table.first(key, UInt32(truncatingIfNeeded: value >> 32), number) {
                    edges.append((first, number))
                }
            }
            guarded.withLock { clusters in
                for (first, number) in edges { clusters.join(Int(first), Int(number)) }
            }
        }
        return guarded.withLock { $0 }
    }

    // MARK: Results

    /// What is left to be done when every document's fate is known.
    private struct Plan {
        let ledger: SelectionLedger
        /// Where each part's documents begin, in the ledger and in the output.
        let starts: [Int]
        let offsets: [Int]
        var report: SelectionReport
    }

    private func writeLedger(_ places: Places, _ clusters: Clusters) throws(UserFacingError) -> Plan {
        var report = SelectionReport(settings, tool: tool)
        var (ledgerParts, firstLine, lastFile): ([SelectionLedger.Part], Int, Int) = ([], 1, -1)
        var found = [Bool](repeating: false, count: contamination?.runCount ?? 0)
        let file = try AtomicFile(path: places.ledger)
        // The header's size depends on where parts begin, so parts are gone through once more before the records.
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            while try reader.next() != nil {}
            let number = parts.fileNumber(of: part)
            if number != lastFile { (firstLine, lastFile) = (1, number) }
            ledgerParts.append(
                SelectionLedger.Part(file: number, firstDocument: clusters.starts[part], firstLine: firstLine)
            )
            guard let figures = reader.figures else { throw .brokenPart(path: places.part(part)) }
            firstLine += figures.lines
            report.figures.add(figures)
            for run in reader.runs where found.indices.contains(Int(run)) { found[Int(run)] = true }
        }
        report.figures.findings.add(parts.findings)
        let head = SelectionLedger.head(
            settings, files: parts.files.map(\.path), parts: ledgerParts,
            documents: clusters.starts.last ?? 0,
            tool: tool)
        try file.write(head, at: 0)
        var (written, offsets) = (head.count, [0])
        let (duplicate, near) = (settings.code(of: .duplicate), settings.code(of: .nearDuplicate))
        for part in 0..<parts.count {
            var reader = try SelectionPartReader(path: places.part(part))
            var (number, length) = (clusters.starts[part], 0)
            while let block = try reader.next() {
                var bytes: [UInt8] = []
                for document in block.documents {
                    var entry = SelectionLedger.Entry(
                        code: document.code, detail: document.detail, score: document.score,
                        equal: SelectionLedger.noDocument, line: document.line)
                    if entry.code == 0, let first = clusters.duplicate(of: number) {
                        (entry.code, entry.score, entry.equal) = (duplicate, 1, UInt32(first))
                    } else if entry.code == 0, case let first = clusters.root(number), first != number {
                        (entry.code, entry.equal) = (near, UInt32(first))
                        entry.score = Float(clusters.hits[number]) / Float(MinHash.bands)
                    }
                    report.count(
                        entry, bytes: document.length, contaminationCode: settings.code(of: .contamination))
                    if entry.code == 0 { length += Int(document.length) }
                    entry.append(to: &bytes)
                    number += 1
                }
                try file.write(bytes, at: written)
                written += bytes.count
            }
            offsets.append((offsets.last ?? 0) + length)
        }
        try file.publish()
        if let contamination { report.setContamination(contamination, found) }
        return Plan(
            ledger: try SelectionLedger(path: places.ledger),
            starts: clusters.starts, offsets: offsets, report: report)
    }

    /// Reads the texts once more, and writes those that are kept where they belong.
    private func writeOutput(
        _ places: Places, _ plan: Plan, _ cleaner: TextCleaner, _ work: SelectionWork
    ) throws(UserFacingError) {
        let (ledger, starts, offsets) = (plan.ledger, plan.starts, plan.offsets)
        let shared = SharedFile(file: try WritableFile(path: places.file("output")))
        try shared.truncate(to: offsets.last ?? 0)
        try forEachPart(.output, work) { part throws(UserFacingError) in
            let entries = try ledger.entries(starts[part]..<starts[part + 1])
            var (index, offset, bytes): (Int, Int, [UInt8]) = (0, offsets[part], [])
            var counts = TextCleaner.Counts()
            try parts.forEachBatch(of: part) { batch throws(UserFacingError) in
                var findings = TextFindings()
                for place in batch.parts.indices {
                    try work.check()
                    guard let text = try batch.text(place, noting: &findings) else { continue }
                    guard index < entries.count else { throw .changedFile(path: batch.path) }
                    if entries[index].code == 0 {
                        let cleaned = cleaner.clean(text, key: Self.key(part, index), counting: &counts)
                        bytes += batch.record(place, text: cleaned)
                    }
                    index += 1
                    guard bytes.count > 1 << 20 else { continue }
                    try shared.write(bytes, at: offset)
                    offset += bytes.count
                    bytes.removeAll(keepingCapacity: true)
                }
            }
            try shared.write(bytes, at: offset)
            guard offset + bytes.count == offsets[part + 1], index == entries.count else {
                throw .changedFile(path: parts.files[parts.fileNumber(of: part)].path)
            }
        }
        try shared.synchronize()
    }
}

/// A file that several threads write parts of.
private final class SharedFile: Sendable {
    private let file: WritableFile

    init(file: consuming WritableFile) { self.file = file }

    func write(_ bytes: [UInt8], at offset: Int) throws(UserFacingError) {
        try file.write(bytes, at: offset)
    }

    func truncate(to size: Int) throws(UserFacingError) { try file.truncate(to: size) }

    func synchronize() throws(UserFacingError) { try file.synchronize() }
}

/// The claim of one process on a work folder.
private struct WorkLock: ~Copyable {
    private let file: WritableFile

    init(path: String) throws(UserFacingError) {
        let file = try WritableFile(path: path)
        guard file.lock() else { throw .selectionIsRunning(path: Path.parent(path)) }
        self.file = file
    }
}

/// Documents joined where they have a key in common; the first stands for all.
struct Clusters: Sendable {
    /// Where each part's documents begin.
    let starts: [Int]
    /// In how many keys a document had an earlier one's.
    private(set) var hits: [UInt8]
    private var parents: [UInt32]
    /// The first document that is the same; empty where that was not asked for.
    private var firsts: [UInt32] = []

    init(count: Int, starts: [Int]) {
        self.starts = starts
        parents = (0..<UInt32(count)).map(\.self)
        hits = [UInt8](repeating: 0, count: count)
    }

    /// The first document of the cluster that a document is in.
    func root(_ document: Int) -> Int {
        var root = document
        while Int(parents[root]) != root { root = Int(parents[root]) }
        return root
    }

    /// Joins the clusters of two documents, of which the second came later.
    mutating func join(_ first: Int, _ second: Int) {
        if hits[second] < .max { hits[second] += 1 }
        let (one, two) = (shortenedRoot(first), shortenedRoot(second))
        if one < two { parents[two] = UInt32(one) } else { parents[one] = UInt32(two) }
    }

    private mutating func shortenedRoot(_ document: Int) -> Int {
        var node = document
        while Int(parents[node]) != node {
            parents[node] = parents[Int(parents[node])]
            node = Int(parents[node])
        }
        return node
    }

    /// Takes what is joined for documents that are the same, and begins anew.
    mutating func keepAsDuplicates() {
        firsts = (0..<parents.count).map { UInt32(root($0)) }
        self = Clusters(count: parents.count, starts: starts, firsts: firsts)
    }

    private init(count: Int, starts: [Int], firsts: [UInt32]) {
        self.init(count: count, starts: starts)
        self.firsts = firsts
    }

    /// The first document that is the same; nil where that is this one.
    func duplicate(of document: Int) -> Int? {
        guard !firsts.isEmpty, Int(firsts[document]) != document else { return nil }
        return Int(firsts[document])
    }

    func isDuplicate(_ document: Int) -> Bool { duplicate(of: document) != nil }
}

/// What the threads of a run have in common.
private final class SelectionWork: Sendable {
    private let total: Int
    private let isCancelled: @Sendable () -> Bool
    private let progress: @Sendable (TextSelection.Stage, Int, Int) -> Void
    private let done = Atomic(0)
    private let isStopped = Atomic(false)
    private let state = Guarded<(stage: TextSelection.Stage, failure: UserFacingError?)>((.documents, nil))

    init(
        total: Int, _ isCancelled: @escaping @Sendable () -> Bool,
        _ progress: @escaping @Sendable (TextSelection.Stage, Int, Int) -> Void
    ) {
        (self.total, self.isCancelled, self.progress) = (total, isCancelled, progress)
    }

    /// Why the run has ended early: the first failure, not those that followed from it.
    var failure: UserFacingError? { state.withLock { $0.failure } }

    func begin(_ stage: TextSelection.Stage) {
        state.withLock { $0.stage = stage }
        done.store(0, ordering: .relaxed)
        progress(stage, 0, total)
    }

    func advance(_ bytes: Int) {
        progress(state.withLock { $0.stage }, done.wrappingAdd(bytes, ordering: .relaxed).newValue, total)
    }

    /// Stops a thread where the run was stopped.
    func check() throws(UserFacingError) {
        guard isStopped.load(ordering: .relaxed) || isCancelled() else { return }
        throw .interrupted(" while \(state.withLock { $0.stage }.rawValue); the same command goes on")
    }

    /// Has the other threads stop as well.
    func stop(_ error: UserFacingError) -> UserFacingError {
        state.withLock { $0.failure = $0.failure ?? error }
        isStopped.store(true, ordering: .relaxed)
        return error
    }
}

extension UserFacingError {
    /// An output is there.
    static func outputExists(path: String) -> Self {
        Self(.request, "\(path) exists; give another name, or --force to replace it")
    }

    /// An output would replace what is read.
    static func outputIsSource(path: String) -> Self {
        Self(.request, "\(path) is one of the files that are read; give the output another name")
    }

    /// What was left by a run belongs to another selection.
    static func otherSelection(folder: String) -> Self {
        Self(
            .inconsistent,
            "\(folder): it is of a run with other files, settings or version; give what that had, another output, or --force to begin again"
        )
    }

    /// Another process works on the same output.
    static func selectionIsRunning(path: String) -> Self {
        Self(
            .busy,
            "\(path): another process is at work on this selection; wait until it is done, or give another output"
        )
    }

    /// There are more documents than numbers for them.
    static func tooManyDocuments(_ count: Int) -> Self {
        Self(
            .unsupported,
            "\(count) documents are more than one selection takes (4,294,967,294); select parts of the files by themselves"
        )
    }
}
