import Logging

/// A plan being carried out.
struct WriteExecution: ~Copyable {
    private let plan: WritePlan
    private let target: WriteTarget
    private let options: WriteOptions
    private var journal: WriteJournal
    private var method: WritableFile.CopyMethod
    private var buffer: [UInt8] = []
    /// Overflows since the journal's last entry.
    private var lost: [String: Int] = [:]
    /// How many bytes are written.
    private(set) var done: Int
    /// How much of this run's work is done, and all of it; see ``WorkObserver``.
    private var work = (done: 0, total: 0)

    /// How much is copied at once in the kernel, so that a stop is heeded soon.
    private static let copySize = 32 << 20

    /// Opens the journal and takes over what an earlier run has done.
    init(_ plan: WritePlan, _ target: WriteTarget, _ options: WriteOptions) throws(UserFacingError) {
        var journal = try WriteJournal.open(target.journal, output: plan.output)
        let fingerprint = plan.fingerprint
        let isResumed =
            if let fingerprint, FileSystem.kind(of: target.model) == .folder {
                try journal.resume(fingerprint) && Self.holds(journal.durable, of: plan, in: target)
            } else {
                false
            }
        if !isResumed {
            try FileSystem.remove(target.model)
            try FileSystem.remove(target.aside)
            try journal.begin(fingerprint ?? "none")
        }
        self.plan = plan
        self.target = target
        self.options = options
        method = options.copyMethod
        done = journal.durable.values.reduce(0, +)
        self.journal = journal
    }

    /// Whether the files of an earlier run hold what its journal promises.
    private static func holds(_ durable: [Int: Int], of plan: WritePlan, in target: WriteTarget) -> Bool {
        durable.allSatisfy { index, bytes in
            guard plan.files.indices.contains(index) else { return false }
            let file = plan.files[index]
            let size = FileIdentity(path: Path.join(target.model, file.name))?.size ?? 0
            return bytes < file.byteCount ? size >= bytes : size == bytes
        }
    }

    /// The tensors that lost numbers to infinity, with how many.
    var overflows: [String: Int] { journal.overflows }

    /// Checks the room on the disk and takes it, before the first byte.
    func prepare(_ checkSpace: (Int) throws(UserFacingError) -> Void) throws(UserFacingError) {
        try checkSpace(plan.byteCount - done)
        do {
            try FileSystem.create(target.model)
            for file in plan.files {
                for folder in Path.ancestors(of: file.name) {
                    try FileSystem.create(Path.join(target.model, folder))
                }
                try WritableFile(path: Path.join(target.model, file.name)).reserve(file.byteCount)
            }
        } catch {
            if done == 0 { try? FileSystem.remove(target.model) }
            throw error
        }
    }

    /// Writes what is not written yet, all of it durable at the end.
    mutating func run(
        isCancelled: () -> Bool, progress: (ByteProgress) -> Void
    ) throws(UserFacingError) {
        let wanted = options.checksums && plan.manifest != nil ? plan.sources : []
        let worker = ChecksumWorker(wanted, known: journal.checksums)
        defer { worker.stop() }
        work.total = plan.files.enumerated().reduce(0) { sum, file in
            file.element.segments.reduce(sum) { $0 + $1.work(from: journal.durable[file.offset] ?? 0) }
        }
        for (index, file) in plan.files.enumerated() where journal.durable[index] != file.byteCount {
            var segments = file.segments
            if case .manifest? = segments.first?.content {
                segments = try manifest(worker, file: file, isCancelled: isCancelled)
            }
            try write(segments, to: file, index: index, isCancelled: isCancelled, progress: progress)
            try keep(worker.known)
        }
    }

    private mutating func write(
        _ segments: [WritePlan.Segment], to file: WritePlan.File, index: Int, isCancelled: () -> Bool,
        progress: (ByteProgress) -> Void
    ) throws(UserFacingError) {
        let start = journal.durable[index] ?? 0
        let path = Path.join(target.model, file.name)
        let output = try WritableFile(path: path)
        var marked = start
        for segment in segments where segment.offset + segment.count > start {
            var place = max(start, segment.offset)
            while place < segment.offset + segment.count {
                if isCancelled() {
                    try mark(output, file, index, through: place)
                    throw .interrupted(partial: target.partial)
                }
                let count: Int
                do {
                    count = try write(
                        segment, from: place - segment.offset, to: output, isCancelled: isCancelled,
                        progress: progress)
                } catch {
                    if error.isInterruption { try mark(output, file, index, through: place) }
                    throw error
                }
                output.startWriteback(place..<place + count)
                place += count
                done += count
                advance(by: count, progress)
                if place - marked >= options.journalInterval {
                    try mark(output, file, index, through: place)
                    marked = place
                }
            }
        }
        try output.truncate(to: file.byteCount)
        try mark(output, file, index, through: file.byteCount)
    }

