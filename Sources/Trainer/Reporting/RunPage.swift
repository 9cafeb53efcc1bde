internal import Formats

/// Runs as one page that needs nothing from elsewhere: curves, sets, data, events, the job and the surgery before it.
///
/// Every picture has a title, a description and a table of its figures. Colours follow the reader's choice of light or dark.
public struct RunPage {
    let runs: [RunSummary]
    let parents: [(set: String, result: EvaluationResult)]

    /// A page.
    ///
    /// - Parameters:
    ///   - runs: one, or several to compare.
    ///   - parents: what the model that was grown, or that is to be reached, makes of sets of the same names.
    public init(_ runs: [RunHistory], parents: [(set: String, result: EvaluationResult)] = []) {
        self.runs = runs.enumerated().map { RunSummary($1, index: $0, isAlone: runs.count == 1) }
        self.parents = parents
    }

    /// How many runs a page has colours for.
    public static let mostRuns = 4

    /// The page's bytes.
    public var html: [UInt8] { Array(document.text.utf8) }

    var isAlone: Bool { runs.count == 1 }

    private var document: Markup {
        let sections = [
            loss, rows, teacher, sets, forgetting, data, exposure, drift, rate, groups, throughput, events,
            job,
            surgery,
        ].compactMap(\.self)
        let title = runs.map(\.title).joined(separator: " and ")
        return """
            <!DOCTYPE html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>\(title): training report</title>
            <style>
            \(PageStyle.text)
            </style>
            </head>
            <body>
            <a class="skip" href="#content">To the report</a>
            <header>
            <p class="kind">Training report</p>
            <h1>\(Markup.separated(runs.map { .name($0.title) }, by: " <span class=\"quiet\">and</span> "))</h1>
            \(runs.map(\.overview))
            <nav aria-label="Sections"><ul>
            \(sections.map { "<li><a href=\"#\($0.id)\">\($0.title)</a></li>" as Markup })
            </ul></nav>
            </header>
            <main id="content">
            \(sections.map { section -> Markup in
                """
                <section aria-labelledby="\(section.id)">
                <h2 id="\(section.id)">\(section.title)</h2>
                \(section.content)
                </section>
                """
            })
            </main>
            </body>
            </html>

            """
    }

    struct Section {
        let id: String
        let title: String
        let content: Markup
    }

    // MARK: Curves

    private var loss: Section? {
        let curves = runs.map { run in
            run.curve(run.meanLoss, behind: run.history.steps.map { .init(step: $0.step, value: $0.loss) }) {
                Units.fixed($0, digits: 3)
            }
        }
        let words = runs.map { run in
            guard let first = run.meanLoss.first, let last = run.meanLoss.last else { return "" }
            return """
                \(run.sentenceStart)the loss goes from \(Units.fixed(first.value, digits: 3)) after step \(Int(first.x)) to \
                \(Units.fixed(last.value, digits: 3)) after step \(Int(last.x)).
                """
        }.joined(separator: " ")
        let mean = runs.map(\.window).max() ?? 1
        return section(
            "loss", "Loss", "The mean cross entropy of a token, in nats, before each step moved the weights.",
            CurveChart(id: "loss-chart", title: "Loss by step", description: words, curves: curves),
            note: (mean > 1
                ? "The strong line is the mean of the last \(mean) steps, the faint one each step. " : "")
                + marksNote
        ) { run, index in
            let step = run.history.steps[index]
            return [
                .init("mean", Units.fixed(run.meanLoss[index].value, digits: 4)),
                .init("loss", Units.fixed(step.loss, digits: 4)),
            ]
        }
    }

    /// What the marks in the curves are, as far as there are any.
    var marksNote: String {
        let kinds = runs.flatMap { $0.marks(withCheckpoints: true) }.map(\.kind)
        return CurveChart.Mark.Kind.allCases.filter(kinds.contains).map(\.words).joined(separator: " ")
    }

    private var rate: Section? {
        let rates = CurveChart(
            id: "rate-chart", title: "Learning rate by step",
            description: words(of: "learning rate", \.lr, RunSummary.rate),
            curves: runs.map { run in
                run.curve(run.points(\.lr), marked: false, label: RunSummary.rate)
            }, format: RunSummary.rate, beginsWithZero: true)
        let norms = CurveChart(
            id: "norm-chart", title: "Gradient norm by step",
            description: words(of: "gradient norm", \.gradNorm) { Units.fixed($0, digits: 2) },
            curves: runs.map { run in
                let points = run.points(\.gradNorm)
                return run.curve(run.mean(points), behind: points, marked: false) {
                    Units.fixed($0, digits: 2)
                }
            }, beginsWithZero: true)
        return Section(
            id: "optimizer", title: "Optimizer",
            content: """
                <h3>Learning rate</h3>
                \(figure(rates, table("Learning rate by step: some of the steps") { run, index in
                    [.init("rate", RunSummary.rate(run.history.steps[index].lr))]
                }))
                <h3>Gradient norm</h3>
                \(figure(norms, table("Gradient norm before clipping: some of the steps") { run, index in
                    [.init("norm", Units.fixed(run.history.steps[index].gradNorm, digits: 3))]
                }))
                """)
    }

