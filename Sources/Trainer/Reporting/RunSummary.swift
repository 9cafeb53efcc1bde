internal import Formats

/// What a page says of a run.
struct RunSummary {
    /// A set that was evaluated.
    struct Set {
        let name: String
        /// Bits per byte before and after; or nats a token, where the texts' bytes are not known.
        var before: Double?, after: Double?
        let isInBits: Bool
    }

    /// A source of the data.
    struct Source {
        let name: String
        let figures: SourceFigures
        /// Its part of all tokens that were shown.
        let share: Double
        /// The part that was asked for; nil where it is not known.
        let asked: Double?
        let isReplay: Bool
        /// The part of what was shown that is marked as synthetic; nil where nothing is.
        var syntheticShare: Double? {
            figures.synthetic.map { Double($0) / Double(max(1, figures.tokens)) }
        }
    }

    let history: RunHistory
    let index: Int
    private let isAlone: Bool
    /// How many steps a mean is of.
    let window: Int

    /// A run among others.
    init(_ history: RunHistory, index: Int, isAlone: Bool) {
        (self.history, self.index, self.isAlone) = (history, index, isAlone)
        window = history.steps.count < 20 ? 1 : max(5, history.steps.count / 40)
    }

    /// Something that was known when it began; nil in a log of steps.
    func fact(_ name: String) -> JSON? { history.facts?[name].flatMap { $0.isNull ? nil : $0 } }

    // MARK: Names

    /// What it is called.
    var title: String { fact("output")?.string.map(Path.name) ?? "run \(history.run)" }

    /// A, B …, by which several runs are told apart.
    private var letter: String {
        Unicode.Scalar(UInt8(ascii: "A") + UInt8(truncatingIfNeeded: index % 26)).description
    }

    /// The letter in its colour; nothing where there is one run.
    var badge: Markup { isAlone ? "" : "<b class=\"badge run\(index)\">\(letter)</b>" }

    /// What stands before a name of this run.
    var prefix: Markup { isAlone ? "" : "\(badge) " }

    /// " of run A".
    var ofRun: Markup { isAlone ? "" : " of run \(letter)" }

    /// "Run A: ".
    var sentenceStart: String { isAlone ? "" : "Run \(letter): " }

    /// What a column with its values is called.
    func columnTitle(_ alone: String) -> Markup { isAlone ? "\(alone)" : badge }

    // MARK: Curves

    func points(_ value: (StepReport) -> Double) -> [CurveChart.Point] {
        history.steps.map { .init(step: $0.step, value: value($0)) }
    }

    /// The mean of each point and those before it, ``window`` in all.
    func mean(_ points: [CurveChart.Point]) -> [CurveChart.Point] {
        var sum = 0.0
        return points.enumerated().map { place, point in
            sum += point.value
            if place >= window { sum -= points[place - window].value }
            return .init(x: point.x, value: sum / Double(min(window, place + 1)))
        }
    }

    var meanLoss: [CurveChart.Point] { mean(points(\.loss)) }

    /// Tokens a second of each step.
    var speeds: [CurveChart.Point] {
        var before =
            history.steps.first.map { first in
                // A log may begin in the middle; steps show alike many.
                history.steps.count > 1 ? first.tokens - (history.steps[1].tokens - first.tokens) : 0
            } ?? 0
        return history.steps.map { step in
            defer { before = step.tokens }
            return .init(step: step.step, value: Double(step.tokens - before) / max(1e-9, step.seconds))
        }
    }

    /// Tokens a second over all steps.
    var tokensPerSecond: Double {
        let seconds = history.steps.reduce(0) { $0 + $1.seconds }
        let tokens = zip(speeds, history.steps).reduce(0) { $0 + $1.0.value * $1.1.seconds }
        return seconds > 0 ? tokens / seconds : 0
    }

    /// A curve of this run.
    func curve(
        _ points: [CurveChart.Point], behind: [CurveChart.Point] = [], marked: Bool = true,
        label: (Double) -> String
    ) -> CurveChart.Curve {
        CurveChart.Curve(
            label: "\(prefix)\(points.last.map { label($0.value) } ?? "")", run: index, points: points,
            behind: window > 1 ? behind : [], marks: marks(withCheckpoints: marked))
    }

    /// What happened, as marks in a curve.
    func marks(withCheckpoints: Bool) -> [CurveChart.Mark] {
        history.occurrences.compactMap { occurrence in
            let (line, step) = (occurrence.line, Double(occurrence.step))
            return switch occurrence.name {
            case "kept": withCheckpoints ? .init(x: step, kind: .kept) : nil
            case "resumed": .init(x: step, kind: .resumed)
            case "skipped": .init(x: step, kind: .skipped)
            case "rolled_back": .init(x: line["from"]?.double ?? step, kind: .rolledBack)
            case "stage":
                .init(x: step, kind: .stage, word: line["number"]?.int.map(String.init) ?? "")
            default: nil
            }
        }
    }

