/// How the values of a page are written.
enum ParquetEncoding: Int, Sendable {
    case plain = 0
    case plainDictionary = 2
    case runs = 3
    case deltas = 5
    case deltaLengths, deltaBytes, dictionary

    /// The encoding of a number in a file.
    static func numbered(_ number: Int) throws(ParquetFault) -> ParquetEncoding {
        if let encoding = ParquetEncoding(rawValue: number) { return encoding }
        let names = [4: "BIT_PACKED", 9: "BYTE_STREAM_SPLIT"]
        throw .unsupported("the encoding \(names[number] ?? String(number))")
    }

    /// What reads the values of a column that lie in `bytes` from `start` on; it needs the different values where they are
    /// referred to.
    func decoder(
        _ bytes: [UInt8], from start: Int, of column: ParquetColumn, _ dictionary: ParquetDictionary?
    ) throws(ParquetFault) -> any ParquetDecoder {
        switch (self, column.storage) {
        case (.plain, .boolean): return BitDecoder(bytes, from: start)
        case (.plain, _): return PlainDecoder(bytes, from: start, column)
        case (.runs, .boolean): return try RunDecoder(bytes, from: start)
        case (.plainDictionary, _), (.dictionary, _):
            guard let dictionary else {
                throw .damaged("a page refers to values that were not told before it")
            }
            return try DictionaryDecoder(bytes, from: start, dictionary)
        case (.deltas, .int32), (.deltas, .int64): return try DeltaDecoder(bytes, from: start, column)
        case (.deltaLengths, .bytes): return try DeltaLengthDecoder(bytes, from: start)
        case (.deltaBytes, .bytes): return try DeltaBytesDecoder(bytes, from: start)
        default: throw .damaged("a page has the encoding \(self), which \(column.storage.name) can't have")
        }
    }
}

/// Reads the values of a page, one after the other.
protocol ParquetDecoder {
    /// The next value that is not null.
    mutating func next() throws(ParquetFault) -> ParquetValue
    /// Refuses a page that has more values than were read.
    func finish() throws(ParquetFault)
}

/// The different values of a column in a row group, to which pages refer by number.
struct ParquetDictionary: Sendable {
    /// How many there are.
    let count: Int
    private let bytes: [UInt8]
    private let column: ParquetColumn
    /// Where each lies, when they are of different lengths.
    private let starts: [UInt32]

    /// Values that lie one behind the other.
    init(_ bytes: [UInt8], count: Int, _ column: ParquetColumn) throws(ParquetFault) {
        // Each has four bytes at least, so that a false number takes no memory.
        guard column.storage != .boolean, count <= bytes.count / (column.width ?? 4) else {
            throw .damaged("a page of \(bytes.count) bytes can't hold \(count) values")
        }
        var (starts, position): ([UInt32], Int) = ([], 0)
        if let width = column.width {
            position = width * count
        } else {
            starts.reserveCapacity(count)
            for _ in 0..<count {
                starts.append(UInt32(truncatingIfNeeded: position))
                _ = try column.value(in: bytes, at: &position)
            }
        }
        guard position == bytes.count else {
            throw .damaged("a page has \(bytes.count - position) bytes too many")
        }
        (self.bytes, self.count, self.column, self.starts) = (bytes, count, column, starts)
    }

    /// The value of a number.
    func value(_ index: Int) throws(ParquetFault) -> ParquetValue {
        guard index < count else { throw .damaged("a page refers to value \(index) of \(count)") }
        var position = column.width.map { $0 * index } ?? Int(starts[index])
        return try column.value(in: bytes, at: &position)
    }
}

/// Values as they are.
private struct PlainDecoder: ParquetDecoder {
    private let bytes: [UInt8]
    private let column: ParquetColumn
    private var position: Int

    init(_ bytes: [UInt8], from start: Int, _ column: ParquetColumn) {
        (self.bytes, position, self.column) = (bytes, start, column)
    }

    mutating func next() throws(ParquetFault) -> ParquetValue { try column.value(in: bytes, at: &position) }

    func finish() throws(ParquetFault) {
        guard position == bytes.count else {
            throw .damaged("a page has \(bytes.count - position) bytes behind its last value")
        }
    }
}

/// Truth values, a bit each.
private struct BitDecoder: ParquetDecoder {
    private let bytes: [UInt8]
    private var bit: Int

    init(_ bytes: [UInt8], from start: Int) { (self.bytes, bit) = (bytes, start * 8) }

    mutating func next() throws(ParquetFault) -> ParquetValue {
        guard bit >> 3 < bytes.count else { throw .cutOff }
        defer { bit += 1 }
        return .boolean(bytes.bits(at: bit, width: 1) == 1)
    }