    private var throughput: Section? {
        let speeds = CurveChart(
            id: "speed-chart", title: "Tokens a second by step",
            description: runs.map { run in
                "\(run.sentenceStart)\(Units.grouped(Int(run.tokensPerSecond))) tokens a second over all steps."
            }.joined(separator: " "),
            curves: runs.map { run in
                run.curve(run.mean(run.speeds), behind: run.speeds, marked: false) { Units.count(Int($0)) }
            }, format: { Units.count(Int($0)) }, beginsWithZero: true)
        let memory = memoryTable
        return Section(
            id: "throughput", title: "Throughput and memory",
            content: """
                <h3>Tokens a second</h3>
                \(figure(speeds, table("Tokens a second: some of the steps") { run, index in
                    [
                        .init("tokens/s", Units.grouped(Int(run.speeds[index].value))),
                        .init("seconds", Units.fixed(run.history.steps[index].seconds, digits: 2)),
                    ]
                }))
                \(memory.map { "<h3>Memory</h3>\n\($0)" as Markup } ?? "")
                """)
    }

    private var memoryTable: Markup? {
        guard runs.contains(where: { $0.fact("memory")?.object?.isEmpty == false }) else { return nil }
        let taught = runs.contains { $0.fact("memory")?["teacher"] != nil }
        let parts =
            ["weights", "gradients", "moments", "activations", "data"] + (taught ? ["teacher"] : [])
            + ["program"]
        let planned = runs.map { run in parts.map { run.fact("memory")?[$0]?.int } }
        let charts = zip(runs, planned).map { run, values -> [BarChart.Row] in
            let total = values.reduce(0) { $0 + ($1 ?? 0) }
            return zip(parts, values).compactMap { part, value in
                value.map {
                    BarChart.Row(
                        name: "\(run.prefix)\(part)", figure: "\(Units.bytes($0))", run: run.index,
                        shape: .bar(Double($0), of: Double(total)))
                }
            }
        }
        var table = PageTable(
            "Memory: what the shape of the run asks for, and the most that was held",
            columns: [.init(title: "what for", isNumeric: false)]
                + runs.map { .init(title: $0.columnTitle("bytes")) })
        for (index, part) in parts.enumerated() {
            table.add(["\(part)"] + planned.map { $0[index].map { "\(Units.bytes($0))" } ?? "–" })
        }
        table.add(["all, planned"] + planned.map { "\(Units.bytes($0.reduce(0) { $0 + ($1 ?? 0) }))" })
        table.add(["most that was held"] + runs.map { $0.peakMemory.map { "\(Units.bytes($0))" } ?? "–" })
        return """
            <figure class="pair"><div>\(BarChart(
                id: "memory-chart", title: "Memory by what it is for",
                description: "What was planned, each part beside the whole.", rows: charts.flatMap { $0 }
            ).markup)</div>
            \(table.markup)</figure>
            """
    }

    // MARK: What happened, and what was asked for

    private var events: Section? {
        var tables: [Markup] = []
        for run in runs where !run.history.occurrences.isEmpty {
            var table = PageTable(
                "What happened\(run.ofRun)",
                columns: [
                    .init(title: "after step"), .init(title: "when", isNumeric: false),
                    .init(title: "what", isNumeric: false),
                ])
            for (occurrence, words) in run.happenings {
                table.add([
                    "\(Units.grouped(occurrence.step))",
                    occurrence.time.map(RunSummary.readable) ?? "–",
                    "\(words)",
                ])
            }
            tables.append(table.markup)
        }
        return tables.isEmpty ? nil : Section(id: "events", title: "Events", content: "\(tables)")
    }

    private var job: Section? {
        let settings = runs.map(\.settings)
        let names = settings.flatMap { $0.map(\.name) }.reduce(into: [String]()) {
            if !$0.contains($1) { $0.append($1) }
        }
        guard !names.isEmpty else { return nil }
        var table = PageTable(
            isAlone ? "Every setting of the run" : "Every setting of the runs; those that differ are marked",
            columns: [.init(title: "setting", isNumeric: false)]
                + runs.map { .init(title: $0.columnTitle("value"), isNumeric: false) })
        for name in names {
            let values = settings.map { list in list.first { $0.name == name }?.value ?? "–" }
            let differs = Set(values).count > 1
            table.add(
                ["\(name)\(differs ? " <small>differs</small>" as Markup : "")"]
                    + values.map { differs ? "<strong>\($0)</strong>" : "\($0)" })
        }
        return Section(
            id: "job", title: "Job",
            content:
                "<p>The job as it was carried out, everything that was left open settled.</p>\n\(table.markup)"
        )
    }

