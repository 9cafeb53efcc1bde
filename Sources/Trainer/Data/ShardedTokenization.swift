public import Formats
internal import Glibc
internal import Synchronization

/// The documents of files of any size as tokens, packed into a folder of shards in an order that a seed decides.
///
/// The seed puts the ``TextParts`` of the files, up to 1 MiB each, into an order; each shard takes the next ones, up to its
/// size, and puts their documents into an order of its own. So a shard mixes parts from anywhere in the files, and yet reads
/// nothing else than these: shards are made by themselves, by any number of threads and machines, and are the same bytes.
/// Memory holds some bytes a file, a part and a document of the shards that are being made; tokens wait on the disk.
public struct ShardedTokenization: Sendable {
    /// How many shards there are.
    public var shardCount: Int { starts.count }

    private let parts: TextParts
    private let tokenizer: Tokenizer
    private let tokenizerDigest: String
    private let layout: DocumentLayout?
    private let settings: TokenShard.Settings
    private let threads: Int
    private let tool: String
    /// The parts in the order in which shards take them.
    private let order: [UInt32]
    /// Where in the order each shard begins.
    private let starts: [Int]

    /// The most bytes of a part, which stay together: a shard takes at least so many parts, and none has more than this.
    private static let (partsInShard, mostInPart) = (16, 1 << 20)

    /// Finds the files and divides them among shards.
    ///
    /// - Parameters:
    ///   - files: files, folders or patterns; nothing that can be read only once.
    ///   - options: how documents are read.
    ///   - tokenizer: what encodes.
    ///   - layout: how training lays documents out, to count its tokens; nil does not count them.
    ///   - seed: what decides the order.
    ///   - shardBytes: about how many bytes of the files a shard is made of.
    ///   - threads: how many threads work.
    ///   - tool: name and version of what writes.
    /// - Throws: ``UserFacingError`` naming the file that can't be read.
    public init(
        of files: [String], options: TextOptions = TextOptions(), by tokenizer: Tokenizer,
        layout: DocumentLayout? = nil, seed: UInt64, shardBytes: Int, threads: Int, tool: String
    ) throws(UserFacingError) {
        guard let digest = tokenizer.sha256 else {
            throw .unusableTokenizer(
                path: files.first ?? "", reason: "a tokenizer without a file can't be named in packed files")
        }
        parts = try TextParts(
            files, options: options,
            partSize: min(max(shardBytes / Self.partsInShard, 1), Self.mostInPart))
        guard parts.count > 0 else { throw .noDocuments(paths: files) }
        let list = parts.files.map { "\(Path.name($0.path)) \($0.size) \($0.modified)\n" }.joined()
        settings = TokenShard.Settings(
            seed: seed, shardBytes: shardBytes, textKey: options.textKey, nfc: options.composes,
            skipBadLines: options.skipsBadLines, plainText: options.isPlain,
            sources: FileDigest.sha256(Array(list.utf8)))
        self.tokenizer = tokenizer.reading(options)
        (tokenizerDigest, self.layout, self.threads, self.tool) = (digest, layout, threads, tool)
        var generator = generator(seed: seed, source: 0, stream: 0)
        order = permutation(of: parts.count, from: &generator)
        starts = Self.starts(of: parts, in: order, shardBytes: shardBytes)
    }

    /// Where each shard begins, so that all have about the same size and none is without a part.
    private static func starts(of parts: TextParts, in order: [UInt32], shardBytes: Int) -> [Int] {
        let total = order.reduce(0) { $0 + parts.byteCount(Int($1)) }
        let size = Double(total) / Double(max(1, (total + shardBytes - 1) / shardBytes))
        var (starts, sum, end): ([Int], Int, Double) = ([], 0, 0)
        for (index, part) in order.enumerated() {
            if Double(sum) >= end {
                starts.append(index)
                end = ((Double(sum) / size + 1e-9).rounded(.down) + 1) * size
            }
            sum += parts.byteCount(Int(part))
        }
        return starts
    }

