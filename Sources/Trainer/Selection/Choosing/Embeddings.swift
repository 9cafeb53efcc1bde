internal import CKernels
internal import Formats

/// The embeddings of documents, of length 1, in files: those of one part after the other.
struct Embeddings: Sendable {
    /// The channels of each.
    let width: Int
    private let files: [InputFile]
    /// The first document of each file, and their number.
    private let starts: [Int]

    /// Opens files.
    ///
    /// - Parameters:
    ///   - paths: a file a part.
    ///   - counts: how many documents each has.
    ///   - width: the channels.
    /// - Throws: ``UserFacingError`` when one has others.
    init(paths: [String], counts: [Int], width: Int) throws(UserFacingError) {
        var (files, starts): ([InputFile], [Int]) = ([], [0])
        for (path, count) in zip(paths, counts) {
            let file = try InputFile(path: path)
            guard file.size == count * width * 4 else { throw .brokenPart(path: path) }
            files.append(file)
            starts.append((starts.last ?? 0) + count)
        }
        (self.files, self.starts, self.width) = (files, starts, width)
    }

    /// How many there are.
    var count: Int { starts.last ?? 0 }

    /// An embedding; zero for a document without a token.
    subscript(index: Int) -> [Float] {
        get throws(UserFacingError) { try rows(index..<index + 1) }
    }

    /// Some that follow each other: (N, C).
    func rows(_ range: Range<Int>) throws(UserFacingError) -> [Float] {
        var rows: [Float] = []
        rows.reserveCapacity(range.count * width)
        var index = range.lowerBound
        while index < range.upperBound {
            let part = part(of: index)
            let end = min(range.upperBound, starts[part + 1])
            let bytes = try files[part].bytes(
                at: (index - starts[part]) * width * 4, count: (end - index) * width * 4)
            var place = 0
            while place < bytes.count { rows.append(Float(bitPattern: bytes.number(at: &place))) }
            index = end
        }
        return rows
    }

    private func part(of index: Int) -> Int {
        var (low, high) = (0, files.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if starts[middle] <= index { low = middle } else { high = middle }
        }
        // Parts without a document begin where the next one does.
        while starts[low + 1] <= index { low += 1 }
        return low
    }
}

/// The product of two rows of some numbers, in double precision.
func product(_ one: [Float], _ first: Int, _ other: [Float], _ second: Int, width: Int) -> Double {
    precondition(first + width <= one.count && second + width <= other.count, "rows lie in their arrays")
    return unsafe one.withUnsafeBufferPointer { one in
        unsafe other.withUnsafeBufferPointer { other in
            guard let one = one.baseAddress, let other = other.baseAddress else { return 0 }
            return unsafe ck_dot(one + first, other + second, width)
        }
    }
}
