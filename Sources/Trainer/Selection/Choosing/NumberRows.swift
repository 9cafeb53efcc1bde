internal import Formats

/// Rows of numbers of 64 bits in a file, which appears when it is whole: what a pass has measured of a part's documents.
final class NumberRowsWriter {
    private let file: AtomicFile
    private var (bytes, written): ([UInt8], Int) = ([], 0)

    init(path: String) throws(UserFacingError) { file = try AtomicFile(path: path) }

    /// Adds a row.
    func append(_ numbers: [Double]) throws(UserFacingError) {
        for number in numbers { bytes.append(number: number.bitPattern) }
        if bytes.count > 1 << 20 { try flush() }
    }

    /// Adds a row of numbers of 32 bits.
    func append(_ numbers: [Float]) throws(UserFacingError) {
        for number in numbers { bytes.append(number: number.bitPattern) }
        if bytes.count > 1 << 20 { try flush() }
    }

    private func flush() throws(UserFacingError) {
        try file.write(bytes, at: written)
        written += bytes.count
        bytes.removeAll(keepingCapacity: true)
    }

    /// Ends the file.
    func finish() throws(UserFacingError) {
        try flush()
        try file.publish()
    }
}

/// Such a file, read.
struct NumberRows {
    private let input: InputFile
    private let columns: Int

    /// Opens a file of so many rows and columns.
    ///
    /// - Throws: ``UserFacingError`` when it has others.
    init(path: String, columns: Int, rows: Int) throws(UserFacingError) {
        input = try InputFile(path: path)
        self.columns = columns
        guard input.size == rows * columns * 8 else { throw .brokenPart(path: path) }
    }

    /// Gives each row to `visit`.
    func forEach(_ visit: ([Double]) -> Void) throws(UserFacingError) {
        let size = columns * 8 << 12
        for start in stride(from: 0, to: input.size, by: size) {
            let bytes = try input.bytes(at: start, count: min(size, input.size - start))
            var place = 0
            while place < bytes.count {
                visit((0..<columns).map { _ in Double(bitPattern: bytes.number(at: &place)) })
            }
        }
    }
}