    /// The share of one machine among several: the shards whose number over the count leaves the machine's.
    public struct Share: Sendable, Equatable {
        /// Which machine, from 0.
        public let index: Int
        /// How many there are.
        public let count: Int

        /// All of it.
        public static let all = Share(index: 0, count: 1)

        private init(index: Int, count: Int) { (self.index, self.count) = (index, count) }

        /// A share as it is typed, `0/4` to `3/4`; nil for what is none.
        public init?(_ text: String) {
            let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int($0) }
            guard parts.count == 2, let index = parts[0], let count = parts[1], count > 0,
                (0..<count).contains(index)
            else { return nil }
            self.init(index: index, count: count)
        }
    }

    /// What was done.
    public struct Outcome: Sendable {
        /// The figures of the shards of this share.
        public fileprivate(set) var statistics: TokenStatistics
        /// How many shards were made now.
        public let made: Int
        /// How many of all shards are still to be made, by other machines.
        public let missing: Int
    }

    /// Writes the shards of a share that are not there yet, and when all are there `tokens.json`.
    ///
    /// A shard appears when it is whole.
    ///
    /// - Parameters:
    ///   - folder: where they go; made where it is not there.
    ///   - share: which shards.
    ///   - replaces: whether shards that are there are removed first.
    ///   - isCancelled: asked now and then, by several threads; true ends the work, and what is whole stays.
    ///   - progress: is given how many bytes of the files are done, of how many, by several threads.
    /// - Returns: what was done.
    /// - Throws: ``UserFacingError`` when something can't be read, encoded or written, when it was stopped, or when the
    ///   folder holds shards that were made otherwise.
    public func write(
        to folder: String, share: Share = .all, replaces: Bool = false,
        isCancelled: @Sendable @escaping () -> Bool = { false },
        progress: @Sendable @escaping (_ done: Int, _ total: Int) -> Void = { _, _ in }
    ) throws(UserFacingError) -> Outcome {
        let there = try shards(in: folder, replaces: replaces)
        let mine = stride(from: share.index, to: shardCount, by: share.count).map(\.self)
        let run = Run(
            TokenStatistics(of: tokenizer, findings: parts.findings, layout: layout), shards: mine.count,
            threads: threads, total: mine.reduce(0) { $0 + byteCount(ofShard: $1) }, isCancelled, progress)
        do throws(UserFacingError) {
            _ = try mapConcurrently(mine.count, threads: run.together) { index throws(UserFacingError) in
                let number = mine[index]
                do throws(UserFacingError) {
                    let figures =
                        try there.contains(number)
                        ? figures(ofShard: number, in: folder, run)
                        : make(number, in: folder, run)
                    run.finish(figures)
                } catch {
                    throw run.stop(error)
                }
            }
        } catch {
            throw run.failure ?? error
        }
        var outcome = Outcome(
            statistics: run.statistics, made: mine.count { !there.contains($0) },
            missing: try writeIndex(of: folder))
        if outcome.missing == 0, share.count == 1, outcome.statistics.bytes == 0 {
            throw .noDocuments(paths: parts.files.map(\.path), skipped: run.firstSkipped)
        }
        outcome.statistics.name(firstSkipped: run.firstSkipped)
        return outcome
    }

    /// What to tell of the texts, a sentence each.
    public func warnings(of outcome: Outcome) -> [String] {
        outcome.statistics.findings.warnings(for: tokenizer)
    }

    // MARK: A folder

    private static let indexName = "tokens.json"
    private static let unorderedEnding = ".unordered"

    private func name(_ shard: Int) -> TokenShard.Name { TokenShard.Name(number: shard, count: shardCount) }

    /// The numbers of the shards that are there.
    ///
    /// - Throws: ``UserFacingError`` where the folder holds anything else than what this makes.
    private func shards(in folder: String, replaces: Bool) throws(UserFacingError) -> Set<Int> {
        guard FileSystem.kind(of: folder) != nil else {
            try FileSystem.create(folder)
            return []
        }
        var there: Set<Int> = []
        for file in try FileSystem.names(folder) where !file.hasPrefix(".") {
            let path = Path.join(folder, file)
            // What a killed run has left is taken over by the one that makes the shard.
            let stem = [".partial", Self.unorderedEnding].first(where: file.hasSuffix).map {
                file.dropLast($0.count)
            }
            let isLeft =
                stem.map { TokenShard.Name("\($0)") ?? TokenShard.Name("\($0)\(PackedFile.ending)") } != nil
            guard let name = TokenShard.Name(file) else {
                guard isLeft || file == Self.indexName || stem.map(String.init) == Self.indexName else {
                    throw .otherFile(folder: folder, file: file)
                }
                if replaces { try FileSystem.remove(path) }
                continue
            }
            if replaces {
                try FileSystem.remove(path)
                continue
            }
            try check(PackedFile(path: path), name)
            there.insert(name.number)
        }
        return there
    }

    /// Refuses a shard that was made otherwise.
    private func check(_ file: PackedFile, _ name: TokenShard.Name) throws(UserFacingError) {
        try file.checkShard(name, like: nil)
        var difference = file.shard?.settings.difference(from: settings)
        if file.tokenizer != tokenizerDigest { difference = "another tokenizer (SHA-256 \(file.tokenizer))" }
        if difference == nil, name.count != shardCount { difference = "another number of shards" }
        guard let difference else { return }
        throw .otherSettings(
            path: file.path, difference: difference,
            advice: "give what it was made with, or another folder, or --force to make all shards again")
    }

    /// Writes what the folder was made of, when all shards are there.
    ///
    /// - Returns: how many are not.
    private func writeIndex(of folder: String) throws(UserFacingError) -> Int {
        let missing = (0..<shardCount).count {
            FileSystem.kind(of: Path.join(folder, name($0).text)) != .file
        }
        guard missing == 0 else { return missing }
        // A process that was killed after a shard had its name has left what the shard was made of.
        for number in 0..<shardCount {
            try? FileSystem.remove(Path.join(folder, name(number).stem + Self.unorderedEnding))
        }
        var (shards, documents, tokens): ([JSON], Int, Int) = ([], 0, 0)
        for number in 0..<shardCount {
            let file = try PackedFile(path: Path.join(folder, name(number).text))
            try check(file, name(number))
            documents += file.count
            tokens += file.tokenCount
            shards.append(
                [
                    "file": .string(name(number).text), "documents": JSON(file.count),
                    "tokens": JSON(file.tokenCount),
                ])
        }
        let sources = parts.files.map(\.record)
        let index: JSON = [
            "format": .string(PackedFile.format), "version": .string(PackedFile.version),
            "tool": .string(tool),
            PackedFile.Key.tokenizer: .string(tokenizerDigest), "settings": settings.json,
            "documents": JSON(documents), "tokens": JSON(tokens), "shards": .array(shards),
            "sources": .array(sources),
        ]
        do throws(UserFacingError) {
            try AtomicFile(path: Path.join(folder, Self.indexName)).publish(index.serialized())
        } catch {
            // Another machine that has come to the end at the same time is writing the same bytes.
            guard error.kind == .system(code: EWOULDBLOCK) else { throw error }
        }
        return 0
    }

    // MARK: A shard

    /// The parts of a shard, in the order of the files.
    private func parts(ofShard number: Int) -> [Int] {
        let end = number + 1 < shardCount ? starts[number + 1] : order.count
        return order[starts[number]..<end].map(Int.init).sorted()
    }

    private func byteCount(ofShard number: Int) -> Int {
        parts(ofShard: number).reduce(0) { $0 + parts.byteCount($1) }
    }

    /// Counts what is in a shard that is there.
    private func figures(
        ofShard number: Int, in folder: String, _ run: Run
    ) throws(UserFacingError) -> TokenStatistics {
        let file = try PackedFile(path: Path.join(folder, name(number).text))
        var figures = TokenStatistics(
            of: tokenizer, findings: file.shard?.findings ?? TextFindings(), layout: layout)
        for index in 0..<file.count {
            try run.check()
            figures.count(EncodedDocument(tokens: file.tokens(index), byteCount: file.byteCount(index)))
        }
        run.advance(byteCount(ofShard: number))
        return figures
    }

    /// Makes a shard.
    private func make(_ number: Int, in folder: String, _ run: Run) throws(UserFacingError) -> TokenStatistics
    {
        let name = name(number)
        let unordered = try UnorderedDocuments(
            path: Path.join(folder, name.stem + Self.unorderedEnding),
            width: PackedFile.width(largestID: tokenizer.largestID))
        var figures = TokenStatistics(of: tokenizer, findings: TextFindings(), layout: layout)
        for part in parts(ofShard: number) {
            let skipped = figures.findings.skippedLines
            try parts.forEachBatch(of: part) { batch throws(UserFacingError) in
                let encoded = try mapConcurrently(batch.parts.count, threads: run.threadsOfOne) {
                    index throws(UserFacingError) in
                    try run.check()
                    var findings = TextFindings()
                    let document = try batch.encoded(index, by: tokenizer, noting: &findings)
                    return (document, findings)
                }
                for (document, findings) in encoded {
                    figures.add(findings)
                    guard let document else { continue }
                    figures.count(document)
                    try unordered.append(document)
                }
            }
            if figures.findings.skippedLines > skipped, run.isFirstToSkip {
                run.skipped(try parts.firstSkipped(of: part))
            }
            run.advance(parts.byteCount(part))
        }
        let writer = try PackedFileWriter(
            path: Path.join(folder, name.text), documents: unordered.count, largestID: tokenizer.largestID,
            tokenizer: tokenizerDigest, tool: tool, hasSynthetic: unordered.hasSynthetic,
            shard: TokenShard(name: name, settings: settings, findings: figures.findings))
        var generator = generator(seed: settings.seed, source: 1, stream: UInt64(number))
        for index in permutation(of: unordered.count, from: &generator) {
            try run.check()
            let (tokens, byteCount, isSynthetic) = try unordered.document(Int(index))
            try writer.append(packed: tokens, byteCount: byteCount, isSynthetic: isSynthetic)
        }
        try writer.close()
        return figures
    }
}

