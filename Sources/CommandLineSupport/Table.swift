/// A plain table: columns two spaces apart, no lines but one under the header.
public struct Table: CustomStringConvertible {
    /// Where a column's texts stand.
    public enum Alignment: Sendable {
        /// At the left, as words do.
        case left
        /// At the right, as numbers do.
        case right
    }

    private let header: [String]
    private let alignments: [Alignment]
    private var rows: [[String]] = []

    /// A table without rows.
    ///
    /// - Parameter columns: each column's name, which may be empty, and where its texts stand.
    ///   Without any name there is no header.
    public init(columns: [(name: String, alignment: Alignment)]) {
        header = columns.map(\.name)
        alignments = columns.map(\.alignment)
    }

    /// Adds a row of one text a column; missing ones are empty.
    public mutating func add(_ row: String...) {
        add(row)
    }

    /// Adds a row of one text a column; missing ones are empty.
    public mutating func add(_ row: [String]) {
        precondition(row.count <= header.count, "a row has at most a text a column")
        rows.append(row + Array(repeating: "", count: header.count - row.count))
    }

    /// The table's lines, none of which ends in a space or a line feed.
    public var description: String {
        let hasHeader = header.contains { !$0.isEmpty }
        let widths = header.indices.map { column in
            (rows + [header]).map { $0[column].count }.max() ?? 0
        }
        let rule = widths.map { String(repeating: "─", count: $0) }
        let lines = (hasHeader ? [header, rule] : []) + rows
        return lines.map { line(of: $0, widths: widths) }.joined(separator: "\n")
    }

    private func line(of row: [String], widths: [Int]) -> String {
        var line = ""
        for (column, text) in row.enumerated() {
            let space = String(repeating: " ", count: widths[column] - text.count)
            line += (column == 0 ? "" : "  ") + (alignments[column] == .left ? text + space : space + text)
        }
        while line.last == " " { line.removeLast() }
        return line
    }
}
