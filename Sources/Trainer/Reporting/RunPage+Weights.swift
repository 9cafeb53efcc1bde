internal import Formats

/// What a run has moved, and what was meant to be moved in a way of its own.
extension RunPage {
    /// How far each part of the model has moved.
    var drift: Section? {
        let shown = runs.map { ($0, $0.drift) }.filter { !$0.1.isEmpty }
        guard !shown.isEmpty else { return nil }
        let curves = shown.map { run, parts in
            let layers = parts.compactMap { part in part.layer.map { (Double($0), part) } }
            return CurveChart.Curve(
                label: "\(run.prefix)\(layers.last?.1.shareWords ?? "")", run: run.index,
                points: layers.compactMap { layer, part in
                    part.share.map { .init(x: layer, value: 100 * $0) }
                },
                marks: layers.filter { $0.1.isNew }.map { .init(x: $0.0, kind: .kept) }, hasDots: true)
        }
        let words = shown.map { run, parts in
            let layers = parts.filter { $0.layer != nil && $0.share != nil }
            guard let least = layers.min(by: { ($0.share ?? 0) < ($1.share ?? 0) }),
                let most = layers.max(by: { ($0.share ?? 0) < ($1.share ?? 0) })
            else { return "" }
            return """
                \(run.sentenceStart)\(least.part) has moved least, by \(least.shareWords), and \(most.part) most, by \
                \(most.shareWords).
                """
        }
        let chart = CurveChart(
            id: "drift-chart", title: "What each layer was moved by, as a share of its weights",
            description: words.joined(separator: " "), curves: curves,
            unit: " %", beginsWithZero: true)
        let hasOrigins = shown.contains { $0.1.contains { $0.origin != nil } }
        let names = shown.flatMap { $0.1.map(\.name) }.reduce(into: [String]()) {
            if !$0.contains($1) { $0.append($1) }
        }
        var table = PageTable(
            isAlone ? "What was moved by how much" : "What was moved by how much, as a share of its weights",
            columns: [.init(title: "part", isNumeric: false)]
                + (isAlone ? [.init(title: "‖Δθ‖"), .init(title: "‖Δθ‖ / ‖θ‖")] : [])
                + (isAlone ? [] : shown.map { .init(title: $0.0.columnTitle("share")) }))
        for name in names {
            let parts = shown.map { _, parts in parts.first { $0.name == name } }
            let isNew = parts.contains { $0?.isNew == true }
            let head: Markup = "\(name)\(isNew ? " <small>new</small>" as Markup : "")"
            table.add(
                [head] + (isAlone ? parts.map { "\($0?.distanceWords ?? "–")" } : [])
                    + parts.map { "\($0?.shareWords ?? "–")" })
        }
        return Section(
            id: "drift", title: "What moved",
            content: """
                <p>How far the weights lie from where the run began: the length of the difference as a share of the length of \
                the weights, layer by layer. What is frozen has not moved.\
                \(hasOrigins ? " Ticks on the axis are layers that the surgery has added." : "")</p>
                <figure class="pair"><div>\(chart.markup)</div>
                \(table.markup)</figure>
                """)
    }

    /// What was moved in a way of its own.
    var groups: Section? {
        let parts = runs.compactMap { run -> Markup? in
            guard let rows = run.fact("groups")?.array, !rows.isEmpty else { return nil }
            let hasStages = rows.contains { $0["stage"]?.string != nil }
            var table = PageTable(
                "Who got what\(run.ofRun)",
                columns: (hasStages ? [.init(title: "stage", isNumeric: false)] : [])
                    + [
                        .init(title: "group", isNumeric: false), .init(title: "tensors"),
                        .init(title: "numbers"), .init(title: "rate"), .init(title: "decay"),
                    ])
            for row in rows {
                let isFrozen = row["frozen"]?.bool == true
                func number(_ key: String) -> Markup {
                    isFrozen
                        ? "frozen" : row[key]?.double.map { "\(RunSummary.words(JSON($0)))" } ?? "as usual"
                }
                table.add(
                    (hasStages ? ["\(row["stage"]?.string ?? "")"] : [])
                        + [
                            "\(row["name"]?.string ?? "")", "\(Units.grouped(row["tensors"]?.int ?? 0))",
                            "\(Units.grouped(row["parameters"]?.int ?? 0))", number("rate"), number("decay"),
                        ])
            }
            return table.markup
        }
        guard !parts.isEmpty else { return nil }
        return Section(
            id: "groups", title: "Groups",
            content: """
                <p>What was moved in a way of its own, the first rule that matches counting. A rate is a share of the run's.</p>
                \(parts)
                """)
    }
}

extension Drift {
    /// What a table calls the part.
    fileprivate var name: String { rows.map { "\(part), \($0.rawValue) rows" } ?? part }

    /// Whether the surgery has made the layer.
    fileprivate var isNew: Bool { origin.map { $0 != LayerOrigins.Kind.original.rawValue } ?? false }

    /// The distance in words: exactly 0 where nothing moved.
    fileprivate var distanceWords: String {
        distance == 0 ? "0" : Units.fixed(distance, digits: distance < 0.1 ? 5 : 3)
    }

    /// The share in words: exactly 0 where nothing moved.
    fileprivate var shareWords: String {
        guard let share else { return "from zero" }
        return share == 0 ? "0 %" : Units.fixed(100 * share, digits: share < 0.1 ? 2 : 1) + " %"
    }
}