    /// What trying ways in which new rows may begin has found; nil where none were tried.
    private func rowProbe(_ found: JSON?) -> Markup? {
        guard let found, let methods = found["methods"]?.array else { return nil }
        let chosen = found["chosen"]?.string
        var table = PageTable(
            "How new rows could begin: bits per byte of held-back text, before and after \(found["steps"]?.int ?? 0) steps",
            columns: [
                .init(title: "method", isNumeric: false), .init(title: "before"), .init(title: "after"),
            ])
        for method in methods {
            let name = method["init"]?.string ?? "?"
            func number(_ key: String) -> Markup {
                "\(method[key]?.double.map { Units.fixed($0, digits: 4) } ?? "–")"
            }
            table.add([
                name == chosen ? "<strong>\(name)</strong>" : "\(name)", number("bits_per_byte_before"),
                number("bits_per_byte_after"),
            ])
        }
        return table.markup
    }

    private var surgery: Section? {
        let parts = runs.compactMap { run -> Markup? in
            guard let operations = run.fact("surgery")?.array, !operations.isEmpty else { return nil }
            var table = PageTable(
                "What had been done to the model\(run.ofRun), oldest first",
                columns: [
                    .init(title: ""), .init(title: "operation", isNumeric: false),
                    .init(title: "parameters", isNumeric: false),
                ])
            for (index, operation) in operations.enumerated() {
                let parameters = operation["parameters"]?.object ?? JSONObject()
                table.add([
                    "\(index + 1)", "\(operation["name"]?.string ?? "?")",
                    parameters.isEmpty
                        ? "–"
                        : """
                        <dl class="parameters">\(parameters.map { key, value -> Markup in
                            "<div><dt>\(key)</dt><dd>\(RunSummary.words(value))</dd></div>"
                        })</dl>
                        """,
                ])
            }
            return "\(table.markup)\(operations.compactMap { rowProbe($0["init_probe"]) })"
        }
        return parts.isEmpty ? nil : Section(id: "surgery", title: "Surgery", content: "\(parts)")
    }
}

// MARK: - Figures with their tables

extension RunPage {
    /// A figure of a step, and what its column is called.
    private struct Cell {
        let title: String
        let text: String

        init(_ title: String, _ text: String) { (self.title, self.text) = (title, text) }
    }

    private func section(
        _ id: String, _ title: String, _ about: String, _ chart: CurveChart, note: String,
        _ cells: (RunSummary, Int) -> [Cell]
    ) -> Section? {
        guard runs.contains(where: { !$0.history.steps.isEmpty }) else { return nil }
        return Section(
            id: id, title: title,
            content:
                "<p>\(about) \(note)</p>\n\(figure(chart, table("\(chart.title): some of the steps", cells)))"
        )
    }

    func figure(_ chart: CurveChart, _ table: PageTable) -> Markup {
        "<figure class=\"pair\"><div>\(chart.markup)</div>\n<div class=\"steps\">\(table.markup)</div></figure>"
    }

    /// Some steps of all runs.
    ///
    /// Of several runs only the first figure of each has room.
    private func table(_ caption: Markup, _ cells: (RunSummary, Int) -> [Cell]) -> PageTable {
        let filled = runs.filter { !$0.history.steps.isEmpty }
        let places = filled.map { run in
            Dictionary(run.history.steps.enumerated().map { ($1.step, $0) }) { first, _ in first }
        }
        let room = isAlone ? Int.max : 1
        func columns(_ run: RunSummary) -> [Cell] { Array(cells(run, 0).prefix(room)) }
        var table = PageTable(
            caption,
            columns: [.init(title: "step")]
                + filled.flatMap { run in columns(run).map { .init(title: "\(run.prefix)\($0.title)") } })
        let longest = filled.max { $0.history.steps.count < $1.history.steps.count }
        for step in longest?.someSteps ?? [] {
            var row: [Markup] = ["\(Units.grouped(step))"]
            for (run, places) in zip(filled, places) {
                row +=
                    places[step].map { cells(run, $0).prefix(room).map { "\($0.text)" } }
                    ?? columns(run).map { _ in "–" }
            }
            table.add(row)
        }
        return table
    }

    private func words(
        of what: String, _ value: (StepReport) -> Double, _ format: (Double) -> String
    ) -> String {
        runs.map { run in
            guard let first = run.history.steps.first, let last = run.history.steps.last,
                let most = run.history.steps.map(value).max()
            else { return "" }
            return """
                \(run.sentenceStart)the \(what) is \(format(value(first))) at first, \(format(most)) at most and \
                \(format(value(last))) at last.
                """
        }.joined(separator: " ")
    }
}
