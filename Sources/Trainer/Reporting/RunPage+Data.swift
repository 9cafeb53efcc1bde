internal import Formats

/// What a run was shown: the mixture, and the tokens that are new.
extension RunPage {
    var data: Section? {
        let sources = runs.flatMap { run in run.sources.map { (run, $0) } }
        guard !sources.isEmpty else { return nil }
        let isSynthetic = sources.contains { $0.1.figures.synthetic != nil }
        var table = PageTable(
            "What was shown of each source",
            columns: [
                .init(title: "source", isNumeric: false), .init(title: "tokens"), .init(title: "share"),
                .init(title: "asked"), .init(title: "passes"), .init(title: "coverage"),
            ] + (isSynthetic ? [.init(title: "synthetic")] : []))
        for (run, source) in sources {
            table.add(
                [
                    "\(run.prefix)\(.name(source.name))\(source.isReplay ? " <small>replay</small>" as Markup : "")",
                    "\(Units.count(source.figures.tokens))", "\(Units.percent(source.share))",
                    source.asked.map { "\(Units.percent($0))" } ?? "–",
                    "\(Units.fixed(source.figures.passes, digits: 2))",
                    "\(Units.percent(source.figures.coverage))",
                ] + (isSynthetic ? [source.syntheticShare.map { "\(Units.percent($0))" } ?? "–"] : []))
        }
        func rows(
            _ figure: (RunSummary.Source) -> String, _ shape: (RunSummary.Source) -> BarChart.Shape
        ) -> [BarChart.Row] {
            sources.map { run, source in
                .init(
                    name: "\(run.prefix)\(.name(source.name))", figure: "\(figure(source))", run: run.index,
                    shape: shape(source))
            }
        }
        let mixture = BarChart(
            id: "mixture-chart", title: "The mixture by source",
            description: "The share of each source in all tokens that were shown, and what was asked for.",
            rows: rows({ "\(Units.percent($0.share)) of \($0.asked.map(Units.percent) ?? "–")" }) {
                .bar($0.share, of: 1, mark: $0.asked)
            })
        let coverage = BarChart(
            id: "data-chart", title: "Coverage by source",
            description: "The share of each source's tokens that were shown at least once.",
            rows: rows({
                "\(Units.percent($0.figures.coverage)) seen, \(Units.fixed($0.figures.passes, digits: 2)) passes"
            }) { .bar($0.figures.coverage, of: 1) })
        return Section(
            id: "data", title: "Data",
            content: """
                <p>A bar of the mixture is a source's share of all tokens that were shown, an upright line the share that was \
                asked for. A pass is every token of a source once. Coverage is the part of its tokens that was shown at \
                least once.\(isSynthetic ? " Synthetic is the part of what was shown that is marked as text which nobody has written." as Markup : "")</p>
                <figure class="pair"><div>
                <h3>Mixture</h3>
                \(mixture.markup)
                <h3>Coverage</h3>
                \(coverage.markup)
                </div>
                \(table.markup)</figure>
                """)
    }

    /// How often the tokens that the surgery has added were targets.
    var exposure: Section? {
        let parts = runs.compactMap { run in run.exposure.map { exposure($0, of: run) } }
        guard !parts.isEmpty else { return nil }
        return Section(
            id: "exposure", title: "New tokens",
            content: """
                <p>How often the tokens that the surgery has added were what the model had to predict. One that was hardly ever \
                seen still has about the rows that the surgery gave it.</p>
                \(parts)
                """)
    }

    private func exposure(_ summary: ExposureSummary, of run: RunSummary) -> Markup {
        func times(_ band: ExposureSummary.Band) -> String {
            switch (band.least, band.most) {
            case (0, 0): "never"
            case (let least, nil): "\(Units.grouped(least)) times or more"
            case (let least, let most?): "\(least)–\(most) times"
            }
        }
        var table = PageTable(
            "New tokens\(run.ofRun) by how often they were targets",
            columns: [
                .init(title: "seen", isNumeric: false), .init(title: "tokens"), .init(title: "share"),
            ])
        var rows: [BarChart.Row] = []
        for band in summary.bands {
            let share = Units.percent(Double(band.tokens) / Double(max(1, summary.tokens)))
            table.add(["\(times(band))", "\(Units.grouped(band.tokens))", "\(share)"])
            rows.append(
                BarChart.Row(
                    name: "\(times(band))", figure: "\(Units.grouped(band.tokens))", run: run.index,
                    shape: .bar(Double(band.tokens), of: Double(summary.tokens))))
        }
        let chart = BarChart(
            id: "exposure-\(run.index)-chart", title: "New tokens by how often they were targets",
            description: "How many of \(Units.grouped(summary.tokens)) new tokens were seen how often.",
            rows: rows)
        var rarest = PageTable(
            "The rarest new tokens\(run.ofRun)",
            columns: [
                .init(title: "token", isNumeric: false), .init(title: "id"), .init(title: "as a target"),
                .init(title: "as an input"),
            ])
        for token in summary.rarest {
            rarest.add([
                "\(.name(token.text))", "\(String(token.id))",
                "\(Units.grouped(token.targets))", "\(Units.grouped(token.inputs))",
            ])
        }
        return """
            \(isAlone ? "" : "<h3>\(run.prefix)\(.name(run.title))</h3>" as Markup)
            <figure class="pair"><div>\(chart.markup)</div>
            <div>\(table.markup)
            \(rarest.isEmpty ? "" : rarest.markup)</div></figure>
            """
    }
}