/// What the threads of a run have in common.
private final class Run: Sendable {
    /// How many shards are made at the same time.
    let together: Int
    private let shards: Int
    private let threads: Int
    private let total: Int
    private let isCancelled: @Sendable () -> Bool
    private let progress: @Sendable (Int, Int) -> Void
    private let finished = Atomic(0)
    private let done = Atomic(0)
    private let isStopped = Atomic(false)
    private let hasSkipped = Atomic(false)
    private let state: Guarded<State>

    private struct State {
        var statistics: TokenStatistics
        var failure: UserFacingError?
        var firstSkipped: String?
    }

    init(
        _ statistics: TokenStatistics, shards: Int, threads: Int, total: Int,
        _ isCancelled: @escaping @Sendable () -> Bool, _ progress: @escaping @Sendable (Int, Int) -> Void
    ) {
        state = Guarded(State(statistics: statistics))
        together = max(1, min(threads, shards))
        (self.shards, self.threads, self.total) = (shards, threads, total)
        (self.isCancelled, self.progress) = (isCancelled, progress)
    }

    /// How many threads a shard has, by how many are still being made.
    var threadsOfOne: Int {
        max(1, threads / max(1, min(together, shards - finished.load(ordering: .relaxed))))
    }

    /// The figures of all shards that are finished.
    var statistics: TokenStatistics { state.withLock(\.statistics) }
    /// Why the run has ended early: the first failure, not those that followed from it.
    var failure: UserFacingError? { state.withLock(\.failure) }
    /// Why the first line was passed over that was met.
    var firstSkipped: String? { state.withLock(\.firstSkipped) }
    /// Whether no line was passed over before; true once.
    var isFirstToSkip: Bool { !hasSkipped.exchange(true, ordering: .relaxed) }