    private mutating func advance(by work: Int, _ progress: (ByteProgress) -> Void) {
        self.work.done += work
        progress(ByteProgress(done: done, total: plan.byteCount, work: self.work))
    }

    /// Writes the next bytes of a segment, from `start` of its own; how many that were.
    private mutating func write(
        _ segment: WritePlan.Segment, from start: Int, to output: borrowing WritableFile,
        isCancelled: () -> Bool, progress: (ByteProgress) -> Void
    ) throws(UserFacingError) -> Int {
        let rest = segment.count - start
        let place = segment.offset + start
        switch segment.content {
        case .bytes(let bytes):
            try unsafe output.write(bytes.span.bytes.extracting(start..<bytes.count), at: place)
            return rest
        case .copy(let range):
            let count = min(rest, Self.copySize)
            let part = range.extracting(start..<start + count)
            let first = method
            try output.copy(part, to: place, method: &method, buffer: &buffer)
            if method != first {
                options.logger.info(
                    "copying in another way, since the file system refused",
                    metadata: [
                        "refused": "\(first)", "instead": "\(method)", "file": "\(range.file.path)",
                    ])
            }
            return count
        case .computed(let tensor, let bytes, let name):
            let count = min(rest, tensor.chunkSize(atMost: WritableFile.bufferSize))
            let first = bytes.lowerBound + start
            try compute(
                tensor, first..<first + count, named: name, to: output, at: place, isCancelled: isCancelled,
                progress: progress)
            return count
        case .manifest: preconditionFailure("the manifest is made before it is written")
        }
    }

    private mutating func compute(
        _ tensor: TensorExpression, _ bytes: Range<Int>, named name: String,
        to output: borrowing WritableFile, at place: Int, isCancelled: () -> Bool,
        progress: (ByteProgress) -> Void
    ) throws(UserFacingError) {
        takeBuffer()
        let overflows: Int
        var work = work
        let (done, total, partial) = (done, plan.byteCount, target.partial)
        var span = buffer.mutableSpan
        var all = unsafe span.mutableBytes
        var room = all._mutatingExtracting(0..<bytes.count)
        do {
            overflows = try tensor.read(bytes, into: &room) { (more) throws(UserFacingError) in
                if isCancelled() { throw .interrupted(partial: partial) }
                work.done += more
                progress(ByteProgress(done: done, total: total, work: work))
            }
        } catch {
            throw error.isInterruption ? error : error.within("tensor '\(name)' can't be written")
        }
        try output.write(room.bytes, at: place)
        self.work = work
        if overflows > 0 { lost[name, default: 0] += overflows }
    }

    private mutating func takeBuffer() {
        if buffer.isEmpty { buffer = [UInt8](repeating: 0, count: WritableFile.bufferSize) }
    }

    /// Makes a file durable up to a place and records it; files that are quickly written again are not recorded.
    private mutating func mark(
        _ output: borrowing WritableFile, _ file: WritePlan.File, _ index: Int, through bytes: Int
    ) throws(UserFacingError) {
        try output.synchronize()
        if file.tensors.isEmpty && file.byteCount < 1 << 20 { return }
        try journal.record(file: index, through: bytes, overflows: lost)
        lost = [:]
    }

    private mutating func keep(_ checksums: [Int: String]) throws(UserFacingError) {
        for (source, checksum) in checksums { try journal.record(checksum: checksum, of: source) }
    }

    /// The manifest with the checksums of its sources, for which it waits.
    private mutating func manifest(
        _ worker: ChecksumWorker, file: WritePlan.File, isCancelled: () -> Bool
    ) throws(UserFacingError) -> [WritePlan.Segment] {
        let checksums: [String]
        do {
            checksums = try worker.finish(isCancelled: isCancelled)
        } catch {
            try keep(worker.known)
            throw error.isInterruption ? .interrupted(partial: target.partial) : error
        }
        try keep(worker.known)
        let manifest = options.checksums ? plan.manifest?.withChecksums(checksums) : plan.manifest
        let bytes = manifest?.serialized() ?? []
        precondition(bytes.count == file.byteCount, "a manifest with checksums has the size that was planned")
        return [WritePlan.Segment(content: .bytes(bytes), offset: 0, count: bytes.count)]
    }
}

extension TensorExpression {
    /// The largest part that is read at once: whole rows where they fit, so that a transposed tensor is
    /// gathered in long runs; never a part of an element, nor of a byte that two share.
    func chunkSize(atMost limit: Int) -> Int {
        let row = shape.last.flatMap { type.byteCount(elements: $0) } ?? 0
        // 24 bytes are whole elements of every type: 32 of six bits, 3 of 64.
        let unit = row > 0 && row <= limit ? row : 24
        return limit / unit * unit
    }
}
