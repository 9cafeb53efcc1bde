public import ArgumentParser
import CommandLineSupport
import Formats
public import Trainer

/// Which of the documents that nothing has dropped are chosen, as it is typed.
struct ChoiceOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What chosen documents have most of: similarity, ngrams, ngrams-mean, perplexity, bits-per-byte or entropy. Of several the mean rank counts.",
            valueName: "measure"))
    var by: [DocumentChoice.Measure] = []
    @Option(help: ArgumentHelp("Documents of the task that texts are chosen for.", valueName: "file"))
    var to: [String] = []
    @Option(help: ArgumentHelp("The key of a text in those files (as --text-key).", valueName: "key"))
    var toKey: String?
    @Option(help: ArgumentHelp("The model that measures documents.", valueName: "folder")) var model: String?
    @Option(help: ArgumentHelp("The share of the documents to choose, as 0.1.", valueName: "share"))
    var share: Double?
    @Option(
        help: ArgumentHelp(
            "What to choose of text, as 50MB or 2Mtokens; what doesn't fit is passed over.", valueName: "size"
        ))
    var budget: TextBudget?
    @Option(
        help: ArgumentHelp(
            "The key of a document's tags, whose entropy --by entropy takes (default: of classes of characters).",
            valueName: "key"))
    var tagsField: String?
    @Option(
        help: ArgumentHelp(
            "The key of a document's date; a dot leads into an object inside.", valueName: "key"))
    var dateField: String?
    @Option(help: ArgumentHelp("Keep documents from this day, month or year on.", valueName: "2024-05-17"))
    var since: String?
    @Option(help: ArgumentHelp("Keep documents up to the end of this day, month or year.", valueName: "2024"))
    var until: String?
    @Option(
        help: ArgumentHelp(
            "Halve a document's weight with so many days before --until, or before the newest document.",
            valueName: "days"))
    var halfLife: Double?
    @Option(
        help: ArgumentHelp(
            "Spread what is chosen over so many clusters of the documents' embeddings: they take turns.",
            valueName: "count"))
    var clusters: Int?
    @Option(
        help: ArgumentHelp("Spread it over the values of this key of documents' lines.", valueName: "key"))
    var topicField: String?
    @Option(
        help: ArgumentHelp(
            "Take what is relevant and unlike what was taken: the weight of relevance, 0 to 1 (maximal marginal relevance).",
            valueName: "weight"))
    var mmr: Double?
    @Flag(help: "Draw documents, each the sooner the larger its weight; without --by all alike.") var sample =
        false
    @Option(
        help: ArgumentHelp(
            "What a draw, clusters, templates and the cap on synthetic text follow from (0).",
            valueName: "number"
        ))
    var seed: UInt64?

    func validate() throws {
        if let share, !(share > 0 && share <= 1) {
            throw ValidationError("--share is above 0 and at most 1, not \(share)")
        }
        guard share == nil || budget == nil else {
            throw ValidationError("--share and --budget both say how much; give one")
        }
        if let twice = by.firstRepeated {
            throw ValidationError("--by \(twice.rawValue) is there twice; once is enough")
        }
        guard by.isEmpty || amount != nil else {
            throw ValidationError(
                "--by says which documents come first, and nothing how many; give --share or --budget")
        }
        guard !sample || amount != nil else {
            throw ValidationError(
                "--sample draws documents, and nothing says how many; give --share or --budget")
        }
        guard !by.isEmpty || sample || halfLife != nil || amount == nil else {
            throw ValidationError(
                "--share and --budget say how many documents, and nothing which; give --by, --half-life or --sample"
            )
        }
        try validateSpread()
        guard tagsField == nil || by.contains(.entropy) else {
            throw ValidationError("--tags-field goes with --by entropy")
        }
        try validateDates()
        try validateTask()
        try validateModel()
    }

    private func validateSpread() throws {
        guard [clusters != nil, topicField != nil, mmr != nil].count(where: \.self) <= 1 else {
            throw ValidationError("--clusters, --topic-field and --mmr all spread what is chosen; give one")
        }
        if let mmr {
            guard (0...1).contains(mmr) else { throw ValidationError("--mmr is 0 to 1, not \(mmr)") }
            guard !sample else {
                throw ValidationError(
                    "--mmr takes documents one after the other, and --sample draws them; give one")
            }
            guard !by.isEmpty || halfLife != nil else {
                throw ValidationError("--mmr weighs relevance, and nothing says what is relevant; give --by")
            }
            guard model != nil else {
                throw ValidationError("--mmr compares a model's embeddings; give one: --model FOLDER")
            }
        }
        guard clusters == nil && topicField == nil || amount != nil else {
            throw ValidationError(
                "--clusters and --topic-field spread what is chosen; give --share or --budget, and --by or --sample"
            )
        }
        if let clusters, clusters < 2 { throw ValidationError("--clusters are at least 2, not \(clusters)") }
        if clusters != nil, model == nil {
            throw ValidationError("--clusters are those of a model's embeddings; give one: --model FOLDER")
        }
    }

    private func validateDates() throws {
        guard dateField != nil || since == nil && until == nil && halfLife == nil else {
            throw ValidationError(
                "--since, --until and --half-life go by dates; name their key: --date-field KEY")
        }
        guard dateField == nil || since != nil || until != nil || halfLife != nil else {
            throw ValidationError("--date-field goes with --since, --until or --half-life")
        }
        for (option, text) in [("--since", since), ("--until", until)] {
            guard let text, CalendarDay.range(named: text) == nil else { continue }
            throw ValidationError(
                "\(option) is a day, a month or a year, as 2024-05-17, 2024-05 or 2024, not '\(text)'")
        }
        if let dates, let since = dates.since, let until = dates.until, since > until {
            throw ValidationError("--since \(since) is behind --until \(until); no day is between them")
        }
        if let halfLife, !(halfLife > 0 && halfLife.isFinite) {
            throw ValidationError("--half-life is a number of days above 0, not \(halfLife)")
        }
        guard halfLife == nil || amount != nil else {
            throw ValidationError(
                "--half-life says which documents come first, and nothing how many; give --share or --budget")
        }
    }

    private func validateTask() throws {
        if let measure = by.first(where: \.needsTask), to.isEmpty {
            throw ValidationError(
                "--by \(measure.rawValue) compares with a task; give some of its documents: --to FILE")
        }
        guard to.isEmpty || by.contains(where: \.needsTask) else {
            throw ValidationError("--to goes with --by similarity, ngrams and ngrams-mean")
        }
        guard toKey == nil || !to.isEmpty else { throw ValidationError("--to-key goes with --to") }
        try refuseModels(among: to)
    }

    private func validateModel() throws {
        if let measure = by.first(where: \.needsModel), model == nil {
            throw ValidationError("--by \(measure.rawValue) asks a model; give one: --model FOLDER")
        }
        if case .tokens = budget?.amount, model == nil {
            throw ValidationError("a budget of tokens needs what makes them; give a model: --model FOLDER")
        }
        guard model == nil || choice(textKey: "")?.needsModel == true else {
            throw ValidationError(
                "--model goes with --by similarity, perplexity and bits-per-byte, --clusters, --mmr, and a budget of tokens; nothing asks it here"
            )
        }
    }

    private var amount: DocumentChoice.Amount? { share.map { .share($0) } ?? budget?.amount }

    /// What the chosen documents take of a budget, in words.
    func taken(_ count: Int) -> String {
        switch budget?.amount {
        case .tokens: ", \(Units.grouped(count)) tokens"
        case .bytes: ", \(Units.bytes(count)) of text"
        default: ""
        }
    }

    /// The dates that were typed; nil where nobody asks.
    var dates: DocumentDates? {
        guard let dateField else { return nil }
        var dates = DocumentDates(field: dateField)
        dates.since = since.flatMap { CalendarDay.range(named: $0)?.lowerBound }
        dates.until = until.flatMap { CalendarDay.range(named: $0)?.upperBound }
        return dates
    }

    /// What was typed; nil where nothing is chosen.
    func choice(textKey: String) -> DocumentChoice? {
        guard let amount else { return nil }
        var choice = DocumentChoice(amount, taskKey: toKey ?? textKey)
        (choice.measures, choice.task, choice.model) = (by, to, model)
        choice.tagsField = tagsField
        choice.spread =
            mmr.map { .marginal($0) } ?? clusters.map { .clusters($0) }
            ?? topicField.map { .topics(field: $0) }
        (choice.isSampled, choice.seed, choice.halfLife) = (sample, seed ?? 0, halfLife)
        return choice
    }
}

/// How much text, as it is typed: bytes (`50MB`) or tokens (`2Mtokens`).
struct TextBudget: ExpressibleByArgument {
    let amount: DocumentChoice.Amount

    init?(argument: String) {
        let text = argument.filter { $0 != " " }
        guard text.lowercased().hasSuffix("tokens") else {
            guard let size = ByteSize(argument: text) else { return nil }
            amount = .bytes(size.bytes)
            return
        }
        let number = String(text.dropLast("tokens".count))
        guard !number.lowercased().hasSuffix("b"), let size = ByteSize(argument: number) else { return nil }
        amount = .tokens(size.bytes)
    }
}

extension DocumentChoice.Measure: ExpressibleByArgument {}