    func skipped(_ reason: String?) { state.withLock { $0.firstSkipped = reason } }

    /// Stops a thread where the run was stopped.
    func check() throws(UserFacingError) {
        guard isStopped.load(ordering: .relaxed) || isCancelled() else { return }
        throw .interrupted(
            " after \(finished.load(ordering: .relaxed)) of \(shards) shards; the same command goes on")
    }

    /// Has the other threads stop as well.
    func stop(_ error: UserFacingError) -> UserFacingError {
        state.withLock { $0.failure = $0.failure ?? error }
        isStopped.store(true, ordering: .relaxed)
        return error
    }

    func advance(_ bytes: Int) { progress(done.wrappingAdd(bytes, ordering: .relaxed).newValue, total) }

    func finish(_ figures: TokenStatistics) {
        state.withLock { $0.statistics.add(figures) }
        finished.wrappingAdd(1, ordering: .relaxed)
    }
}

/// The documents of a shard in the order in which they are read, on the disk until they are put into theirs.
private final class UnorderedDocuments {
    private let file: WritableFile
    private let input: InputFile
    private let path: String
    private let width: Int
    /// How many tokens each document has, and the bytes of its text.
    private var offsets = [0]
    private var byteCounts: [UInt32] = []
    /// Which are marked as synthetic.
    private var marks: [Bool] = []
    private(set) var hasSynthetic = false
    private var block: [UInt8] = []
    private var written = 0

