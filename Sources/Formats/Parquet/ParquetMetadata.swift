/// What a Parquet file says of itself at its end: its columns, and where their values lie.
///
/// Source: parquet.thrift of Apache Parquet's format, version 2.11.
struct ParquetMetadata: Sendable {
    /// Consecutive rows, whose columns lie together.
    struct RowGroup: Sendable {
        fileprivate(set) var rowCount = 0
        /// One for each column.
        fileprivate(set) var chunks: [Chunk] = []
    }

    /// The values of a column in a row group.
    struct Chunk: Sendable {
        fileprivate(set) var codec = 0
        fileprivate(set) var valueCount = 0
        /// The bytes of its pages.
        fileprivate(set) var size = 0
        /// Where its pages of values begin, and its page of different values where there is one.
        fileprivate(set) var (start, dictionaryStart) = (0, 0)
        fileprivate(set) var isElsewhere = false

        /// Where its first page begins.
        var firstPage: Int { dictionaryStart > 0 ? min(start, dictionaryStart) : start }
    }

    /// The columns, as they lie in each row group.
    private(set) var columns: [ParquetColumn] = []
    /// The row groups in their order.
    private(set) var groups: [RowGroup] = []
    /// Whether anything of the file is encrypted.
    private(set) var isEncrypted = false

    /// Reads the bytes of the file's end.
    init(_ bytes: [UInt8]) throws(ParquetFault) {
        var reader = ThriftReader(bytes)
        var rowCount = 0
        try reader.enter()
        while let field = try reader.nextField() {
            switch field.number {
            case 2:
                columns = try ParquetColumn.columns(
                    &reader, count: try reader.list(field, of: .structure))
            case 3: rowCount = try reader.count(field)
            case 4:
                for _ in 0..<(try reader.list(field, of: .structure)) { try readGroup(&reader) }
            case 8:
                isEncrypted = true
                try reader.skip(field)
            default: try reader.skip(field)
            }
        }
        guard !columns.isEmpty else { throw .damaged("it has no schema") }
        var sum = 0
        for group in groups {
            let (next, overflow) = sum.addingReportingOverflow(group.rowCount)
            guard !overflow else { throw .damaged("its row groups have more rows than can be") }
            sum = next
        }
        guard sum == rowCount else {
            throw .damaged("it says it has \(rowCount) rows, and its row groups have \(sum)")
        }
    }

    private mutating func readGroup(_ reader: inout ThriftReader) throws(ParquetFault) {
        var group = RowGroup()
        try reader.enter()
        while let field = try reader.nextField() {
            switch field.number {
            case 1:
                for _ in 0..<(try reader.list(field, of: .structure)) {
                    guard group.chunks.count < columns.count else {
                        throw .damaged("a row group has more columns than the schema")
                    }
                    group.chunks.append(try readChunk(&reader, of: columns[group.chunks.count]))
                }
            case 3: group.rowCount = try reader.count(field)
            default: try reader.skip(field)
            }
        }
        guard group.chunks.count == columns.count else {
            throw .damaged("a row group has \(group.chunks.count) of \(columns.count) columns")
        }
        groups.append(group)
    }

    private mutating func readChunk(
        _ reader: inout ThriftReader, of column: ParquetColumn
    ) throws(ParquetFault) -> Chunk {
        var chunk = Chunk()
        var hasContent = false
        try reader.enter()
        while let field = try reader.nextField() {
            switch field.number {
            case 1:
                chunk.isElsewhere = try !reader.text(field).isEmpty
            case 3:
                hasContent = true
                try Self.readContent(&reader, field, of: column, into: &chunk)
            case 8:
                isEncrypted = true
                try reader.skip(field)
            default: try reader.skip(field)
            }
        }
        guard hasContent || isEncrypted else {
            throw .damaged("a row group does not say where its \"\(column.name)\" is")
        }
        return chunk
    }

    private static func readContent(
        _ reader: inout ThriftReader, _ field: ThriftReader.Field, of column: ParquetColumn,
        into chunk: inout Chunk
    ) throws(ParquetFault) {
        var seen: Set<Int> = []
        try reader.enter(field)
        while let field = try reader.nextField() {
            seen.insert(field.number)
            switch field.number {
            case 1:
                guard try reader.integer(field) == column.storage.rawValue else {
                    throw .damaged("a row group has another type for \"\(column.name)\" than the schema")
                }
            case 3:
                var path: [String] = []
                for _ in 0..<(try reader.list(field, of: .binary)) { path.append(try reader.text()) }
                guard path == column.path else {
                    throw .damaged(
                        "a row group has \"\(path.joined(separator: "."))\" in place of \"\(column.name)\"")
                }
            case 4: chunk.codec = try reader.integer(field)
            case 5: chunk.valueCount = try reader.count(field)
            case 7: chunk.size = try reader.count(field)
            case 9: chunk.start = try reader.count(field)
            case 11: chunk.dictionaryStart = try reader.count(field)
            default: try reader.skip(field)
            }
        }
        guard seen.isSuperset(of: [1, 3, 4, 5, 7, 9]) else {
            throw .damaged("a row group does not say all of \"\(column.name)\"")
        }
    }
}