    func finish() throws(ParquetFault) {
        guard (bit + 7) / 8 == bytes.count else { throw .damaged("a page has bytes behind its last value") }
    }
}

/// Truth values in runs, behind how many bytes these take.
private struct RunDecoder: ParquetDecoder {
    private var runs: ParquetRuns

    init(_ bytes: [UInt8], from start: Int) throws(ParquetFault) {
        runs = ParquetRuns(bytes, in: try bytes.sized(at: start), width: 1)
    }

    mutating func next() throws(ParquetFault) -> ParquetValue { .boolean(try runs.next() == 1) }
    func finish() throws(ParquetFault) {}
}

/// Numbers of a dictionary's values, behind how many bits these take.
private struct DictionaryDecoder: ParquetDecoder {
    private let dictionary: ParquetDictionary
    private var runs: ParquetRuns

    init(_ bytes: [UInt8], from start: Int, _ dictionary: ParquetDictionary) throws(ParquetFault) {
        guard start < bytes.count else { throw .cutOff }
        let width = Int(bytes[start])
        guard width <= 32 else { throw .damaged("a page has indices of \(width) bits") }
        runs = ParquetRuns(bytes, in: start + 1..<bytes.count, width: width)
        self.dictionary = dictionary
    }

    mutating func next() throws(ParquetFault) -> ParquetValue { try dictionary.value(try runs.next()) }
    func finish() throws(ParquetFault) {}
}

/// Whole numbers as differences.
private struct DeltaDecoder: ParquetDecoder {
    private let column: ParquetColumn
    private var deltas: ParquetDeltas

    init(_ bytes: [UInt8], from start: Int, _ column: ParquetColumn) throws(ParquetFault) {
        deltas = try ParquetDeltas(bytes, from: start)
        self.column = column
    }

    mutating func next() throws(ParquetFault) -> ParquetValue { column.integer(try deltas.next()) }
    func finish() throws(ParquetFault) { try deltas.finish() }
}

/// Bytes behind all their lengths.
private struct DeltaLengthDecoder: ParquetDecoder {
    private let bytes: [UInt8]
    private var lengths: ParquetDeltas
    private var position: Int

    init(_ bytes: [UInt8], from start: Int) throws(ParquetFault) {
        lengths = try ParquetDeltas(bytes, from: start)
        position = try lengths.end()
        self.bytes = bytes
    }

    mutating func next() throws(ParquetFault) -> ParquetValue { .bytes(try nextBytes()) }

    mutating func nextBytes() throws(ParquetFault) -> ArraySlice<UInt8> {
        let count = Int(Int32(truncatingIfNeeded: try lengths.next()))
        guard count >= 0, count <= bytes.count - position else {
            throw .damaged("a value says it has \(count) bytes, and \(bytes.count - position) follow")
        }
        position += count
        return bytes[position - count..<position]
    }

    func finish() throws(ParquetFault) {
        try lengths.finish()
        guard position == bytes.count else {
            throw .damaged("a page has \(bytes.count - position) bytes behind its last value")
        }
    }
}

/// Bytes of which each begins as the one before it.
private struct DeltaBytesDecoder: ParquetDecoder {
    private var prefixes: ParquetDeltas
    private var suffixes: DeltaLengthDecoder
    private var last: [UInt8] = []

    init(_ bytes: [UInt8], from start: Int) throws(ParquetFault) {
        prefixes = try ParquetDeltas(bytes, from: start)
        suffixes = try DeltaLengthDecoder(bytes, from: prefixes.end())
    }

    mutating func next() throws(ParquetFault) -> ParquetValue {
        let count = Int(Int32(truncatingIfNeeded: try prefixes.next()))
        guard count >= 0, count <= last.count else {
            throw .damaged("a value begins as \(count) bytes of one of \(last.count)")
        }
        last = Array(try last[..<count] + suffixes.nextBytes())
        return .bytes(last[...])
    }

    func finish() throws(ParquetFault) {
        try prefixes.finish()
        try suffixes.finish()
    }
}

extension ParquetDeltas {
    /// Refuses a page that has more differences than values.
    fileprivate func finish() throws(ParquetFault) {
        guard left == 0 else { throw .damaged("a page has \(left) values too many") }
    }
}

extension [UInt8] {
    /// Where the bytes lie behind their number, which lies at `start` in four bytes.
    func sized(at start: Int) throws(ParquetFault) -> Range<Int> {
        guard count - start >= 4 else { throw .cutOff }
        let size = Int(littleEndian(at: start, as: UInt32.self))
        guard size <= count - start - 4 else {
            throw .damaged("a page has \(count - start - 4) of \(size) bytes of runs")
        }
        return start + 4..<start + 4 + size
    }
}
