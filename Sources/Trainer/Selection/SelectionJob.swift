public import Formats

/// A selection of documents as it is asked for: the same on a command line and in a recipe's `select` step.
///
/// ``settings()`` says what follows from it. Where the chosen documents are written is no part of it.
public struct SelectionJob: Parameterized, Equatable {
    /// `select`.
    public static let name = "select"

    /// Rules that are asked together.
    public enum RuleSet: String, Codable, Sendable, CaseIterable {
        /// Both sets of Gopher, and FineWeb's.
        case gopher, fineweb
        /// One set alone.
        case gopherQuality = "gopher_quality", gopherRepetition = "gopher_repetition"
        /// The name that FineWeb's have in ledgers.
        case finewebQuality = "fineweb_quality"
        /// No rule but those that are given a number.
        case none

        var groups: [SelectionRule.Group] {
            switch self {
            case .gopher: [.gopherQuality, .gopherRepetition]
            case .fineweb, .finewebQuality: [.fineweb]
            case .gopherQuality: [.gopherQuality]
            case .gopherRepetition: [.gopherRepetition]
            case .none: []
            }
        }
    }

    /// A step of cleaning.
    public enum CleaningStep: String, Codable, Sendable, CaseIterable {
        /// As ``SelectionSettings/Cleaning`` has them.
        case nfc, controls, html
        /// None of them.
        case none

        var step: SelectionSettings.Cleaning {
            SelectionSettings.Cleaning.names.first { $0.name == rawValue }?.step ?? []
        }
    }

    /// What becomes of personal data.
    public enum PersonalData: String, Codable, Sendable, CaseIterable {
        /// Nobody looks for them; marks take their place; their document is dropped.
        case keep, mask, drop
    }

    /// Files of text, folders or patterns of such.
    public var data: [String] = []
    /// The columns of tables that documents bring along; none for all that can be read.
    public var columns: [String] = []
    /// The sets of rules that are asked.
    public var rules: [RuleSet] = [.gopher, .fineweb]
    /// Rules with other numbers, as in `gopher_short_doc=20`; the names of those that are not asked; the least shares of scripts, as in
    /// `hangul=0.3`.
    public var rule: [String] = [], without: [String] = [], script: [String] = []
    /// What texts are cleaned of.
    public var clean: [CleaningStep] = [.nfc, .controls]
    /// What becomes of personal data.
    public var personal = PersonalData.keep
    /// Lines that stand in at least so many documents are taken away; nil takes none away.
    public var boilerplate: Int?
    /// Whether a paragraph that stands in an earlier document is taken away.
    public var paragraphs = false
    /// Whether documents are kept that are the same as an earlier one, or nearly so.
    public var keepDuplicates = false, keepNearDuplicates = false
    /// Evaluations whose texts documents must not hold.
    public var against: [TextSource] = []
    /// The key of their texts, and the share of a text's runs that drops a document; nil for ``textKey``, and for 0.5.
    public var againstKey: String?, againstShare: Double?

    /// Samples of languages, by which texts are known, and the languages to keep, each with the least share of a text, as in
    /// `ko:0.5`.
    public var languageSamples: [TextSource] = [], language: [String] = []
    /// Knowledge triples that become text, and the file of their templates.
    public var triples: [String] = [], templates: String?
    /// How many documents are made of the same triples, each by other templates: a number, or `all`; nil for 1.
    public var wordings: String?
    /// The most that synthetic documents may be of the text that is kept, 0 to 1; nil for any share.
    public var syntheticCap: Double?

    /// What chosen documents have most of.
    public var by: [DocumentChoice.Measure] = []
    /// Documents of the task, and the key of their texts; nil for ``textKey``.
    public var to: [String] = [], toKey: String?
    /// The model that measures; in a recipe nil for the recipe's own, as it stands at the step.
    public var model: String?
    /// How much is chosen: a share of the documents, or bytes or tokens of text, as in `50MB` and `2Mtokens`.
    public var share: Double?, budget: String?
    /// The key of a document's tags, whose entropy is taken; nil for classes of characters.
    public var tagsField: String?
    /// The key of a document's date, the first and the last day that is kept, and after how many days a weight is halved.
    public var dateField: String?, since: String?, until: String?, halfLife: Double?
    /// What chosen documents are spread over: so many clusters of embeddings, the values of a key, or embeddings by maximal
    /// marginal relevance.
    public var clusters: Int?, topicField: String?, mmr: Double?
    /// Whether documents are drawn.
    public var sample = false
    /// What a draw, clusters, templates and the cap follow from; nil for 0.
    public var seed: UInt64?

