import Formats
public import Trainer

/// Shows how far a selection is, whatever thread tells it.
public final class SelectionProgress: Sendable {
    private let state = Guarded((ProgressLine(), ProgressMeter(), TextSelection.Stage.documents))

    /// Shows nothing yet.
    public init() {}

    /// Shows how many bytes of how many a stage has done.
    @Sendable public func show(_ stage: TextSelection.Stage, done: Int, of total: Int) {
        state.withLock { state in
            if state.2 != stage { (state.1, state.2) = (ProgressMeter(), stage) }
            let text = state.1.bytes(done: done, of: total)
            state.0.update("\(stage.rawValue): \(text)")
        }
    }

    /// Takes the line away.
    public func clear() { state.withLock { $0.0.clear() } }
}

extension SelectionReport {
    /// What people are told of a selection, which has written the documents that were kept to `output`; a text a line or table.
    public func lines(output: String) -> [String] {
        var lines = [verdicts.description]
        let cleaned = cleaning.filter { $0.count > 0 }
        if !cleaned.isEmpty {
            lines.append(
                "cleaned: " + cleaned.map { "\($0.name) \(Units.grouped($0.count))" }.joined(separator: ", "))
        }
        for set in evaluations {
            let short = set.tooShort > 0 ? ", \(Units.grouped(set.tooShort)) too short to look for" : ""
            lines.append(
                "\(set.name): \(Units.grouped(set.found)) of \(Units.grouped(set.texts)) texts found (\(Units.fixed(set.share * 100, digits: 2)) % of their runs)\(short); \(Units.grouped(set.documents)) documents dropped"
            )
        }
        if !languages.isEmpty {
            let names = languages.map { "\($0.name) \(Units.grouped($0.documents))" }
            lines.append("languages: " + names.joined(separator: ", "))
        }
        for made in synthetic {
            lines.append(
                "synthetic, \(made.name): \(Units.grouped(made.kept)) of \(Units.grouped(made.documents)) documents kept, \(Units.fixed(Double(made.keptText) / Double(max(1, keptText)) * 100, digits: 2)) % of the text"
            )
        }
        if let choice {
            lines.append(
                "chosen: \(Units.grouped(choice.chosen)) of \(Units.grouped(choice.candidates)) documents that were left"
                    + choice.takenWords)
            if !choice.groups.isEmpty { lines.append(choice.table.description) }
            if choice.groups.count > ChoiceFigures.mostGroups {
                lines.append(
                    "and \(Units.grouped(choice.groups.count - ChoiceFigures.mostGroups)) groups more")
            }
        }
        return lines + ["wrote \(output) (\(Units.bytes(keptBytes)))"]
    }

    /// How many documents each reason dropped.
    private var verdicts: Table {
        var table = Table(columns: [("", .left), ("limit", .right), ("documents", .right)])
        table.add("read", "", Units.grouped(documents))
        for reason in reasons where reason.documents > 0 {
            table.add(
                reason.name, reason.limit.map(Units.plain) ?? "", "-\(Units.grouped(reason.documents))")
        }
        table.add("kept", "", Units.grouped(kept))
        return table
    }
}

extension ChoiceFigures {
    /// How many groups a table shows.
    fileprivate static let mostGroups = 40

    /// What the chosen documents take of a budget, in words.
    fileprivate var takenWords: String {
        switch amount {
        case .tokens: ", \(Units.grouped(taken)) tokens"
        case .bytes: ", \(Units.bytes(taken)) of text"
        case .share: ""
        }
    }

    fileprivate var table: Table {
        var table = Table(columns: [("group", .left), ("documents", .right), ("chosen", .right)])
        for group in groups.prefix(Self.mostGroups) {
            table.add(group.name, Units.grouped(group.candidates), Units.grouped(group.chosen))
        }
        return table
    }
}
