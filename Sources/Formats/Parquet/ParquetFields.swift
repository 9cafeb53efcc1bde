/// The columns of a Parquet file beside that of the texts, row by row, as objects of JSON.
///
/// Days are written as `2024-05-17`, moments of UTC as `2024-05-17T10:00:00.5Z`, and those of a place that is not told without `Z`;
/// times of day and durations as the whole numbers that are stored; numbers that JSON has not, NaN and infinities, as null. What lies in a structure is an object in the object.
struct ParquetFields: Sendable {
    private let file: ParquetFile
    /// The others that are read, in the file's order.
    private let columns: [Int]
    /// The column of the texts.
    private let text: Int
    /// The names of those that are not.
    let unread: [String]

    /// Finds the columns.
    ///
    /// - Parameters:
    ///   - file: the file.
    ///   - text: the column of the texts, which is an empty text in the objects.
    ///   - wanted: the names of columns to read; nil for all that can be.
    /// - Throws: ``UserFacingError`` when one is wanted that has no plain values. One that is not there is passed over, because
    ///   another file may have it.
    init(_ file: ParquetFile, text: Int, wanted: [String]?) throws(UserFacingError) {
        let all = file.metadata.columns
        func isWanted(_ column: ParquetColumn) -> Bool {
            wanted?.contains { $0 == column.name || column.name.hasPrefix($0 + ".") } ?? true
        }
        var (columns, unread): ([Int], [String]) = ([], [])
        for (index, column) in all.enumerated() where index != text && isWanted(column) {
            if column.isReadable, column.storage != .bytes || column.meaning == .text {
                columns.append(index)
            } else if wanted != nil {
                throw .wrongColumn(
                    path: file.file.path, name: column.name,
                    found: column.kind, expected: "a column of plain values")
            } else {
                unread.append(column.name)
            }
        }
        (self.file, self.text, self.columns, self.unread) = (file, text, columns, unread)
    }

    /// The rows of a row group.
    func rows(ofRowGroup group: Int) -> Rows {
        Rows(
            columns: (columns + [text]).sorted().map { ($0 == text, file.metadata.columns[$0]) },
            values: ParquetRows(file, columns, groups: group..<group + 1))
    }

    /// The rows of a row group, one after the other.
    struct Rows {
        /// All columns, that of the texts among them.
        fileprivate let columns: [(isText: Bool, ParquetColumn)]
        /// Those of the others.
        fileprivate var values: ParquetRows

        /// Appends the next row's object.
        mutating func appendNext(to bytes: inout [UInt8]) throws(UserFacingError) {
            var values = (try self.values.nextRow() ?? [])[...]
            // The structures that the column before lay in.
            var open: [String] = []
            var isFirst = true
            bytes.append(UInt8(ascii: "{"))
            for (isText, column) in columns {
                let parents = column.path.dropLast()
                while !parents.starts(with: open) {
                    open.removeLast()
                    bytes.append(UInt8(ascii: "}"))
                }
                for name in column.path[open.count...] {
                    if !isFirst { bytes.append(UInt8(ascii: ",")) }
                    bytes.append(jsonString: name.utf8)
                    bytes.append(UInt8(ascii: ":"))
                    isFirst = open.count < parents.count
                    if isFirst {
                        open.append(name)
                        bytes.append(UInt8(ascii: "{"))
                    }
                }
                column.append(isText ? .bytes([]) : values.popFirst() ?? .null, to: &bytes)
            }
            bytes += [UInt8](repeating: UInt8(ascii: "}"), count: open.count + 1)
        }
    }
}

extension ParquetColumn {
    /// Appends a value as JSON.
    fileprivate func append(_ value: ParquetValue, to bytes: inout [UInt8]) {
        switch value {
        case .null: bytes.append(contentsOf: "null".utf8)
        case .boolean(let flag): bytes.append(contentsOf: (flag ? "true" : "false").utf8)
        case .unsigned(let number): bytes.append(contentsOf: "\(number)".utf8)
        case .integer(let number):
            switch meaning {
            case .day: bytes.append(contentsOf: "\"\(CivilDay(sinceEpoch: number))\"".utf8)
            case .moment(let perSecond, let isUTC):
                let moment = CivilDay.moment(number, perSecond: perSecond)
                bytes.append(contentsOf: "\"\(moment)\(isUTC ? "Z" : "")\"".utf8)
            default: bytes.append(contentsOf: "\(number)".utf8)
            }
        case .number(let number):
            guard number.isFinite else { return bytes.append(contentsOf: "null".utf8) }
            // The shortest decimals that name the number as it is stored.
            bytes.append(contentsOf: (storage == .float ? "\(Float(number))" : "\(number)").utf8)
        case .bytes(let text): bytes.append(jsonString: String(decoding: text, as: UTF8.self).utf8)
        }
    }
}