    private static let blockSize = 1 << 20

    /// Begins a file, which is removed with the value.
    init(path: String, width: Int) throws(UserFacingError) {
        let file = try WritableFile(path: path)
        guard file.lock() else { throw .shardIsBeingMade(path: path) }
        try file.truncate(to: 0)
        // Only what has the lock is removed at the end.
        input = try InputFile(path: path)
        (self.path, self.width) = (path, width)
        self.file = file
    }

    deinit { try? FileSystem.remove(path) }

    var count: Int { byteCounts.count }

    func append(_ document: EncodedDocument) throws(UserFacingError) {
        block += PackedFile.packed(document.tokens, width: width)
        offsets.append((offsets.last ?? 0) + document.tokens.count * width)
        byteCounts.append(UInt32(document.byteCount))
        marks.append(document.isSynthetic)
        hasSynthetic = hasSynthetic || document.isSynthetic
        if block.count >= Self.blockSize { try flush() }
    }

    private func flush() throws(UserFacingError) {
        let bytes = block
        block = []
        try unsafe file.write(bytes.span.bytes, at: written)
        written += bytes.count
    }

    /// A document's tokens as they lie in a file, the bytes of its text, and whether it is marked as synthetic.
    func document(
        _ index: Int
    ) throws(UserFacingError) -> (tokens: [UInt8], byteCount: Int, isSynthetic: Bool) {
        if !block.isEmpty { try flush() }
        let (start, end) = (offsets[index], offsets[index + 1])
        return (try input.bytes(at: start, count: end - start), Int(byteCounts[index]), marks[index])
    }
}

extension DocumentBatch {
    /// A document's tokens, as its tokenizer encodes it by itself; nil where there is none.
    fileprivate func encoded(
        _ index: Int, by tokenizer: Tokenizer, noting findings: inout TextFindings
    ) throws(UserFacingError) -> EncodedDocument? {
        guard let text = try text(index, noting: &findings) else { return nil }
        let isSynthetic = synthesis(of: index) != nil
        guard !text.isEmpty else {
            return EncodedDocument(tokens: [], byteCount: 0, isSynthetic: isSynthetic)
        }
        findings.countControlTokens(in: text, of: tokenizer)
        do throws(UserFacingError) {
            let tokens = try tokenizer.encode(String(decoding: text, as: UTF8.self))
            return EncodedDocument(tokens: tokens, byteCount: text.count, isSynthetic: isSynthetic)
        } catch {
            throw error.within(place(of: index))
        }
    }
}

extension UserFacingError {
    /// A folder holds what is no shard.
    fileprivate static func otherFile(folder: String, file: String) -> Self {
        Self(
            .request,
            "\(folder) holds \(file), which is no shard of tokens; give a folder that is not there or holds shards alone"
        )
    }

    /// Another process makes the same shard.
    fileprivate static func shardIsBeingMade(path: String) -> Self {
        Self(
            .busy,
            "\(path): another process is making this shard; wait until it is done, or give each machine a --shard of its own"
        )
    }
}
