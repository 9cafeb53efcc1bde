/// Which values beside the text documents of a table bring along.
///
/// Lines of JSON bring all of theirs.
package enum TextFields: Sendable, Equatable {
    case none, all
    /// The columns of these names, or the structures.
    case named([String])
}

/// The texts in a column of a Parquet file, read in order and some at a time.
///
/// A row is what a line is in other files: it has a document, or is refused or passed over.
struct ParquetTexts {
    /// What the rows of a batch have in common.
    struct Rows: Sendable {
        /// The row group, in words.
        let place: String
        /// The column.
        let column: String
        /// Which rows of the batch have no text.
        let nulls: Set<Int>
        /// The rows as objects of JSON whose text is empty, where other columns are read, too.
        let objects: [UInt8]
        /// Where the objects lie; empty where no other columns are read.
        let places: [Range<Int>]
    }

    private let parquet: ParquetFile
    private let column: Int
    private let fields: ParquetFields?
    private let file: TextFile
    private let reader: DocumentReader

    /// How many bytes of text are handed out at a time; a longer text is handed out alone.
    private static let batchSize = 8 << 20
    /// How many rows are handed out at a time, however short their texts are.
    private static let batchRows = 1 << 16

    /// Finds the column of the texts.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - options: how documents are read.
    ///   - fields: which other columns are read.
    /// - Throws: ``UserFacingError`` when the file is damaged, or has no such columns.
    init(_ file: TextFile, _ options: TextOptions, fields: TextFields = .none) throws(UserFacingError) {
        parquet = try ParquetFile(file.file)
        column = try parquet.textColumn(named: options.textKey)
        self.fields =
            switch fields {
            case .none: nil
            case .all: try ParquetFields(parquet, text: column, wanted: nil)
            case .named(let names): try ParquetFields(parquet, text: column, wanted: names)
            }
        self.file = file
        reader = DocumentReader(options)
    }

    /// The bytes that the texts of each row group take in the file.
    var groupSizes: [Int] { parquet.metadata.groups.map { $0.chunks[column].size } }

    /// The columns beside that of the texts.
    var columns: [String] {
        parquet.metadata.columns.enumerated().filter { $0.offset != column }.map(\.element.name)
    }

    /// The columns that would be read and can't be.
    var unreadColumns: [String] { fields?.unread ?? [] }

    /// Reads the texts of all row groups, or of one.
    ///
    /// - Throws: ``UserFacingError`` when the file can't be read, and what `visit` throws.
    func forEachBatch(
        ofRowGroup only: Int? = nil, _ visit: (DocumentBatch) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        let groups = parquet.metadata.groups
        var (firstRow, offset) = (1, 0)
        for (number, group) in groups.enumerated() {
            if only == nil || only == number {
                try forEachBatch(
                    of: number, firstRow: firstRow, "row group \(number + 1) of \(groups.count)", &offset,
                    visit)
            }
            firstRow += group.rowCount
        }
    }

    private func forEachBatch(
        of group: Int, firstRow: Int, _ place: String, _ offset: inout Int,
        _ visit: (DocumentBatch) throws(UserFacingError) -> Void
    ) throws(UserFacingError) {
        var values = try ParquetColumnReader(parquet, column: column, rowGroup: group)
        var others = fields?.rows(ofRowGroup: group)
        var row = firstRow
        while true {
            var (bytes, parts, nulls): ([UInt8], [Range<Int>], Set<Int>) = ([], [], [])
            var (objects, places): ([UInt8], [Range<Int>]) = ([], [])
            while bytes.count + objects.count < Self.batchSize, parts.count < Self.batchRows,
                let value = try values.next()
            {
                let start = bytes.count
                if case .bytes(let text) = value { bytes += text } else { nulls.insert(parts.count) }
                parts.append(start..<bytes.count)
                guard others != nil else { continue }
                let place = objects.count
                try others?.appendNext(to: &objects)
                places.append(place..<objects.count)
            }
            guard !parts.isEmpty else { return }
            try visit(
                DocumentBatch(
                    bytes, parts,
                    Rows(
                        place: place, column: parquet.metadata.columns[column].name, nulls: nulls,
                        objects: objects, places: places), of: file, reader, offset: offset, firstRow: row,
                    readTo: values.position))
            row += parts.count
            offset += bytes.count
        }
    }
}
