/// A table of a page: a caption, a column of row headings, and columns of figures or words.
struct PageTable {
    /// A column's heading and whether figures stand in it.
    struct Column {
        let title: Markup
        var isNumeric = true

        fileprivate var attribute: Markup { isNumeric ? " class=\"number\"" : "" }
    }

    private let caption: Markup
    private let columns: [Column]
    private var rows: [[Markup]] = []

    /// A table without rows; the first column has the rows' headings.
    init(_ caption: Markup, columns: [Column]) { (self.caption, self.columns) = (caption, columns) }

    /// Whether there are no rows.
    var isEmpty: Bool { rows.isEmpty }

    /// Adds a row of one text a column.
    mutating func add(_ row: [Markup]) { rows.append(row) }

    var markup: Markup {
        """
        <div class="table"><table>
        <caption>\(caption)</caption>
        <thead><tr>\(columns.map { column -> Markup in
            "<th scope=\"col\"\(column.attribute)>\(column.title)</th>"
        })</tr></thead>
        <tbody>
        \(rows.map(line))
        </tbody>
        </table></div>
        """
    }

    private func line(_ row: [Markup]) -> Markup {
        let cells = zip(columns, row).enumerated().map { index, cell -> Markup in
            let (column, text) = cell
            return index == 0
                ? "<th scope=\"row\"\(column.attribute)>\(text)</th>" : "<td\(column.attribute)>\(text)</td>"
        }
        return "<tr>\(cells)</tr>"
    }
}
