internal import Dispatch
internal import Synchronization

/// Tensors being compared with what they should be, and source files with their checksums, each source file being read once.
///
/// A source file is read from its beginning to its end, a part at a time. Each part goes into the file's checksum, and is then
/// compared with whatever copies it. What is computed of the source is compared when the part that it needs has just been
/// read. Threads take a file each; a thread without a file compares what the others have read. All files are read past the
/// system's memory (``InputFile/readOnce()``): they may be larger than it, and making room there takes longer than reading.
package final class SourceComparison: Sendable {
    /// A tensor and what it should be: of the same type and shape.
    package struct Item: Sendable {
        let name: String
        let found: TensorExpression
        let expected: TensorExpression

        package var byteCount: Int { found.byteCount }

        package init(name: String, found: TensorExpression, expected: TensorExpression) {
            precondition(
                found.type == expected.type && found.shape == expected.shape,
                "tensors of one type and shape are compared")
            self.name = name
            self.found = found
            self.expected = expected
        }
    }

    /// What a comparison has found.
    package struct Result: Sendable {
        /// The first difference of each item, in order; nil where there is none.
        package let differences: [ByteDifference?]
        /// The SHA-256 of each source file that was to have one, in order; nil for the others.
        package let checksums: [String?]
    }

    private let items: [Item]
    private let sources: [Source]
    /// What needs no source at all.
    private let free: [Job]

    private let jobs = Mutex(Jobs())
    /// Counts the jobs that are ready, and one more when no other follows.
    private let ready = DispatchSemaphore(value: 0)
    private let findings: Mutex<Findings>
    private let compared = Atomic(0)
    private let isStopped = Atomic(false)
    private let nextSource = Atomic(0)
    private let unread: Atomic<Int>

    /// How much of a file is read at once: it is still in the processor's cache when it is compared.
    private static let partSize = 1 << 20
    /// How many parts may wait to be compared.
    private static let mostWaiting = 16
    /// How much of a computed tensor is compared at once.
    private static let pieceSize = 16 << 20

    /// Finds out which parts of which source are compared with what.
    ///
    /// - Parameters:
    ///   - items: the tensors.
    ///   - sources: the source files, and whether a checksum of each is wanted.
    package init(_ items: [Item], sources: [(file: InputFile, isHashed: Bool)]) {
        self.items = items
        var list = SourceList()
        var plans: [Source] = []
        for source in sources {
            _ = list.place(of: source.file)
            plans.append(Source(file: source.file, isHashed: source.isHashed))
        }
        var free: [Job] = []
        for (index, item) in items.enumerated() {
            var offset = 0
            for (content, count) in item.expected.parts(named: item.name) {
                let part = Part(content: content, count: count)
                let bytes = offset..<offset + part.count
                offset += part.count
                if case .copy(let range) = part.content, let place = list.known(range.file) {
                    plans[place].copies.append(Copy(item: index, bytes: bytes, offset: range.offset))
                    continue
                }
                for piece in Self.pieces(of: part, size: item.expected.chunkSize(atMost: Self.pieceSize)) {
                    let bytes = bytes.lowerBound + piece.lowerBound..<bytes.lowerBound + piece.upperBound
                    let job = Job(part: nil, comparisons: [.computed(item: index, bytes)])
                    if let (place, end) = part.end(of: piece, in: list) {
                        plans[place].computed.append((end, job))
                    } else {
                        free.append(job)
                    }
                }
            }
        }
        for place in plans.indices {
            plans[place].copies.sort { $0.offset < $1.offset }
            plans[place].computed.sort { $0.end < $1.end }
        }
        for source in sources { source.file.readOnce() }
        for item in items { item.found.forEachLeaf { $0.origin?.file.readOnce() } }
        self.sources = plans
        self.free = free
        unread = Atomic(plans.count)
        findings = Mutex(
            Findings(
                differences: Array(repeating: nil, count: items.count),
                checksums: Array(repeating: nil, count: plans.count)))
    }

    /// Compares everything.
    ///
    /// - Parameters:
    ///   - threads: how many compute at most.
    ///   - isCancelled: asked many times a second, by the calling thread; true stops.
    ///   - progress: told as often how many bytes are compared.
    /// - Returns: what was found.
    /// - Throws: ``UserFacingError`` when something can't be read, or when it was stopped.
    package func run(
        threads: Int, isCancelled: () -> Bool, progress: (Int) -> Void
    ) throws(UserFacingError) -> Result {
        if isCancelled() { throw .interrupted }
        for job in free { add(job) }
        let group = DispatchGroup()
        if sources.isEmpty { ready.signal() }
        // While some wait for the disk, others compute. A queue of its own gives each a thread at once.
        for index in 0..<2 * max(threads, 1) {
            DispatchQueue(label: "comparison \(index)").async(group: group) { self.work() }
        }
        while group.wait(timeout: .now() + .milliseconds(50)) == .timedOut {
            if isCancelled() { isStopped.store(true, ordering: .relaxed) }
            progress(compared.load(ordering: .relaxed))
        }
        let found = findings.withLock { $0 }
        if isStopped.load(ordering: .relaxed) || isCancelled() { throw found.failure ?? .interrupted }
        progress(compared.load(ordering: .relaxed))
        return Result(differences: found.differences, checksums: found.checksums)
    }

    /// What of a computed part is compared at once: all of it where a piece can't be made without the others.
    private static func pieces(of part: Part, size: Int) -> [Range<Int>] {
        guard case .computed(let made, _, _) = part.content, made.isElementwise else {
            return [0..<part.count]
        }
        return stride(from: 0, to: part.count, by: max(size, 1)).map {
            $0..<min($0 + size, part.count)
        }
    }
}