    /// The steps after which something of this name happened.
    func steps(of name: String) -> [Int] { history.occurrences.filter { $0.name == name }.map(\.step) }

    /// At most ten steps for a table, the first and the last among them.
    var someSteps: [Int] { Self.some(of: history.steps).map(\.step) }

    /// At most ten of some steps, the first and the last among them.
    static func some(of steps: [StepReport]) -> [StepReport] {
        let last = steps.count - 1
        return last > 9 ? (0...9).map { steps[$0 * last / 9] } : steps
    }

    /// A table of some steps of the run, a few figures of each; a figure that a step does not have is a dash.
    func table(
        _ caption: String, _ steps: [StepReport], _ figures: [(title: String, text: (StepReport) -> String?)]
    ) -> Markup {
        var table = PageTable(
            "\(caption): some of the steps\(ofRun)",
            columns: (["step"] + figures.map(\.title)).map { .init(title: "\($0)") })
        for step in steps {
            table.add(["\(Units.grouped(step.step))"] + figures.map { "\($0.text(step) ?? "–")" })
        }
        return "<div class=\"steps\">\(table.markup)</div>"
    }

    // MARK: Figures

    /// The sets, each as it was evaluated first and last.
    var sets: [Set] {
        var sets: [Set] = []
        let last = history.evaluations.map(\.step).max() ?? 0
        for evaluation in history.evaluations {
            let bits = evaluation.result.bitsPerByte
            let value = bits ?? evaluation.result.loss
            if !sets.contains(where: { $0.name == evaluation.set }) {
                sets.append(Set(name: evaluation.set, isInBits: bits != nil))
            }
            guard let place = sets.firstIndex(where: { $0.name == evaluation.set }) else { continue }
            if evaluation.step == 0 { sets[place].before = value }
            if evaluation.step == last, last > 0 { sets[place].after = value }
        }
        return sets
    }

    /// What was shown of each source, in the order in which they were named.
    var sources: [Source] {
        guard let step = history.steps.last else { return [] }
        let settings = fact("sources")?.array ?? []
        // Stages have weights of their own, so what they come to is what was asked for.
        let key = (fact("stages")?.array ?? []).count > 1 ? "planned" : "weight"
        let weights = settings.reduce(0) { $0 + ($1[key]?.double ?? 0) }
        let names = settings.compactMap { $0["name"]?.string }
        return step.sources.sorted { one, other in
            let places = [one.key, other.key].map { names.firstIndex(of: $0) ?? names.count }
            return (places[0], one.key) < (places[1], other.key)
        }.map { name, figures in
            let setting = settings.first { $0["name"]?.string == name }
            return Source(
                name: name, figures: figures, share: Double(figures.tokens) / Double(max(1, step.tokens)),
                asked: setting?[key]?.double.flatMap { weights > 0 ? $0 / weights : nil },
                isReplay: setting?["replay"]?.bool ?? false)
        }
    }

    /// What the parent makes of a set: bits per byte, or nats a token where the texts' bytes are not known.
    func parent(of set: Set) -> Double? {
        history.parents.last { $0.set == set.name }.flatMap { $0.result.figure(inBits: set.isInBits) }
    }

    /// How a set was evaluated, step by step, in the unit in which it was evaluated first.
    func evaluations(of set: String) -> [CurveChart.Point] {
        let results = history.evaluations.filter { $0.set == set }
        let isInBits = results.first?.result.bitsPerByte != nil
        return results.compactMap { evaluation in
            evaluation.result.figure(inBits: isInBits).map { .init(step: evaluation.step, value: $0) }
        }
    }

    /// What each part of the model was moved by; empty before the end.
    var drift: [Drift] { last("drifted")?["parts"].flatMap { try? $0.decoded(as: [Drift].self) } ?? [] }

    /// How often new tokens were targets; nil where there are none, or before the end.
    var exposure: ExposureSummary? {
        last("exposed")?["tokens"].flatMap { try? $0.decoded(as: ExposureSummary.self) }
    }

    /// The last line of an event.
    private func last(_ name: String) -> JSON? { history.occurrences.last { $0.name == name }?.line }

    /// Whether a set is of the model's original domain: one that says when a run is healed, or that is called as a replayed
    /// source is.
    func isOfOldDomain(_ set: String) -> Bool {
        let named = fact("asked")?["healed-by"]?.array ?? []
        if !named.isEmpty { return named.contains { $0.string == set } }
        return (fact("sources")?.array ?? []).contains {
            $0["name"]?.string == set && $0["replay"]?.bool == true
        }
    }