    /// How documents are read: see ``TextOptions``.
    public var textKey = TextOptions().textKey, nfc = false, skipBadLines = false, plainText = false

    /// A job of defaults.
    public init() {}

    private enum CodingKeys: String, CodingKey {
        case data, rules, rule, without, script, clean, personal, boilerplate, paragraphs, against
        case columns, triples, templates, wordings, language
        case by, to, model, share, budget, since, until, clusters, mmr, sample, seed, nfc
        case keepDuplicates = "keep-duplicates"
        case keepNearDuplicates = "keep-near-duplicates"
        case againstKey = "against-key"
        case againstShare = "against-share"
        case languageSamples = "language-samples"
        case syntheticCap = "synthetic-cap"
        case toKey = "to-key"
        case tagsField = "tags-field"
        case dateField = "date-field"
        case halfLife = "half-life"
        case topicField = "topic-field"
        case textKey = "text-key"
        case skipBadLines = "skip-bad-lines"
        case plainText = "plain-text"
    }

    /// What ``SelectionJob/init()`` has.
    public static var defaults: JSONObject { SelectionJob().parameters }

    /// What it takes.
    public static let parameterList =
        [
            OperationParameter(
                "data", .paths, "files of text, folders or patterns of such, or step:NAME"),
            OperationParameter(
                "columns", .strings, "columns of Parquet files that documents bring along (all)"),
            OperationParameter(
                "rules", .choices(RuleSet.allCases.map(\.rawValue)), "sets of rules (gopher, fineweb)"),
            OperationParameter("rule", .strings, "rules with another number, as in gopher_short_doc=20"),
            OperationParameter("without", .strings, "rules that are not asked"),
            OperationParameter(
                "script", .strings, "the least share of a script's letters, as in hangul=0.3"),
            OperationParameter(
                "clean", .choices(CleaningStep.allCases.map(\.rawValue)),
                "what texts are cleaned of (nfc, controls)"),
            OperationParameter(
                "personal", .choice(PersonalData.allCases.map(\.rawValue)),
                "what becomes of mail addresses, telephone and Korean resident numbers (keep)"),
            OperationParameter("boilerplate", .integer, "take away lines that stand in so many documents"),
            OperationParameter("paragraphs", .flag, "take away paragraphs that stand in an earlier document"),
            OperationParameter(
                "keep-duplicates", .flag, "keep documents that are the same as an earlier one"),
            OperationParameter(
                "keep-near-duplicates", .flag, "keep documents that are nearly the same as an earlier one"),
            OperationParameter(
                "against", .texts(weighted: false), "evaluations whose texts documents must not hold"),
            OperationParameter("against-key", .string, "the key of a text in those files (as text-key)"),
            OperationParameter(
                "against-share", .number, "the share of a text's runs that drops a document (0.5)"),
            OperationParameter(
                "language-samples", .texts(weighted: false), "samples of languages, by which texts are known"),
            OperationParameter(
                "language", .strings, "keep texts of which enough (0.5) is in this language, as in ko:0.5"),
            OperationParameter(
                "triples", .paths, "knowledge triples to make text of (.tsv or .jsonl)"),
            OperationParameter("templates", .path, "their templates by relation (.yaml, .jsonl or .tsv)"),
            OperationParameter(
                "wordings", .string, "documents to make of the same triples, by other templates, or all (1)"),
            OperationParameter(
                "synthetic-cap", .number, "the most that synthetic documents may be of the text that is kept"),
            OperationParameter(
                "by", .choices(DocumentChoice.Measure.allCases.map(\.rawValue)),
                "what chosen documents have most of; of several the mean rank counts"),
            OperationParameter("to", .paths, "documents of the task that texts are chosen for"),
            OperationParameter("to-key", .string, "the key of a text in those files (as text-key)"),
            OperationParameter(
                "model", .model, "the model that measures documents (the recipe's, as it stands at this step)"
            ),
            OperationParameter("share", .number, "the share of the documents to choose, as 0.1"),
            OperationParameter("budget", .string, "what to choose of text instead, as 50MB or 2Mtokens"),
            OperationParameter(
                "tags-field", .string, "the key of a document's tags, whose entropy is taken by entropy"),
            OperationParameter("date-field", .string, "the key of a document's date"),
            OperationParameter("since", .string, "keep documents from this day, month or year on"),
            OperationParameter("until", .string, "keep documents up to the end of this day, month or year"),
            OperationParameter("half-life", .number, "halve a document's weight with so many days"),
            OperationParameter(
                "clusters", .integer, "spread what is chosen over so many clusters of embeddings"),
            OperationParameter("topic-field", .string, "spread it over the values of this key"),
            OperationParameter(
                "mmr", .number, "the weight of relevance in maximal marginal relevance, 0 to 1"),
            OperationParameter("sample", .flag, "draw documents, each the sooner the larger its weight"),
            OperationParameter(
                "seed", .integer, "what a draw, clusters, templates and the cap follow from (0)"),
        ] + TextOptions.parameterList