// MARK: - Threads

extension SourceComparison {
    private func work() {
        var buffer: [UInt8] = []
        do throws(UserFacingError) {
            while true {
                let place = nextSource.add(1, ordering: .relaxed).oldValue
                if place >= sources.count { break }
                try read(place, &buffer)
                // No job follows the last file's.
                if unread.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { ready.signal() }
            }
            while true {
                ready.wait()
                guard let job = jobs.withLock({ $0.take() }) else { break }
                try run(job, &buffer)
            }
        } catch {
            if !error.isInterruption { findings.withLock { $0.failure = $0.failure ?? error } }
            isStopped.store(true, ordering: .relaxed)
        }
        // The others are to see that nothing follows.
        ready.signal()
    }

    /// Reads a source file once.
    private func read(_ place: Int, _ buffer: inout [UInt8]) throws(UserFacingError) {
        let source = sources[place]
        let digest = SHA256()
        var (nextCopy, nextComputed) = (0, 0)
        var open: [Copy] = []
        var start = 0
        while start < source.file.size {
            if isStopped.load(ordering: .relaxed) { throw .interrupted }
            let range = start..<min(start + Self.partSize, source.file.size)
            start = range.upperBound
            while nextCopy < source.copies.count, source.copies[nextCopy].offset < range.upperBound {
                open.append(source.copies[nextCopy])
                nextCopy += 1
            }
            if source.isHashed || !open.isEmpty {
                let part = try source.file.bytes(at: range.lowerBound, count: range.count)
                if source.isHashed { unsafe digest.update(part.span.bytes) }
                if !open.isEmpty {
                    add(Job(part: part, comparisons: open.map { $0.comparison(in: range) }))
                    open.removeAll { $0.end <= range.upperBound }
                }
            }
            while nextComputed < source.computed.count, source.computed[nextComputed].end <= range.upperBound
            {
                add(source.computed[nextComputed].job)
                nextComputed += 1
            }
            try help(&buffer)
        }
        for (_, job) in source.computed[nextComputed...] { add(job) }
        let checksum = digest.finish()
        if source.isHashed { findings.withLock { $0.checksums[place] = checksum } }
    }

    /// Compares as long as too much waits for it.
    private func help(_ buffer: inout [UInt8]) throws(UserFacingError) {
        while jobs.withLock({ $0.waiting }) > Self.mostWaiting, ready.wait(timeout: .now()) == .success {
            guard let job = jobs.withLock({ $0.take() }) else { return }
            try run(job, &buffer)
        }
    }

    private func add(_ job: Job) {
        jobs.withLock { $0.add(job) }
        ready.signal()
    }

    private func run(_ job: Job, _ buffer: inout [UInt8]) throws(UserFacingError) {
        for comparison in job.comparisons {
            if isStopped.load(ordering: .relaxed) { throw .interrupted }
            switch comparison {
            case .copied(let item, let bytes, let start):
                guard let part = job.part else { preconditionFailure("copies are compared with a part") }
                try compare(items[item], item, bytes, with: part, from: start, &buffer)
                compared.add(bytes.count, ordering: .relaxed)
            case .computed(let item, let bytes): try compare(items[item], item, bytes)
            }
        }
    }

