internal import Formats

/// The sets that were evaluated: before and after, on the way, and what was forgotten.
extension RunPage {
    var sets: Section? {
        guard runs.contains(where: { !$0.sets.isEmpty }) else { return nil }
        let marks = runs.map { run in run.sets.map { parent(of: $0, in: run) } }
        let hasParent = marks.contains { $0.contains { $0 != nil } }
        var table = PageTable(
            "Bits per byte before and after training\(hasParent ? ", and the parent's" : "")",
            columns: [
                .init(title: "set", isNumeric: false), .init(title: "before"), .init(title: "after"),
                .init(title: "change"),
            ]
                + (hasParent ? [.init(title: "parent"), .init(title: "healed")] : []))
        var rows: [BarChart.Row] = []
        for (run, marks) in zip(runs, marks) {
            for (set, mark) in zip(run.sets, marks) {
                let unit = set.isInBits ? "" : " nats"
                func words(_ value: Double?) -> Markup {
                    value.map { "\(Units.fixed($0, digits: 4))\(unit)" } ?? "–"
                }
                var row: [Markup] = [
                    "\(run.prefix)\(.name(set.name))", words(set.before), words(set.after), set.change,
                ]
                if hasParent { row += [words(mark), set.healed(towards: mark)] }
                table.add(row)
                rows.append(
                    BarChart.Row(
                        name: "\(run.prefix)\(.name(set.name))",
                        figure: "\(words(set.before)) → <strong>\(words(set.after))</strong>", run: run.index,
                        shape: .way(from: set.before, to: set.after, mark: mark)))
            }
        }
        let chart = BarChart(
            id: "sets-chart", title: "Evaluation sets before and after",
            description:
                "For each set a way from the figure before training to that after it; less is better.",
            rows: rows)
        return Section(
            id: "sets", title: "Evaluation",
            content: """
                <p>Bits that the model needs for a byte of text: less is better. A ring is before, a dot is after\
                \(hasParent ? ", an upright line is the parent" : "").\
                \(hasParent ? " Healed is the part of the way back to the parent." : "")</p>
                <figure class="pair"><div>\(chart.markup)</div>
                \(table.markup)</figure>
                \(setCurves)
                """)
    }

    /// What the parent makes of a set: as it was given for the page, or as the run has measured it.
    private func parent(of set: RunSummary.Set, in run: RunSummary) -> Double? {
        parents.first { $0.set == set.name }.flatMap { $0.result.figure(inBits: set.isInBits) }
            ?? run.parent(of: set)
    }

    /// A curve for each set that was evaluated on the way, too.
    private var setCurves: [Markup] {
        let sets = runs.flatMap(\.sets).reduce(into: [RunSummary.Set]()) { known, set in
            if !known.contains(where: { $0.name == set.name }) { known.append(set) }
        }
        let ofSets = sets.filter { set in runs.contains { $0.evaluations(of: set.name).count > 2 } }
        return ofSets.enumerated().map { index, set in
            "<h3>\(.name(set.name))</h3>\n\(curve(of: set, number: index))"
        }
    }

    private func curve(of set: RunSummary.Set, number: Int) -> Markup {
        let shown = runs.filter { !$0.evaluations(of: set.name).isEmpty }
        let points = shown.map { $0.evaluations(of: set.name) }
        let parents = shown.map { parent(of: set, in: $0) }
        // Runs of one parent have one line.
        let isShared = Set(parents.compactMap(\.self)).count == 1
        var levels: [CurveChart.Level] = []
        for (run, parent) in zip(shown, parents) {
            guard let parent, !isShared || levels.isEmpty else { continue }
            levels.append(.init(label: isShared ? "parent" : "\(run.prefix)parent", value: parent))
        }
        let unit = set.isInBits ? "bits per byte" : "nats a token"
        let sentences = zip(shown, points).map { run, points in
            let (first, last) = (points[0], points[points.count - 1])
            return """
                \(run.sentenceStart)\(Units.fixed(first.value, digits: 4)) \(unit) after step \(Int(first.x)), \
                \(Units.fixed(last.value, digits: 4)) after step \(Int(last.x)).
                """
        }
        let yardsticks = levels.map { "The parent: \(Units.fixed($0.value, digits: 4))." }
        let chart = CurveChart(
            id: "set-\(number)-chart", title: "\(set.name) by step",
            description: (sentences + yardsticks).joined(separator: " "),
            curves: zip(shown, points).map { run, points in
                CurveChart.Curve(
                    label: "\(run.prefix)\(Units.fixed(points[points.count - 1].value, digits: 3))",
                    run: run.index, points: points, marks: run.marks(withCheckpoints: false), hasDots: true)
            }, levels: levels)
        var table = PageTable(
            "\(.name(set.name)): \(unit) by step",
            columns: [.init(title: "step")] + shown.map { .init(title: $0.columnTitle("model")) }
                + (levels.isEmpty ? [] : [.init(title: "parent")]))
        let steps = Set(points.joined().map(\.x)).sorted()
        for step in Self.some(steps) {
            let values = points.map { points in points.last { $0.x == step }?.value }
            let marks = levels.isEmpty ? [] : [levels.map { Units.fixed($0.value, digits: 4) }]
            table.add(
                ["\(Units.grouped(Int(step)))"]
                    + values.map { $0.map { "\(Units.fixed($0, digits: 4))" } ?? "–" }
                    + marks.map { "\($0.joined(separator: ", "))" })
        }
        return figure(chart, table)
    }