    /// What was forgotten of one set for what was learned of another, evaluation by evaluation.
    func forgetting(of old: String, for new: String) -> ForgettingCurve {
        let (olds, news) = (evaluations(of: old), evaluations(of: new))
        guard let start = olds.first, start.x == 0 else { return ForgettingCurve([]) }
        return ForgettingCurve(
            olds.compactMap { point in
                news.first { $0.x == point.x }.map {
                    .init(newDomain: $0.value, forgetting: point.value - start.value)
                }
            })
    }

    /// The most memory that was held, in bytes.
    var peakMemory: Int? {
        history.occurrences.compactMap { $0.line["memory_bytes"]?.int }.max()
    }

    /// How it stands: "done", "stopped after step 12".
    private var standing: String {
        let last = history.occurrences.last { ["began", "resumed", "ended", "finished"].contains($0.name) }
        let (step, steps) = (history.steps.last?.step ?? 0, fact("steps")?.int)
        return switch last?.name {
        case "finished": "done"
        case "ended": "stopped after step \(Units.grouped(step))"
        default:
            steps.map { "at step \(Units.grouped(step)) of \(Units.grouped($0))" }
                ?? "\(Units.grouped(step)) steps"
        }
    }

    /// The first figures of the page.
    var overview: Markup {
        let seconds = history.steps.reduce(0) { $0 + $1.seconds }
        var facts: [(String, Markup)] = [
            ("state", "\(standing)"), ("steps", "\(Units.grouped(history.steps.last?.step ?? 0))"),
            ("tokens", "\(Units.count(history.steps.last?.tokens ?? 0))"),
            ("time in steps", "\(Units.duration(seconds: seconds))"),
            ("tokens a second", "\(Units.count(Int(tokensPerSecond)))"),
        ]
        if let parameters = fact("parameters")?.int {
            let trained = fact("trained_parameters")?.int ?? parameters
            facts.append(
                (
                    "parameters",
                    "\(Units.count(parameters))\(trained < parameters ? ", \(Units.count(trained)) trained" : "")"
                ))
        }
        if let step = steps(of: "healed").first {
            facts.append(("healed after step", "\(Units.grouped(step))"))
        }
        if let peakMemory { facts.append(("memory", "\(Units.bytes(peakMemory))")) }
        return """
            <div class="overview">
            \(isAlone ? "" : "<h2>\(prefix)\(.name(title))</h2>" as Markup)
            \(fact("model")?.string.map { "<p class=\"quiet\">made of \(.name($0))</p>" as Markup } ?? "")
            \(history.parents.last.map { parent -> Markup in
                "<p class=\"quiet\">beside its parent \(.name(parent.model))</p>"
            } ?? "")
            <dl class="facts">\(facts.map { name, value -> Markup in
                "<div><dt>\(name)</dt><dd>\(value)</dd></div>"
            })</dl>
            </div>
            """
    }

    // MARK: Lists

    /// What happened, in words; warnings of the beginning among it.
    var happenings: [(RunHistory.Occurrence, String)] {
        // What has a part of the page to itself happened at the end.
        history.occurrences.filter { !["drifted", "exposed"].contains($0.name) }.flatMap {
            occurrence -> [(RunHistory.Occurrence, String)] in
            let line = occurrence.line
            let reason = line["reason"]?.string ?? ""
            let documents = line["documents"]?.string.map { $0.isEmpty ? "" : " (documents: \($0))" } ?? ""
            let memory = line["memory_bytes"]?.int.map { "; at most \(Units.bytes($0)) held" } ?? ""
            let words: String =
                switch occurrence.name {
                case "began": "begun, on \(line.computers)"
                case "resumed": "gone on, on \(line.computers)"
                case "kept": "checkpoint kept\(memory)"
                case "stage":
                    "stage \(line["number"]?.int ?? 0) of \(line["count"]?.int ?? 0): \(line["title"]?.string ?? "")"
                case "healed":
                    "healed: the sets of the original domain are where the parent has them, after \(Units.count(line["tokens"]?.int ?? 0)) tokens"
                case "no_parent": "no parent beside the sets: \(reason)"
                case "skipped": "warning: the step was left out: \(reason)\(documents)"
                case "rolled_back":
                    "warning: gone back from step \(Units.grouped(line["from"]?.int ?? 0)): \(reason)\(documents)"
                case "not_kept": "warning: no checkpoint was kept: \(reason)"
                case "not_logged": "warning: not written down: \(reason)"
                case "ended": reason
                case "finished": "done\(memory)"
                case let name: name
                }
            let more =
                (line["warnings"]?.array ?? []).compactMap(\.string).map { "warning: \($0)" }
                + (line["overflows"]?.array ?? []).map {
                    """
                    warning: \($0["count"]?.int ?? 0) numbers of \($0["tensor"]?.string ?? "") are too large for its \
                    type and became infinite
                    """
                }
            return ([words] + more).map { (occurrence, $0) }
        }
    }

