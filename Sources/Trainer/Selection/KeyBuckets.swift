internal import Formats

/// Pairs of numbers on the disk, divided by the highest bits of the first, so that those which are the same lie in one bucket
/// and a bucket fits into memory.
///
/// All buckets are in one file, as pieces whose places are kept; the file is removed with the last value on it.
final class KeyBuckets {
    private let path: String
    private let file: WritableFile
    private let shift: UInt64
    private var buffers: [[UInt8]]
    private var pieces: [[Range<Int>]]
    private var written = 0

    /// The bytes of a pair; of a bucket, about; and of what waits to be written, all buckets together.
    static let (pairSize, bucketSize, waitingSize) = (16, 32 << 20, 64 << 20)
    private static let mostBuckets = 4096

    /// Begins with no pair.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - count: about how many pairs there will be.
    /// - Throws: ``UserFacingError`` when the file can't be made.
    init(path: String, expecting count: Int) throws(UserFacingError) {
        var bits = 0
        while 1 << bits < Self.mostBuckets, (count * Self.pairSize) >> bits > Self.bucketSize { bits += 1 }
        shift = UInt64(64 - bits)
        buffers = Array(repeating: [], count: 1 << bits)
        pieces = Array(repeating: [], count: 1 << bits)
        let file = try WritableFile(path: path)
        try file.truncate(to: 0)
        self.path = path
        self.file = file
    }

    /// Adds a pair.
    func append(_ key: UInt64, _ value: UInt64) throws(UserFacingError) {
        let bucket = shift == 64 ? 0 : Int(key >> shift)
        buffers[bucket].append(number: key)
        buffers[bucket].append(number: value)
        if buffers[bucket].count >= max(4096, Self.waitingSize / buffers.count) { try flush(bucket) }
    }

    private func flush(_ bucket: Int) throws(UserFacingError) {
        guard !buffers[bucket].isEmpty else { return }
        try file.write(buffers[bucket], at: written)
        pieces[bucket].append(written..<written + buffers[bucket].count)
        written += buffers[bucket].count
        buffers[bucket].removeAll(keepingCapacity: true)
    }

    /// All buckets, which any number of threads can read; nothing can be added any more.
    func finish() throws(UserFacingError) -> Reading {
        for bucket in buffers.indices { try flush(bucket) }
        buffers = []
        return Reading(path: path, input: try InputFile(path: path), pieces: pieces)
    }

    /// Buckets that are whole.
    final class Reading: Sendable {
        private let path: String
        private let input: InputFile
        private let pieces: [[Range<Int>]]

        /// How many there are.
        var count: Int { pieces.count }

        fileprivate init(path: String, input: InputFile, pieces: [[Range<Int>]]) {
            (self.path, self.input, self.pieces) = (path, input, pieces)
        }

        deinit { try? FileSystem.remove(path) }

        /// How many pairs a bucket has.
        func pairCount(_ bucket: Int) -> Int {
            pieces[bucket].reduce(0) { $0 + $1.count } / KeyBuckets.pairSize
        }

        /// The pairs of a bucket, in the order in which they were added.
        func forEach(of bucket: Int, _ visit: (UInt64, UInt64) -> Void) throws(UserFacingError) {
            for piece in pieces[bucket] {
                let bytes = try input.bytes(at: piece.lowerBound, count: piece.count)
                var place = 0
                while place < bytes.count {
                    let key: UInt64 = bytes.number(at: &place)
                    visit(key, bytes.number(at: &place))
                }
            }
        }
    }
}

/// A table of open addresses from two numbers to a third.
struct PairTable {
    private var keys: [UInt64]
    private var others: [UInt32]
    private var values: [UInt32]
    private let mask: Int

    /// Stands where a slot is empty.
    private static let empty = UInt32.max

    /// A table for at most so many entries.
    init(for count: Int) {
        var size = 16
        while size < count * 2 { size *= 2 }
        keys = [UInt64](repeating: 0, count: size)
        others = [UInt32](repeating: 0, count: size)
        values = [UInt32](repeating: Self.empty, count: size)
        mask = size - 1
    }

    /// The value that was given for the same two numbers before; the first that is given for any stays.
    @inline(__always)
    mutating func first(_ key: UInt64, _ other: UInt32, _ value: UInt32) -> UInt32? {
        var slot = Int(truncatingIfNeeded: mixed(key)) & mask
        while values[slot] != Self.empty {
            if keys[slot] == key, others[slot] == other { return values[slot] }
            slot = (slot + 1) & mask
        }
        (keys[slot], others[slot], values[slot]) = (key, other, value)
        return nil
    }
}