    /// At most twelve of a list, the first and the last among them.
    private static func some<Element>(_ list: [Element], most: Int = 12) -> [Element] {
        guard list.count > most else { return list }
        return (0..<most).map { list[$0 * (list.count - 1) / (most - 1)] }
    }

    // MARK: Forgetting

    /// What runs have forgotten where they have learned the same, of each pair of an old and a new set that they share.
    var forgetting: Section? {
        guard runs.count > 1 else { return nil }
        let names = runs.map { run in run.sets.filter(\.isInBits).map(\.name) }
        let shared = names[0].filter { name in names.allSatisfy { $0.contains(name) } }
        let old = shared.filter { name in runs.allSatisfy { $0.isOfOldDomain(name) } }
        let new = shared.filter { name in !runs.contains { $0.isOfOldDomain(name) } }
        let pairs = new.flatMap { new in old.map { (old: $0, new: new) } }
        let parts = pairs.enumerated().compactMap { forgetting(of: $1.old, for: $1.new, number: $0) }
        guard !parts.isEmpty else { return nil }
        return Section(
            id: "forgetting", title: "Forgetting",
            content: """
                <p>What a run forgets of the old domain for what it learns of the new one, both in bits per byte; a run that learns \
                less also forgets less, so runs compare where they have learned the same. Along the axis lies what the new one \
                needs, upwards what the old one has risen by: to the right more is learned, below less is forgotten.</p>
                \(parts)
                """)
    }

    private func forgetting(of old: String, for new: String, number: Int) -> Markup? {
        let curves = runs.map { $0.forgetting(of: old, for: new) }
        let lowest = curves.compactMap { $0.points.map(\.newDomain).min() }
        guard lowest.count == runs.count, curves.allSatisfy({ $0.points.count > 1 }),
            let equal = lowest.max()
        else { return nil }
        let rises = curves.map { $0.forgetting(at: equal) }
        func signed(_ value: Double?, digits: Int = 4) -> String {
            value.map { ($0 < 0 ? "−" : "+") + Units.fixed($0.magnitude, digits: digits) } ?? "–"
        }
        let chart = CurveChart(
            id: "forgetting-\(number)-chart", title: "\(old) forgotten for \(new) learned",
            description: "Where both need \(Units.fixed(equal, digits: 4)) bits per byte of \(new): "
                + zip(runs, rises).map { "\($0.sentenceStart)\(signed($1)) of \(old)." }.joined(
                    separator: " "),
            curves: zip(runs, curves).map { run, curve in
                CurveChart.Curve(
                    label: "\(run.prefix)\(signed(curve.points.last?.forgetting, digits: 3))", run: run.index,
                    points: curve.points.map { .init(x: $0.newDomain, value: $0.forgetting) }, hasDots: true)
            }, axis: .falling)
        var table = PageTable(
            "What \(.name(old)) has risen by, in bits per byte",
            columns: [.init(title: "when", isNumeric: false)] + runs.map { .init(title: $0.columnTitle("")) })
        table.add(
            ["where all need \(Units.fixed(equal, digits: 4)) of \(.name(new))"]
                + rises.map { "\(signed($0))" })
        table.add(["at the end"] + curves.map { "\(signed($0.points.last?.forgetting))" })
        table.add(
            ["\(.name(new)) at the end"]
                + curves.map { $0.points.last.map { "\(Units.fixed($0.newDomain, digits: 4))" } ?? "–" })
        return """
            <h3>\(.name(old)) forgotten for \(.name(new)) learned</h3>
            <figure class="pair"><div>\(chart.markup)</div>
            \(table.markup)</figure>
            """
    }
}
