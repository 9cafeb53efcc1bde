internal import Formats

/// The sequences of a stage as a ``RunFolder`` has them: int32, (N, 3, T).
struct PlannedSequences: Sendable {
    /// A sequence: its tokens, what should follow each, the first position that each may see; T each.
    struct Row: Equatable {
        var tokens: [Int32], targets: [Int32], starts: [Int32]

        /// What it holds of each text: the places, in order.
        var pieces: [Range<Int>] {
            let begins = starts.indices.filter { Int(starts[$0]) == $0 }
            return zip(begins, begins.dropFirst() + [starts.count]).map { $0..<$1 }
        }
    }

    private let file: InputFile
    /// T.
    let length: Int
    /// N.
    let count: Int

    init(path: String, length: Int) throws(UserFacingError) {
        file = try InputFile(path: path)
        (self.length, count) = (length, file.size / (12 * length))
    }

    /// A sequence, from 0.
    func row(_ index: Int) throws(UserFacingError) -> Row {
        let bytes = try file.bytes(at: 12 * length * index, count: 12 * length)
        let numbers = (0..<3 * length).map { place in
            (0..<4).reduce(Int32(0)) {
                $0 | Int32(bitPattern: UInt32(bytes[4 * place + $1]) << UInt32(8 * $1))
            }
        }
        return Row(
            tokens: Array(numbers[..<length]), targets: Array(numbers[length..<2 * length]),
            starts: Array(numbers[(2 * length)...]))
    }

    /// Copies the file.
    func copy(to path: String) throws(UserFacingError) {
        let copy = try OutputStream(path)
        for start in stride(from: 0, to: file.size, by: 1 << 20) {
            try copy.append(bytes: file.bytes(at: start, count: min(1 << 20, file.size - start)))
        }
        try copy.close()
    }
}
