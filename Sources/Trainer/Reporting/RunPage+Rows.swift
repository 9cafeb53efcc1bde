internal import Formats

extension RunPage {
    /// How near both readings came, of runs that have distilled rows.
    var rows: Section? {
        let distilled = runs.filter { $0.history.steps.contains { $0.rows != nil } }
        if distilled.isEmpty { return nil }
        let figures: [Markup] = distilled.map { run in
            run.table(
                "Both readings", RunSummary.some(of: run.history.steps.filter { $0.rows != nil }),
                [
                    ("mean square", { $0.rows.map { Units.fixed($0.meanSquare, digits: 5) } }),
                    ("cross entropy", { $0.rows?.crossEntropy.map { Units.fixed($0, digits: 4) } }),
                    ("places", { $0.rows.map { Units.grouped($0.places) } }),
                ])
        }
        let chart = CurveChart(
            id: "rows-chart", title: "Mean square by step",
            description: distilled.map(\.rowsWords).joined(separator: " "),
            curves: distilled.map { run in
                run.curve(run.mean(run.squares), behind: run.squares) { Units.fixed($0, digits: 5) }
            }, beginsWithZero: true)
        return Section(
            id: "rows", title: "New rows",
            content: """
                <p>How far a text in the new tokens is from the same text in the old ones: the mean square of the difference behind \
                the layer at which both are compared.</p>
                <figure class="pair"><div>\(chart.markup)</div>
                \(figures)</figure>
                """)
    }
}

extension RunSummary {
    /// The mean square of each step that has distilled rows.
    fileprivate var squares: [CurveChart.Point] {
        history.steps.compactMap { step in
            step.rows.map { .init(step: step.step, value: $0.meanSquare) }
        }
    }

    /// How near both readings came.
    fileprivate var rowsWords: String {
        """
        \(sentenceStart)the mean square is \(Units.fixed(squares.first?.value ?? 0, digits: 5)) at first and \
        \(Units.fixed(squares.last?.value ?? 0, digits: 5)) at last.
        """
    }
}