    /// Every file of text that it names.
    public var files: [String] { data + against.map(\.path) + to + triples + languageSamples.map(\.path) }

    /// Whether a model measures documents or counts their tokens.
    public var needsModel: Bool { choice?.needsModel ?? false }
}

// MARK: - What follows from it

extension SelectionJob {
    /// What is selected, and how.
    ///
    /// - Parameter prefix: what stands before a parameter's name in messages: `--` for options.
    /// - Returns: the settings.
    /// - Throws: ``UserFacingError`` that names a rule, a script or a number that can't be.
    public func settings(prefix: String = "") throws(UserFacingError) -> SelectionSettings {
        var settings = SelectionSettings(
            reading: TextOptions(
                textKey: textKey, composes: nfc, skipsBadLines: skipBadLines, isPlain: plainText))
        settings.columns = columns
        settings.cleaning = clean.reduce(into: []) { $0.formUnion($1.step) }
        if personal != .keep { settings.cleaning.insert(.personal) }
        settings.dropsPersonal = personal == .drop
        (settings.boilerplate, settings.dropsParagraphs) = (boilerplate, paragraphs)
        settings.rules = try chosenRules(prefix)
        (settings.dropsDuplicates, settings.dropsNearDuplicates) = (!keepDuplicates, !keepNearDuplicates)
        settings.evaluations = against
        if let againstKey { settings.evaluationKey = againstKey }
        if let againstShare { settings.contaminationShare = againstShare }
        settings.triples = templates.map {
            TripleText(files: triples, templates: $0, wordings: wordings == "all" ? nil : wordingCount ?? 1)
        }
        if !language.isEmpty {
            settings.language = LanguageChoice(
                samples: languageSamples, wanted: try wantedLanguages(prefix))
        }
        (settings.syntheticCap, settings.seed) = (syntheticCap, seed ?? 0)
        (settings.dates, settings.choice) = (dates, choice)
        return settings
    }

    private func chosenRules(_ prefix: String) throws(UserFacingError) -> [SelectionRule] {
        let names = SelectionRule.published.map(\.name)
        let groups = Set(rules.flatMap(\.groups))
        var given: Set<String> = Set(without)
        let numbers = try rule.map { (text) throws(UserFacingError) in
            try Self.number(text, of: "\(prefix)rule", as: "gopher_short_doc=20")
        }
        for name in numbers.map(\.name) + without where !names.contains(name) {
            throw .unknownWord(
                name, what: "rule", known: names,
                at: without.contains(name) ? "\(prefix)without" : "\(prefix)rule")
        }
        if let name = numbers.map(\.name).first(where: { !given.insert($0).inserted }) {
            throw refuse(
                "\(prefix)rule \(name) is there twice, or in \(prefix)without as well; give one of both")
        }
        var chosen: [SelectionRule] = []
        for published in SelectionRule.published where !without.contains(published.name) {
            var rule = published
            let number = numbers.first { $0.name == rule.name }
            guard number != nil || groups.contains(rule.group) else { continue }
            if let number { rule.number = number.number }
            guard rule.number >= 0, rule.number <= 1 || !rule.measure.isShare else {
                throw refuse(
                    "\(prefix)rule \(rule.name) goes by \(rule.measure.isShare ? "a share, 0 to 1" : "a number from 0 on"), as in \(rule.name)=\(Units.plain(published.number)), not \(Units.plain(rule.number))"
                )
            }
            chosen.append(rule)
        }
        for text in script {
            let share = try Self.number(text, of: "\(prefix)script", as: "hangul=0.3")
            guard (0...1).contains(share.number),
                let rule = SelectionRule.script(share.name, share: share.number)
            else {
                throw refuse(
                    "\(prefix)script is a script and a share of 0 to 1, as in hangul=0.3, not '\(text)'; the scripts are \(SelectionRule.scripts.joined(separator: ", "))"
                )
            }
            chosen.append(rule)
        }
        return chosen
    }

