/// Rows with a name, a figure, and a bar or a way from one figure to another.
struct BarChart {
    /// A row.
    struct Row {
        let name: Markup
        let figure: Markup
        /// Which of the page's runs it is of.
        let run: Int
        let shape: Shape
    }

    /// What a row shows of its figures.
    enum Shape {
        /// A bar from zero before a thin one of the whole, and a mark of what was meant.
        case bar(Double, of: Double?, mark: Double? = nil)
        /// A line from one figure to another, and a mark.
        case way(from: Double?, to: Double?, mark: Double?)
    }

    /// A name that no other picture of the page has.
    let id: String
    let title: String
    /// What the picture shows, in words.
    let description: String
    let rows: [Row]

    private static let rowHeight = 56

    var markup: Markup {
        let values = rows.flatMap { row -> [Double] in
            switch row.shape {
            case .bar(let value, let whole, let mark): [0, value, whole ?? 0, mark ?? 0]
            case .way(let from, let to, let mark): [from, to, mark].compactMap(\.self)
            }
        }
        let (low, high) = (values.min() ?? 0, values.max() ?? 1)
        func x(_ value: Double) -> Markup {
            .place(12 + 976 * (high > low ? (value - low) / (high - low) : 0.5))
        }
        let height = rows.count * Self.rowHeight
        return """
            <div class="rows" style="height:\(height)px">
            <svg viewBox="0 0 1000 \(height)" preserveAspectRatio="none" role="img" \
            aria-labelledby="\(id)-title \(id)-words">
            <title id="\(id)-title">\(title)</title>
            <desc id="\(id)-words">\(description)</desc>
            \(rows.enumerated().map { index, row in
                Self.drawn(row, at: index * Self.rowHeight + 38, x)
            })
            </svg>
            <div class="labels" aria-hidden="true">
            \(rows.enumerated().map { index, row -> Markup in
                """
                <div class="row" style="top:\(index * Self.rowHeight)px"><span class="what">\(row.name)</span>\
                <span class="figure">\(row.figure)</span></div>
                """
            })
            </div>
            </div>
            """
    }

    private static func drawn(_ row: Row, at y: Int, _ x: (Double) -> Markup) -> Markup {
        var paths: [Markup] = []
        switch row.shape {
        case .bar(let value, let whole, let mark):
            paths.append("<path class=\"track\" d=\"M\(x(0)) \(y)H\(x(whole ?? value))\"/>")
            if value > 0 {
                paths.append("<path class=\"bar run\(row.run)\" d=\"M\(x(0)) \(y)H\(x(value))\"/>")
            }
            if let mark { paths.append(yardstick(x(mark), y)) }
        case .way(let from, let to, let mark):
            paths.append("<path class=\"track\" d=\"M12 \(y)H988\"/>")
            if let mark { paths.append(yardstick(x(mark), y)) }
            if let from, let to {
                paths.append("<path class=\"way run\(row.run)\" d=\"M\(x(from)) \(y)H\(x(to))\"/>")
            }
            if let from {
                paths.append("<path class=\"dot run\(row.run)\" d=\"M\(x(from)) \(y)h.01\"/>")
                paths.append("<path class=\"dot hole\" d=\"M\(x(from)) \(y)h.01\"/>")
            }
            if let to { paths.append("<path class=\"dot run\(row.run)\" d=\"M\(x(to)) \(y)h.01\"/>") }
        }
        return .joined(paths)
    }

    private static func yardstick(_ x: Markup, _ y: Int) -> Markup {
        "<path class=\"yardstick\" d=\"M\(x) \(y - 9)v18\"/>"
    }
}
