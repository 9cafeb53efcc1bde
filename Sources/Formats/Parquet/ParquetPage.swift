/// What stands before a page.
struct ParquetPageHeader: Sendable {
    /// What a page holds.
    enum Kind: Int, Sendable {
        case values, index, dictionary, valuesV2
    }

    private(set) var kind = Kind.index
    /// Its bytes in the file, and unpacked.
    private(set) var (packedSize, size) = (0, 0)
    private(set) var checksum: UInt32?
    /// How many values it has, nulls included, and how they are written.
    private(set) var valueCount = 0
    private(set) var encoding = 0
    /// How levels are written in the first version.
    private(set) var levelEncoding = ParquetEncoding.runs.rawValue
    /// In the second version: how many values are null, the rows, the bytes of both kinds of levels, whether values are packed.
    private(set) var (nullCount, rowCount, levelSize, repetitionSize) = (0, 0, 0, 0)
    private(set) var isPacked = true

    /// Reads one.
    init(_ reader: inout ThriftReader) throws(ParquetFault) {
        var seen: Set<Int> = []
        try reader.enter()
        while let field = try reader.nextField() {
            seen.insert(field.number)
            switch field.number {
            case 1:
                let number = try reader.integer(field)
                guard let kind = Kind(rawValue: number) else {
                    throw .unsupported("a page of kind \(number)")
                }
                self.kind = kind
            case 2: size = try reader.count(field)
            case 3: packedSize = try reader.count(field)
            case 4: checksum = UInt32(truncatingIfNeeded: try reader.integer(field))
            case 5, 7: try readValues(&reader, field, levels: field.number == 5)
            case 8: try readValuesV2(&reader, field)
            default: try reader.skip(field)
            }
        }
        let own = [Kind.values: 5, .dictionary: 7, .valuesV2: 8][kind]
        guard let own else { throw .unsupported("a page of an index among its values") }
        guard seen.isSuperset(of: [1, 2, 3, own]), max(size, packedSize) <= Int(Int32.max) else {
            throw .damaged("a page's head does not say all of it")
        }
    }

    private mutating func readValues(
        _ reader: inout ThriftReader, _ field: ThriftReader.Field, levels: Bool
    ) throws(ParquetFault) {
        try reader.enter(field)
        while let field = try reader.nextField() {
            switch field.number {
            case 1: valueCount = try reader.count(field)
            case 2: encoding = try reader.integer(field)
            case 3 where levels: levelEncoding = try reader.integer(field)
            default: try reader.skip(field)
            }
        }
    }

    private mutating func readValuesV2(
        _ reader: inout ThriftReader, _ field: ThriftReader.Field
    ) throws(ParquetFault) {
        try reader.enter(field)
        while let field = try reader.nextField() {
            switch field.number {
            case 1: valueCount = try reader.count(field)
            case 2: nullCount = try reader.count(field)
            case 3: rowCount = try reader.count(field)
            case 4: encoding = try reader.integer(field)
            case 5: levelSize = try reader.count(field)
            case 6: repetitionSize = try reader.count(field)
            case 7: isPacked = try reader.boolean(field)
            default: try reader.skip(field)
            }
        }
    }
}

/// A page of values, unpacked.
struct ParquetPage {
    /// How many values are still to come.
    private(set) var left: Int
    private let bytes: [UInt8]
    private let start: Int
    private let encoding: ParquetEncoding
    private let column: ParquetColumn
    private let dictionary: ParquetDictionary?
    /// Which values are there; nil where all are.
    private var levels: ParquetRuns?
    private var nullCount = 0
    private let statedNullCount: Int?
    private var decoder: (any ParquetDecoder)?

    /// Unpacks a page.
    ///
    /// - Parameters:
    ///   - header: what stands before it.
    ///   - body: its bytes in the file.
    ///   - codec: how they are packed.
    ///   - column: whose values it has.
    ///   - dictionary: the different values, where the chunk has told them.
    /// - Throws: ``ParquetFault`` when it is damaged, or written in another way than those that are read.
    init(
        _ header: ParquetPageHeader, _ body: [UInt8], _ codec: ParquetCodec, _ column: ParquetColumn,
        _ dictionary: ParquetDictionary?
    ) throws(ParquetFault) {
        left = header.valueCount
        encoding = try ParquetEncoding.numbered(header.encoding)
        (self.column, self.dictionary) = (column, dictionary)
        // As many bits as the highest level needs.
        let width = Int.bitWidth - column.optionals.leadingZeroBitCount
        guard header.kind == .valuesV2 else {
            bytes = try codec.unpack(body, from: 0, count: header.size)
            statedNullCount = nil
            guard width > 0 else {
                start = 0
                return
            }
            guard header.levelEncoding == ParquetEncoding.runs.rawValue else {
                _ = try ParquetEncoding.numbered(header.levelEncoding)
                throw .damaged("a page has levels of the encoding \(header.levelEncoding)")
            }
            let range = try bytes.sized(at: 0)
            levels = ParquetRuns(bytes, in: range, width: width)
            start = range.upperBound
            return
        }
        let levelSize = header.levelSize
        guard header.repetitionSize == 0, levelSize <= min(body.count, header.size),
            header.rowCount == header.valueCount, header.nullCount <= header.valueCount,
            width > 0 || header.nullCount == 0
        else { throw .damaged("the parts of a page are not those of a column of plain values") }
        // Levels are never packed.
        if width > 0 { levels = ParquetRuns(body, in: 0..<levelSize, width: width) }
        bytes = try (header.isPacked ? codec : .none).unpack(
            body, from: levelSize, count: header.size - levelSize)
        start = 0
        statedNullCount = header.nullCount
    }

    /// The next value.
    mutating func next() throws(ParquetFault) -> ParquetValue {
        left -= 1
        if let level = try levels?.next() {
            guard level <= column.optionals else { throw .damaged("a level is \(level)") }
            if level < column.optionals {
                nullCount += 1
                return .null
            }
        }
        if let value = try decoder?.next() { return value }
        // Where all values are null there may be nothing to decode.
        var decoder = try encoding.decoder(bytes, from: start, of: column, dictionary)
        let value = try decoder.next()
        self.decoder = decoder
        return value
    }

    /// Refuses a page that has more than was read.
    func finish() throws(ParquetFault) {
        try decoder?.finish()
        if let statedNullCount, statedNullCount != nullCount {
            throw .damaged("a page says that \(statedNullCount) values are null, and \(nullCount) are")
        }
    }
}