    /// The languages to keep, each with the least share of a text.
    private func wantedLanguages(_ prefix: String) throws(UserFacingError) -> [LanguageChoice.Wanted] {
        let known = LanguageChoice(samples: languageSamples, wanted: []).names
        var wanted: [LanguageChoice.Wanted] = []
        for text in language {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            let share = parts.count == 2 ? Double(parts[1]) : parts.count == 1 ? 0.5 : nil
            guard let share, share > 0, share <= 1, let name = parts.first, !name.isEmpty else {
                throw refuse(
                    "\(prefix)language is a language, with a share above 0 and at most 1 if need be, as in ko:0.3, not '\(text)'"
                )
            }
            guard known.contains(name) else {
                throw .unknownWord(name, what: "language", known: known, at: "\(prefix)language-samples")
            }
            guard !wanted.contains(where: { $0.name == name }) else {
                throw refuse("\(prefix)language \(name) is there twice; once is enough")
            }
            wanted.append(LanguageChoice.Wanted(name: name, share: share))
        }
        return wanted
    }

    /// A name with a number.
    private static func number(
        _ text: String, of parameter: String, as example: String
    ) throws(UserFacingError) -> (name: String, number: Double) {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let number = Double(parts[1]), number.isFinite else {
            throw refuse("\(parameter) is a name with a number, as in \(example), not '\(text)'")
        }
        return (String(parts[0]), number)
    }

    /// The number of wordings; nil where it is none that can be.
    private var wordingCount: Int? {
        guard let wordings else { return 1 }
        return Int(wordings).flatMap { (1...1000).contains($0) ? $0 : nil }
    }

    private var amount: DocumentChoice.Amount? {
        share.map { .share($0) } ?? budget.flatMap(DocumentChoice.Amount.init(budget:))
    }

    /// Nil where nobody asks for dates.
    private var dates: DocumentDates? {
        guard let dateField else { return nil }
        var dates = DocumentDates(field: dateField)
        dates.since = since.flatMap { CalendarDay.range(named: $0)?.lowerBound }
        dates.until = until.flatMap { CalendarDay.range(named: $0)?.upperBound }
        return dates
    }

