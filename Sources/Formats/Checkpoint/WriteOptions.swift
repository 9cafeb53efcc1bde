import Logging

/// What a write may be told.
public struct WriteOptions: Sendable {
    /// Whether an output that exists is replaced.
    public var force: Bool
    /// The most bytes of tensors in a file; a larger tensor has a file of its own.
    public var shardSize: Int
    /// Name and version of what writes, for the manifest.
    public var tool: String
    /// Whether the manifest has SHA-256 checksums of the source's files.
    public var checksums: Bool
    /// Bytes that can be written to the disk of a path; a test may claim less.
    package var freeSpace: @Sendable (String) -> Int? = FileSystem.freeSpace
    /// How ranges are copied at first; a test may choose a lesser way.
    var copyMethod = WritableFile.CopyMethod.copyFileRange
    /// How many bytes are written between two entries of the journal.
    var journalInterval = 256 << 20
    /// What the write tells of itself, beside its report.
    var logger = Logger(label: "Formats.CheckpointWriter")

    /// Options; the size is Hugging Face's own default, 5 GB.
    public init(
        force: Bool = false, shardSize: Int = 5_000_000_000, tool: String = "model-surgery",
        checksums: Bool = true
    ) {
        self.force = force
        self.shardSize = shardSize
        self.tool = tool
        self.checksums = checksums
    }
}

/// How far a write, or a comparison, has come.
public struct ByteProgress: Sendable, Equatable {
    /// The bytes that are done, those of an earlier run included.
    public let done: Int
    /// The bytes of everything.
    public let total: Int
    /// The share of this run's work that is done, from 0 to 1: a row that is computed counts by what that takes, not
    /// by its bytes.
    public let share: Double

    /// Progress.
    package init(done: Int, total: Int, work: (done: Int, total: Int)) {
        self.done = done
        self.total = total
        share = work.total > 0 ? min(1, Double(work.done) / Double(work.total)) : 1
    }
}

/// What a write has done.
public struct WriteReport: Sendable, Equatable {
    /// Finite numbers of a tensor that a narrower type could not hold.
    public struct Overflow: Sendable, Equatable {
        /// The tensor's name.
        public let tensor: String
        /// How many of its numbers became infinite.
        public let count: Int
    }

    /// The result's folder.
    public let path: String
    /// Its files.
    public let files: [String]
    /// Their sizes together.
    public let byteCount: Int
    /// How many of these an interrupted run had written already.
    public let resumedByteCount: Int
    /// The tensors that lost numbers to infinity, with how many.
    public let overflows: [Overflow]
    /// What lies beside the source and did not come along.
    public let skippedFiles: [SkippedFile]
}