    /// The job's settings by their names, those of parts by a dotted one.
    var settings: [(name: String, value: String)] {
        var list: [(name: String, value: String)] = []
        func add(_ value: JSON, _ name: String) {
            if let object = value.object {
                for (key, value) in object { add(value, name.isEmpty ? key : "\(name).\(key)") }
            } else if !value.isNull {
                list.append((name, Self.words(value)))
            }
        }
        for name in ["model", "teacher", "output", "tool", "threads", "checkpoint_every"] {
            if let value = fact(name) { add(value, name) }
        }
        for source in fact("sources")?.array ?? [] {
            let name = source["name"]?.string ?? ""
            for key in ["path", "weight", "size", "planned"] {
                if let value = source[key] { add(value, "data \(name) \(key)") }
            }
        }
        // What is the same in every stage is told once.
        let stages = fact("stages")?.array ?? []
        for (key, value) in stages.first?.object ?? JSONObject() {
            if stages.dropFirst().allSatisfy({ $0[key] == value }) { add(value, key) }
        }
        for (index, stage) in stages.enumerated() where stages.count > 1 {
            for (key, value) in stage.object ?? JSONObject()
            where stages.contains(where: { $0[key] != value }) {
                add(value, "stage \(index + 1) \(key)")
            }
        }
        return list
    }

    /// A value of a file as a page shows it: whole, unless it is very long.
    static func words(_ value: JSON) -> String {
        let text: String =
            if let string = value.string {
                string
            } else if let list = value.array, list.allSatisfy({ $0.array == nil && $0.object == nil }) {
                list.map(words).joined(separator: ", ")
            } else if case .number(let number) = value, number.int == nil {
                // As short as the number is: 5e-05 stays so.
                number.text.hasSuffix(".0") ? String(number.text.dropLast(2)) : number.text
            } else {
                value.text
            }
        let most = 400
        return text.count > most ? text.prefix(most) + " … (\(Units.grouped(text.count)) characters)" : text
    }

    /// A learning rate: "5e-5".
    static func rate(_ value: Double) -> String {
        guard value > 0 else { return "0" }
        var (digits, power) = (value, 0)
        while digits < 1 { (digits, power) = (digits * 10, power - 1) }
        while digits >= 10 { (digits, power) = (digits / 10, power + 1) }
        var text = Substring(Units.fixed(digits, digits: 2))
        while text.hasSuffix("0") { text = text.dropLast() }
        if text.hasSuffix(".") { text = text.dropLast() }
        return power == 0 ? String(text) : "\(text)e\(power)"
    }

    /// A time as people read it, in the same zone; anything else as it is.
    static func readable(_ time: String) -> Markup {
        guard let parts = time.wholeMatch(of: /(\d{4}-\d\d-\d\d)T([\d:.]+)Z/) else { return "\(time)" }
        return "<time datetime=\"\(time)\">\(String(parts.1)) \(String(parts.2)) UTC</time>"
    }
}

extension RunSummary.Set {
    /// How much less or more it is.
    var change: Markup {
        guard let before, let after, before > 0 else { return "–" }
        let change = 100 * (after - before) / before
        return "\(change < 0 ? "−" : "+")\(Units.fixed(change.magnitude, digits: 1)) %"
    }

    /// The part of the way back to the parent; a dash where nothing was lost.
    func healed(towards parent: Double?) -> Markup {
        guard let before, let after, let parent,
            let percent = HealedShare(raw: before, now: after, parent: parent).percent
        else { return "–" }
        return "\(percent < 0 ? "−" : "")\(Units.fixed(percent.magnitude, digits: 1)) %"
    }
}

extension EvaluationResult {
    /// Bits per byte, where they are known, or nats a token.
    func figure(inBits: Bool) -> Double? { inBits ? bitsPerByte : loss }
}

extension Units {
    /// A part of a whole: "25.0 %".
    static func percent(_ share: Double) -> String { fixed(100 * share, digits: 1) + " %" }
}

extension Markup {
    /// Pieces with another between them.
    static func separated(_ pieces: [Markup], by separator: Markup) -> Markup {
        pieces.dropFirst().reduce(pieces.first ?? "") { "\($0)\(separator)\($1)" }
    }
}

extension JSON {
    /// On what a run computes that begins with this line.
    fileprivate var computers: String {
        self["processes"]?.int.map { "\($0) processes of torchrun" } ?? "\(self["threads"]?.int ?? 0) threads"
    }
}