    private func compare(
        _ item: Item, _ index: Int, _ bytes: Range<Int>, with part: [UInt8], from start: Int,
        _ buffer: inout [UInt8]
    ) throws(UserFacingError) {
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: Self.partSize) }
        var span = buffer.mutableSpan
        var all = unsafe span.mutableBytes
        var room = all._mutatingExtracting(0..<bytes.count)
        do { try item.found.read(bytes, into: &room) } catch { throw error.within(item.context) }
        let expected = unsafe part.span.bytes.extracting(start..<start + bytes.count)
        guard let place = room.bytes.firstDifference(from: expected) else { return }
        note(
            ByteDifference(
                offset: bytes.lowerBound + place, found: buffer[place], expected: part[start + place]),
            of: index)
    }

    private func compare(_ item: Item, _ index: Int, _ bytes: Range<Int>) throws(UserFacingError) {
        let difference: ByteDifference?
        do {
            difference = try item.found.firstDifference(
                in: bytes, from: item.expected, isCancelled: { isStopped.load(ordering: .relaxed) },
                progress: { compared.add($0, ordering: .relaxed) })
        } catch {
            throw error.isInterruption ? error : error.within(item.context)
        }
        if let difference { note(difference, of: index) }
    }

    private func note(_ difference: ByteDifference, of item: Int) {
        findings.withLock { findings in
            if let known = findings.differences[item], known.offset <= difference.offset { return }
            findings.differences[item] = difference
        }
    }
}

extension SourceComparison.Item {
    fileprivate var context: String { "tensor '\(name)' can't be compared" }
}

// MARK: - What there is to do

extension SourceComparison {
    /// A source file, and what is compared with it.
    fileprivate struct Source: Sendable {
        let file: InputFile
        let isHashed: Bool
        /// By their place in the file.
        var copies: [Copy] = []
        /// By the place up to which the file should have been read.
        var computed: [(end: Int, job: Job)] = []
    }

    /// Bytes of an item that are some of a source file.
    fileprivate struct Copy: Sendable {
        let item: Int
        let bytes: Range<Int>
        let offset: Int
        var end: Int { offset + bytes.count }

        /// What is compared of it with a part of the file.
        func comparison(in part: Range<Int>) -> Comparison {
            let shared = (offset..<end).clamped(to: part)
            let first = bytes.lowerBound + shared.lowerBound - offset
            return .copied(
                item: item, bytes: first..<first + shared.count, start: shared.lowerBound - part.lowerBound)
        }
    }

    /// Bytes of an item that are compared with what was read, from a place in it, or with what is computed.
    fileprivate enum Comparison: Sendable {
        case copied(item: Int, bytes: Range<Int>, start: Int)
        case computed(item: Int, Range<Int>)
    }

    /// Bytes of a tensor that are copied or computed.
    fileprivate struct Part {
        let content: WritePlan.Segment.Content
        let count: Int

        /// The source that some of the bytes are computed of, and up to where it is needed for that; nil when none is.
        func end(of bytes: Range<Int>, in sources: SourceList) -> (place: Int, end: Int)? {
            guard case .computed(let tensor, _, _) = content else { return nil }
            var last: (place: Int, end: Int)?
            tensor.forEachLeaf { leaf in
                guard let range = leaf.fileRange, let place = sources.known(range.file) else { return }
                // Element follows element there as here.
                let share = tensor.isElementwise ? Double(bytes.upperBound) / Double(count) : 1
                let end = range.offset + min(range.count, Int((Double(range.count) * share).rounded(.up)))
                if last.map({ $0 < (place, end) }) ?? true { last = (place, end) }
            }
            return last
        }
    }

    /// What one thread compares, and the part of a file that it is compared with.
    fileprivate struct Job: Sendable {
        let part: [UInt8]?
        let comparisons: [Comparison]
    }

    /// The jobs that nobody has begun.
    fileprivate struct Jobs {
        private var list: [Job?] = []
        private var first = 0
        /// How many of them keep a part of a file.
        private(set) var waiting = 0

        mutating func add(_ job: Job) {
            list.append(job)
            if job.part != nil { waiting += 1 }
        }

        mutating func take() -> Job? {
            guard first < list.count, let job = list[first] else { return nil }
            list[first] = nil
            first += 1
            if first > 1024 {
                list.removeFirst(first)
                first = 0
            }
            if job.part != nil { waiting -= 1 }
            return job
        }
    }

    fileprivate struct Findings {
        var differences: [ByteDifference?]
        var checksums: [String?]
        var failure: UserFacingError?
    }
}

extension TensorExpression {
    /// Whether each element is made of one element of each leaf, all of them in one order.
    fileprivate var isElementwise: Bool {
        fold { _, _ in
            true
        } made: { operation, operands, _ in
            switch operation {
            case .cast, .scaled, .noised, .reshaped, .weighted: operands.allSatisfy { $0 }
            case .added(let vectors, _): vectors.isElementwise && operands.allSatisfy { $0 }
            default: false
            }
        }
    }
}