    /// Nil where nothing is chosen.
    private var choice: DocumentChoice? {
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

// MARK: - Checking

/// What can't be asked for.
private func refuse(_ text: String) -> UserFacingError { UserFacingError(.request, text) }

extension SelectionJob {
    /// Refuses numbers that can't be, and what contradicts itself; opens nothing.
    ///
    /// - Parameters:
    ///   - prefix: what stands before a parameter's name in messages: `--` for options.
    ///   - hasModel: whether a model is there where none is named.
    /// - Throws: ``UserFacingError`` that names the parameter.
    public func check(prefix: String = "", hasModel: Bool = false) throws(UserFacingError) {
        if textKey.isEmpty { throw refuse("\(prefix)text-key must be the key of a text, as in content") }
        for (name, isAlone) in [
            ("rules", rules.count < 2 || !rules.contains(.none)),
            ("clean", clean.count < 2 || !clean.contains(.none)),
        ] where !isAlone {
            throw refuse("\(prefix)\(name) has none beside others; give one of both")
        }
        if let boilerplate, boilerplate < 2 {
            throw refuse("\(prefix)boilerplate counts documents, from 2 on, not \(boilerplate)")
        }
        if let againstShare, !(againstShare > 0 && againstShare <= 1) {
            throw refuse("\(prefix)against-share is above 0 and at most 1, not \(againstShare)")
        }
        guard !against.isEmpty || againstKey == nil && againstShare == nil else {
            throw refuse("\(prefix)against-key and \(prefix)against-share go with \(prefix)against")
        }
        guard languageSamples.isEmpty == language.isEmpty else {
            throw refuse(
                "\(prefix)language-samples and \(prefix)language go together: samples of several languages, and those to keep"
            )
        }
        if let sample = languageSamples.first(where: { !$0.isNamed }) {
            throw refuse(
                """
                \(prefix)language-samples \(sample.name): say of which language it is, as in ko=\(sample.name); files to select from \
                stand before the options
                """)
        }
        try checkSynthetic(prefix)
        try checkAmount(prefix)
        try checkSpread(prefix, hasModel || model != nil)
        guard tagsField == nil || by.contains(.entropy) else {
            throw refuse("\(prefix)tags-field goes with \(prefix)by entropy")
        }
        try checkDates(prefix)
        try checkTask(prefix)
        try checkModel(prefix, hasModel || model != nil)
        _ = try settings(prefix: prefix)
    }

    private func checkSynthetic(_ prefix: String) throws(UserFacingError) {
        guard !data.isEmpty || !triples.isEmpty else {
            throw refuse(
                "nothing to select from; give \(prefix.isEmpty ? "data" : "files of text") or \(prefix)triples"
            )
        }
        guard triples.isEmpty == (templates == nil) else {
            throw refuse("\(prefix)triples and \(prefix)templates go together; give both, or neither")
        }
        guard triples.isEmpty || !TripleWriter.keys.contains(textKey) else {
            throw refuse(
                """
                \(prefix)text-key \(textKey): documents of triples have something else under this key; give another, as text
                """)
        }
        guard wordings == nil || !triples.isEmpty else {
            throw refuse("\(prefix)wordings goes with \(prefix)triples")
        }
        guard wordings == "all" || wordingCount != nil else {
            throw refuse("\(prefix)wordings is 1 to 1000, or all, not '\(wordings ?? "")'")
        }
        if let syntheticCap, !(0...1).contains(syntheticCap) {
            throw refuse("\(prefix)synthetic-cap is 0 to 1, not \(syntheticCap)")
        }
    }

    private func checkAmount(_ prefix: String) throws(UserFacingError) {
        if let share, !(share > 0 && share <= 1) {
            throw refuse("\(prefix)share is above 0 and at most 1, not \(share)")
        }
        guard share == nil || budget == nil else {
            throw refuse("\(prefix)share and \(prefix)budget both say how much; give one")
        }
        if let budget, DocumentChoice.Amount(budget: budget) == nil {
            throw refuse("\(prefix)budget is bytes or tokens of text, as 50MB or 2Mtokens, not '\(budget)'")
        }
        var seen: Set<DocumentChoice.Measure> = []
        if let twice = by.first(where: { !seen.insert($0).inserted }) {
            throw refuse("\(prefix)by \(twice.rawValue) is there twice; once is enough")
        }
        guard by.isEmpty || amount != nil else {
            throw refuse(
                "\(prefix)by says which documents come first, and nothing how many; give \(prefix)share or \(prefix)budget"
            )
        }
        guard !sample || amount != nil else {
            throw refuse(
                "\(prefix)sample draws documents, and nothing says how many; give \(prefix)share or \(prefix)budget"
            )
        }
        guard !by.isEmpty || sample || halfLife != nil || amount == nil else {
            throw refuse(
                "\(prefix)share and \(prefix)budget say how many documents, and nothing which; give \(prefix)by, \(prefix)half-life or \(prefix)sample"
            )
        }
        guard seed == nil || sample || clusters != nil || !triples.isEmpty || syntheticCap != nil else {
            throw refuse(
                "\(prefix)seed goes with \(prefix)sample, \(prefix)clusters, \(prefix)triples and \(prefix)synthetic-cap"
            )
        }
    }

    private func checkSpread(_ prefix: String, _ hasModel: Bool) throws(UserFacingError) {
        guard [clusters != nil, topicField != nil, mmr != nil].count(where: \.self) <= 1 else {
            throw refuse(
                "\(prefix)clusters, \(prefix)topic-field and \(prefix)mmr all spread what is chosen; give one"
            )
        }
        if let mmr {
            guard (0...1).contains(mmr) else { throw refuse("\(prefix)mmr is 0 to 1, not \(mmr)") }
            guard !sample else {
                throw refuse(
                    "\(prefix)mmr takes documents one after the other, and \(prefix)sample draws them; give one"
                )
            }
            guard !by.isEmpty || halfLife != nil else {
                throw refuse(
                    "\(prefix)mmr weighs relevance, and nothing says what is relevant; give \(prefix)by")
            }
            guard hasModel else {
                throw refuse("\(prefix)mmr compares a model's embeddings; give one: \(prefix)model FOLDER")
            }
        }
        guard clusters == nil && topicField == nil || amount != nil else {
            throw refuse(
                "\(prefix)clusters and \(prefix)topic-field spread what is chosen; give \(prefix)share or \(prefix)budget, and \(prefix)by or \(prefix)sample"
            )
        }
        if let clusters, clusters < 2 { throw refuse("\(prefix)clusters are at least 2, not \(clusters)") }
        guard clusters == nil || hasModel else {
            throw refuse(
                "\(prefix)clusters are those of a model's embeddings; give one: \(prefix)model FOLDER")
        }
    }

    private func checkDates(_ prefix: String) throws(UserFacingError) {
        guard dateField != nil || since == nil && until == nil && halfLife == nil else {
            throw refuse(
                "\(prefix)since, \(prefix)until and \(prefix)half-life go by dates; name their key: \(prefix)date-field KEY"
            )
        }
        guard dateField == nil || since != nil || until != nil || halfLife != nil else {
            throw refuse(
                "\(prefix)date-field goes with \(prefix)since, \(prefix)until or \(prefix)half-life")
        }
        for (name, text) in [("since", since), ("until", until)] {
            guard let text,
                CalendarDay.range(named: text) == nil || text.contains(where: { "T ".contains($0) })
            else { continue }
            throw refuse(
                "\(prefix)\(name) is a day, a month or a year, as 2024-05-17, 2024-05 or 2024, not '\(text)'")
        }
        if let since = dates?.since, let until = dates?.until, since > until {
            throw refuse("\(prefix)since \(since) is behind \(prefix)until \(until); no day is between them")
        }
        if let halfLife, !(halfLife > 0 && halfLife.isFinite) {
            throw refuse("\(prefix)half-life is a number of days above 0, not \(halfLife)")
        }
        guard halfLife == nil || amount != nil else {
            throw refuse(
                "\(prefix)half-life says which documents come first, and nothing how many; give \(prefix)share or \(prefix)budget"
            )
        }
    }

    private func checkTask(_ prefix: String) throws(UserFacingError) {
        if let measure = by.first(where: \.needsTask), to.isEmpty {
            throw refuse(
                "\(prefix)by \(measure.rawValue) compares with a task; give some of its documents: \(prefix)to FILE"
            )
        }
        guard to.isEmpty || by.contains(where: \.needsTask) else {
            throw refuse("\(prefix)to goes with \(prefix)by similarity, ngrams and ngrams-mean")
        }
        guard toKey == nil || !to.isEmpty else { throw refuse("\(prefix)to-key goes with \(prefix)to") }
    }

    private func checkModel(_ prefix: String, _ hasModel: Bool) throws(UserFacingError) {
        if let measure = by.first(where: \.needsModel), !hasModel {
            throw refuse(
                "\(prefix)by \(measure.rawValue) asks a model; give one: \(prefix)model FOLDER")
        }
        if case .tokens = amount, !hasModel {
            throw refuse(
                "a \(prefix)budget of tokens needs what makes them; give a model: \(prefix)model FOLDER")
        }
        guard model == nil || needsModel else {
            throw refuse(
                "\(prefix)model goes with \(prefix)by similarity, perplexity and bits-per-byte, \(prefix)clusters, \(prefix)mmr, and a \(prefix)budget of tokens; nothing asks it here"
            )
        }
        guard !plainText || needsModel else {
            throw refuse(
                "\(prefix)plain-text is of encoding, and nothing is encoded where no model measures; leave it out"
            )
        }
    }
}

extension DocumentChoice.Amount {
    /// An amount of text as it is written: bytes (`50MB`) or tokens (`2Mtokens`); nil where it is neither.
    init?(budget: String) {
        let text = budget.filter { $0 != " " }
        guard text.lowercased().hasSuffix("tokens") else {
            guard let size = ByteSize(text) else { return nil }
            self = .bytes(size.bytes)
            return
        }
        let number = String(text.dropLast("tokens".count))
        guard !number.lowercased().hasSuffix("b"), let size = ByteSize(number) else { return nil }
        self = .tokens(size.bytes)
    }
}
