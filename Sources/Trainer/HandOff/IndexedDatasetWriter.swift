internal import Formats

/// Writes one of Megatron's indexed datasets, `NAME.bin` and `NAME.idx`, of int32.
///
/// `.bin` has the numbers alone. `.idx`, little-endian: `MMIDIDX\0\0`, the version (1) in 8 bytes, the type (4, int32) in
/// one, how many sequences and how many borders of documents there are in 8 each; then the length of each sequence
/// (int32), where in the bytes it begins (int64), and the sequence with which each document begins, and the one behind the
/// last (int64). Source: megatron-core 0.16, `datasets/indexed_dataset.py`, `_IndexWriter`.
final class IndexedDatasetWriter {
    private let path: String
    private let numbers: OutputStream
    private var lengths: [Int32] = []
    private var documents: [Int] = [0]

    /// Begins both files; `path` is without `.bin` and `.idx`.
    init(_ path: String) throws(UserFacingError) {
        self.path = path
        numbers = try OutputStream(path + ".bin")
    }

    /// Appends a document.
    func append(_ sequences: [[Int32]]) throws(UserFacingError) {
        for sequence in sequences {
            try numbers.append(sequence)
            lengths.append(Int32(sequence.count))
        }
        documents.append(lengths.count)
    }

    /// Ends both files.
    func close() throws(UserFacingError) {
        try numbers.close()
        let index = try OutputStream(path + ".idx")
        try index.append(bytes: Array("MMIDIDX\0\0".utf8))
        try index.append(bytes: Self.bytes([1]))
        try index.append(bytes: [4])
        try index.append(bytes: Self.bytes([lengths.count, documents.count]))
        try index.append(lengths)
        var place = 0
        try index.append(
            bytes: Self.bytes(
                lengths.map { length in
                    defer { place += 4 * Int(length) }
                    return place
                }))
        try index.append(bytes: Self.bytes(documents))
        try index.close()
    }

    /// Numbers of 64 bits.
    private static func bytes(_ numbers: [Int]) -> [UInt8] {
        numbers.flatMap { number in (0..<8).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) } }
    }
}
