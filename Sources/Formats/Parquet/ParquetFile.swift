/// A Parquet file, open: its flat columns of text, numbers and truth values.
///
/// Memory holds what the file says of itself, and a page of each column that is being read.
package struct ParquetFile: Sendable {
    /// The file.
    let file: InputFile
    /// What it says of itself.
    let metadata: ParquetMetadata
    /// Where that begins, and all values have ended.
    let dataEnd: Int

    /// What stands at the start and the end of a file.
    static let magic = Array("PAR1".utf8)
    /// What stands there where what it says of itself is encrypted.
    static let encryptedMagic = Array("PARE".utf8)

    /// Opens a file.
    ///
    /// - Throws: ``UserFacingError`` when it is no Parquet file, is damaged, or encrypted.
    package init(path: String) throws(UserFacingError) { try self.init(InputFile(path: path)) }

    /// Reads what an open file says of itself.
    init(_ file: InputFile) throws(UserFacingError) {
        let (start, end) = (Self.magic.count, file.size - 8)
        let head = try file.bytes(at: 0, count: min(start, file.size))
        if head == Self.encryptedMagic { throw .encryptedParquet(path: file.path) }
        guard head == Self.magic else { throw .noParquet(path: file.path) }
        guard end >= start else { throw ParquetFault.cutOff.located(path: file.path) }
        let tail = try file.bytes(at: end, count: 8)
        guard Array(tail[4...]) == Self.magic else {
            throw ParquetFault.damaged("it does not end with PAR1").located(path: file.path)
        }
        let count = Int(tail.littleEndian(at: 0, as: UInt32.self))
        guard count <= end - start else {
            throw ParquetFault.damaged("it says it is described in \(count) bytes, and has \(end - start)")
                .located(path: file.path)
        }
        let description = try file.bytes(at: end - count, count: count)
        do throws(ParquetFault) {
            metadata = try ParquetMetadata(description)
        } catch {
            throw error.located(path: file.path, "the description at its end")
        }
        if metadata.isEncrypted { throw .encryptedParquet(path: file.path) }
        self.file = file
        dataEnd = end - count
    }

    /// How many rows it has.
    package var rowCount: Int { metadata.groups.reduce(0) { $0 + $1.rowCount } }

    /// The names of its columns; those inside structures have dots.
    package var columnNames: [String] { metadata.columns.map(\.name) }

    /// The number of the column of a name; where there is none, a dot leads into a structure.
    ///
    /// - Throws: ``UserFacingError`` when there is no such column, or it has no plain values.
    func column(named name: String) throws(UserFacingError) -> Int {
        let columns = metadata.columns
        var found = columns.indices.filter { columns[$0].path == [name] }
        if found.isEmpty { found = columns.indices.filter { columns[$0].name == name } }
        let expected = "a column of plain values"
        guard let index = found.first else {
            let inside = columns.filter { $0.name.hasPrefix("\(name).") }
            guard !inside.isEmpty else {
                throw .noColumn(path: file.path, name: name, columns: topNames)
            }
            let kind =
                inside.contains { !$0.isRepeated }
                ? "a structure of \(inside.map(\.name).joined(separator: ", "))"
                : "a list or a map"
            throw .wrongColumn(path: file.path, name: name, found: kind, expected: expected)
        }
        guard found.count == 1 else {
            throw .wrongColumn(path: file.path, name: name, found: "there twice", expected: "one")
        }
        guard columns[index].isReadable else {
            throw .wrongColumn(
                path: file.path, name: name,
                found: columns[index].kind, expected: expected)
        }
        return index
    }

    /// The number of a column of text.
    ///
    /// - Throws: ``UserFacingError`` when there is no such column, or it is none of text.
    func textColumn(named name: String) throws(UserFacingError) -> Int {
        let index = try column(named: name)
        let column = metadata.columns[index]
        guard column.isText else {
            throw .wrongColumn(
                path: file.path, name: name, found: column.kind, expected: "a column of strings")
        }
        return index
    }

    /// Reads some columns row by row, by their names in ``columnNames``.
    ///
    /// - Throws: ``UserFacingError`` when there is no such column, or it has no plain values.
    package func rows(of names: [String]) throws(UserFacingError) -> ParquetRows {
        var columns: [Int] = []
        for name in names { columns.append(try column(named: name)) }
        return ParquetRows(self, columns, groups: metadata.groups.indices)
    }

    private var topNames: [String] {
        var names: [String] = []
        for column in metadata.columns where names.last != column.path[0] { names.append(column.path[0]) }
        return names
    }
}

/// The rows of some row groups of a Parquet file in their order, as the values of some of its columns.
package struct ParquetRows {
    private let file: ParquetFile
    private let columns: [Int]
    private var readers: [ParquetColumnReader] = []
    /// The row groups that are read next, and how many rows are left of the one before.
    private var (groups, left): (Range<Int>, Int)

    init(_ file: ParquetFile, _ columns: [Int], groups: Range<Int>) {
        (self.file, self.columns, self.groups, left) = (file, columns, groups, 0)
    }

    /// The values of the next row, in the order of the columns; nil behind the last one.
    ///
    /// - Throws: ``UserFacingError`` that names the row group and the column that can't be read.
    package mutating func nextRow() throws(UserFacingError) -> [ParquetValue]? {
        while left == 0 {
            guard let next = groups.popFirst() else { return nil }
            readers = []
            for column in columns {
                readers.append(try ParquetColumnReader(file, column: column, rowGroup: next))
            }
            left = file.metadata.groups[next].rowCount
        }
        left -= 1
        var values: [ParquetValue] = []
        for index in readers.indices { values.append(try readers[index].next() ?? .null) }
        return values
    }
}
