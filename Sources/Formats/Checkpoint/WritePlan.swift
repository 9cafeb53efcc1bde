/// Every file of a result before the first byte is written: names, sizes, and where each byte comes from.
public struct WritePlan: Sendable {
    /// A file of the result.
    public struct File: Sendable {
        /// Its name inside the result's folder.
        public let name: String
        /// Its size.
        public let byteCount: Int
        /// The tensors in it, in the order of their data; none for files that are no weights.
        public let tensors: [String]
        /// Its parts, one behind the other.
        let segments: [Segment]
    }

    /// A run of bytes in a file.
    struct Segment: Sendable {
        /// Where the bytes come from.
        enum Content: Sendable {
            /// These.
            case bytes([UInt8])
            /// A part of another file.
            case copy(FileRange)
            /// A part of a tensor, which has to be computed.
            case computed(TensorExpression, Range<Int>, tensor: String)
            /// The manifest, whose checksums are known last.
            case manifest
        }

        let content: Content
        /// Where it begins in the file.
        let offset: Int
        /// How many bytes it has.
        let count: Int
    }

    /// Where the result goes.
    public let output: String
    /// Its files in the order in which they are written.
    public let files: [File]
    /// How the tensors are made; nil when nothing was done to the model, so that there is nothing to prove.
    public let manifest: Manifest?
    /// How many numbers the tensors have.
    public let parameterCount: Int
    /// What lies beside the source and does not come along.
    public let leftOut: [LeftOut]
    /// The files that tensors come from, in the order in which recipes count them.
    let sources: [SourceFile]
    /// What the model was opened from, whether or not anything of it is still in the result.
    let origin: WriteOrigin

    /// The sizes of all files together.
    public var byteCount: Int { files.reduce(0) { $0 + $1.byteCount } }

    /// Every file that something is taken from, and those that the model was opened from.
    var sourceFiles: [SourceFile] {
        var list = SourceList()
        for file in origin.files { _ = list.place(of: file) }
        for segment in files.lazy.flatMap(\.segments) {
            switch segment.content {
            case .copy(let range): _ = list.place(of: range.file)
            case .computed(let tensor, _, _): _ = tensor.recipe(&list)
            case .bytes, .manifest: break
            }
        }
        return list.files
    }

    /// How many of the bytes are copied as they are, without passing through memory.
    public var copiedByteCount: Int {
        var sum = 0
        for segment in files.lazy.flatMap(\.segments) {
            if case .copy = segment.content { sum += segment.count }
        }
        return sum
    }
}

/// What a model was opened from.
struct WriteOrigin: Sendable {
    /// Its folder; nil when it was a bare file, or made in memory.
    let folder: String?
    /// Whether that folder is a model: it may not have a result inside, as the folder of a mere configuration may.
    let isModel: Bool
    /// Its weights files, and the files beside them that belong to it.
    let files: [SourceFile]

    init(_ checkpoint: Checkpoint) {
        let isOpened = !checkpoint.sources.isEmpty || checkpoint.configuration != nil
        folder = isOpened && Folder.kind(of: checkpoint.path) == .folder ? checkpoint.path : nil
        isModel = !checkpoint.sources.isEmpty
        files =
            checkpoint.sources
            + checkpoint.companions.compactMap { companion in
                if case .file(let file) = companion.content { file } else { nil }
            }
    }
}

extension TensorExpression {
    /// The parts that a tensor's bytes fall into: what can be copied, and what has to be computed.
    func parts(named tensor: String) -> [(content: WritePlan.Segment.Content, count: Int)] {
        parts(0..<byteCount, named: tensor)
    }

    private func parts(
        _ bytes: Range<Int>, named tensor: String
    ) -> [(content: WritePlan.Segment.Content, count: Int)] {
        if bytes.isEmpty { return [] }
        switch node {
        case .stored(let storage):
            guard let range = storage.fileRange else { break }
            return [(.copy(range.extracting(bytes)), bytes.count)]
        case .joined(let parts):
            var start = 0
            var result: [(content: WritePlan.Segment.Content, count: Int)] = []
            for part in parts {
                let wanted = bytes.clamped(to: start..<start + part.byteCount)
                if !wanted.isEmpty {
                    result += part.parts(wanted.lowerBound - start..<wanted.upperBound - start, named: tensor)
                }
                start += part.byteCount
            }
            return result
        case .rows(let whole, let rows):
            let start = whole.byteOffset(ofRow: rows.lowerBound)
            return whole.parts(start + bytes.lowerBound..<start + bytes.upperBound, named: tensor)
        case .reshaped(let original): return original.parts(bytes, named: tensor)
        case .zeros, .cast, .transposed, .derived: break
        }
        return [(.computed(self, bytes, tensor: tensor), bytes.count)]
    }
}

/// Collects the segments of a file, joining ranges that follow each other in their source, too.
struct SegmentList {
    private(set) var segments: [WritePlan.Segment] = []
    private(set) var byteCount = 0

    mutating func append(_ content: WritePlan.Segment.Content, count: Int) {
        if count == 0 { return }
        if case .copy(let next) = content, let last = segments.last, case .copy(let previous) = last.content,
            previous.file === next.file, previous.offset + previous.count == next.offset
        {
            segments.removeLast()
            let whole = FileRange(
                file: next.file, offset: previous.offset, count: previous.count + next.count)
            segments.append(.init(content: .copy(whole), offset: last.offset, count: whole.count))
        } else {
            segments.append(.init(content: content, offset: byteCount, count: count))
        }
        byteCount += count
    }
}
