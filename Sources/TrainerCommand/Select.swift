import ArgumentParser
import CommandLineSupport
import Formats
import Trainer

struct Select: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "select",
        abstract:
            "Choose documents for training: leave out what rules, copies and evaluations forbid; of the rest take the best.",
        discussion: """
            \(TextArguments.files) A pipe can't be named: files are read several times.

              trainer select corpus/ -o chosen.jsonl                          # Gopher's and FineWeb's rules, no copies
              trainer select corpus/ -o chosen.jsonl --against kobest=test.jsonl --script hangul=0.3
              trainer select corpus/ -o chosen.jsonl --rule gopher_short_doc=20 --without list_ratio
              trainer select corpus/ -o chosen.jsonl --by ngrams --to task.jsonl --share 0.1    # what is most like a task
              trainer select corpus/ -o chosen.jsonl --by similarity --to task.jsonl --model my-model --budget 5Mtokens
              trainer select corpus/ -o chosen.jsonl --triples facts.tsv --templates korean.yaml --synthetic-cap 0.1
              trainer select -o chosen.jsonl --explain corpus/a.jsonl:17      # what became of a document

            OUT.jsonl gets the lines of the documents that are kept, in their order, with the cleaned text; beside it \
            are OUT.jsonl.ledger, with every document's fate, and OUT.jsonl.report.json. A run that was stopped goes \
            on with the same command; until it is done, what it knows is in the folder OUT.jsonl.run. The output is the \
            same bytes on any number of threads.

            The rules, in the order in which they are asked: \
            \(SelectionRule.published.map { "\($0.name) \(plain($0.number))" }.joined(separator: ", ")).

            With --json: the report. With --explain: document, file, line, kept, changed, synthetic where it is (triples, replay or other), and where it was dropped \
            reason, score, least or most (the rule's number), set (of evaluations), equals (a document's number); where documents \
            were chosen rank, group, and the score by each measure under its name.
            """)

    @Argument(help: ArgumentHelp("Files of text.", valueName: "file")) var files: [String] = []
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp("The file of the documents that are kept.", valueName: "out.jsonl"))
    var output: String
    @Option(
        help: ArgumentHelp(
            "Show what became of a document: its number, FILE:LINE, or all.", valueName: "document"))
    var explain: String?

    @Option(
        help: ArgumentHelp(
            "Sets of rules: gopher, gopher_quality, gopher_repetition, fineweb, or none (gopher,fineweb).",
            valueName: "set,…"))
    var rules: RuleSets?
    @Option(
        name: .customLong("rule"),
        help: ArgumentHelp(
            "Give a rule another number; asks it where no set has it.", valueName: "name=number"),
        transform: RuleNumber.init(typed:))
    var numbers: [RuleNumber] = []
    @Option(help: ArgumentHelp("Don't ask a rule.", valueName: "name")) var without: [String] = []
    @Option(
        help: ArgumentHelp(
            "Keep texts with at least this share of a script's letters (\(SelectionRule.scripts.joined(separator: ", "))).",
            valueName: "script=share"),
        transform: RuleNumber.init(typed:))
    var script: [RuleNumber] = []

    @Option(
        help: ArgumentHelp(
            "What texts are cleaned of: nfc, controls, html, or none (nfc,controls).", valueName: "step,…"))
    var clean: CleaningSteps?
    @Option(
        help: ArgumentHelp(
            "Mail addresses, telephone and Korean resident numbers: keep, mask, or drop their document (keep).",
            valueName: "what"))
    var personal: PersonalTreatment?
    @Option(help: ArgumentHelp("Take away lines that stand in so many documents.", valueName: "count"))
    var boilerplate: Int?
    @Flag(help: "Take away paragraphs that stand in an earlier document.") var paragraphs = false

    @Flag(help: "Keep documents that are the same as an earlier one.") var keepDuplicates = false
    @Flag(help: "Keep documents that are nearly the same as an earlier one.") var keepNearDuplicates = false
    @Option(
        help: ArgumentHelp(
            "Drop documents that hold texts of this evaluation.", valueName: "[name=]file"),
        transform: TextSource.unweighted)
    var against: [TextSource] = []
    @Option(help: ArgumentHelp("The key of a text in those files (as --text-key).", valueName: "key"))
    var againstKey: String?
    @Option(
        help: ArgumentHelp(
            "Drop where this share of a text's runs of 13 words, or 25 characters of Hangul, occurs (0.5).",
            valueName: "share"))
    var againstShare: Double?

    @OptionGroup(title: "Synthetic text") var synthetic: SyntheticOptions
    @OptionGroup(title: "Choosing") var choosing: ChoiceOptions

    @Flag(help: "Replace an output, and what a run with other settings has left.") var force = false
    @OptionGroup(title: "Reading of text") var reading: TextArguments
    @OptionGroup var compute: ComputeOptions
    @Flag(help: "Print one JSON object on standard output.") var json = false

    func validate() throws {
        guard explain != nil || !files.isEmpty || !synthetic.triples.isEmpty else {
            throw ValidationError("give at least one file of text, or of triples")
        }
        guard explain == nil || files.isEmpty && synthetic.triples.isEmpty else {
            throw ValidationError("--explain reads the ledger beside -o; leave the files out")
        }
        guard !reading.plainText || choosing.model != nil else {
            throw ValidationError(
                "--plain-text is of encoding, and nothing is encoded without --model; leave it out")
        }
        if let boilerplate, boilerplate < 2 {
            throw ValidationError("--boilerplate counts documents, from 2 on, not \(boilerplate)")
        }
        if let againstShare, !(againstShare > 0 && againstShare <= 1) {
            throw ValidationError("--against-share is above 0 and at most 1, not \(againstShare)")
        }
        guard !against.isEmpty || againstKey == nil && againstShare == nil else {
            throw ValidationError("--against-key and --against-share go with --against")
        }
        guard choosing.seed == nil || choosing.sample || choosing.clusters != nil || synthetic.usesSeed else {
            throw ValidationError("--seed goes with --sample, --clusters, --triples and --synthetic-cap")
        }
        _ = try chosenRules()
    }

    func run() throws {
        try runReportingErrors {
            if let explain { return try show(explain) }
            try refuseModels(among: files + against.map(\.path))
            let selection = try TextSelection(
                of: files, settings(), threads: compute.count, tool: "trainer \(Version.current)")
            Interruption.watch()
            let line = Guarded((ProgressLine(), ProgressMeter(), TextSelection.Stage.documents))
            defer { line.withLock { $0.0.clear() } }
            let report = try selection.write(
                to: output, replaces: force, isCancelled: { Interruption.signal != nil },
                progress: { stage, done, total in
                    line.withLock { line in
                        if line.2 != stage { (line.1, line.2) = (ProgressMeter(), stage) }
                        let text = line.1.bytes(done: done, of: total)
                        line.0.update("\(stage.rawValue): \(text)")
                    }
                })
            line.withLock { $0.0.clear() }
            for warning in report.warnings { warn(warning) }
            if json { return printJSON(report.json) }
            show(report)
        }
    }

    private func settings() throws -> SelectionSettings {
        var settings = SelectionSettings(reading: reading.options)
        if let clean { settings.cleaning = clean.steps }
        if personal == .mask { settings.cleaning.insert(.personal) }
        if personal == .drop {
            settings.cleaning.insert(.personal)
            settings.dropsPersonal = true
        }
        (settings.boilerplate, settings.dropsParagraphs) = (boilerplate, paragraphs)
        settings.rules = try chosenRules()
        (settings.dropsDuplicates, settings.dropsNearDuplicates) = (!keepDuplicates, !keepNearDuplicates)
        settings.evaluations = against
        if let againstKey { settings.evaluationKey = againstKey }
        if let againstShare { settings.contaminationShare = againstShare }
        (settings.triples, settings.syntheticCap) = (synthetic.text, synthetic.syntheticCap)
        settings.seed = choosing.seed ?? 0
        settings.dates = choosing.dates
        settings.choice = choosing.choice(textKey: reading.textKey)
        return settings
    }

    private func chosenRules() throws -> [SelectionRule] {
        let names = SelectionRule.published.map(\.name)
        let groups = rules?.groups ?? [.gopherQuality, .gopherRepetition, .fineweb]
        for name in numbers.map(\.name) + without where !names.contains(name) {
            throw ValidationError(
                "there is no rule '\(name)'; the rules are \(names.joined(separator: ", "))")
        }
        var chosen: [SelectionRule] = []
        for var rule in SelectionRule.published where !without.contains(rule.name) {
            let number = numbers.last { $0.name == rule.name }
            guard number != nil || groups.contains(rule.group) else { continue }
            if let number { rule.number = number.number }
            chosen.append(rule)
        }
        for share in script {
            guard (0...1).contains(share.number),
                let rule = SelectionRule.script(share.name, share: share.number)
            else {
                throw ValidationError(
                    "--script is a script and a share of 0 to 1, as in hangul=0.3; the scripts are \(SelectionRule.scripts.joined(separator: ", "))"
                )
            }
            chosen.append(rule)
        }
        return chosen
    }

    private func show(_ report: SelectionReport) {
        var table = Table(columns: [("", .left), ("limit", .right), ("documents", .right)])
        table.add("read", "", Units.grouped(report.documents))
        for reason in report.reasons where reason.documents > 0 {
            table.add(reason.name, reason.limit.map(plain) ?? "", "-\(Units.grouped(reason.documents))")
        }
        table.add("kept", "", Units.grouped(report.kept))
        self.report(table.description)
        let cleaned = report.cleaning.filter { $0.count > 0 }
        if !cleaned.isEmpty {
            self.report(
                "cleaned: " + cleaned.map { "\($0.name) \(Units.grouped($0.count))" }.joined(separator: ", "))
        }
        for set in report.evaluations {
            let short = set.tooShort > 0 ? ", \(Units.grouped(set.tooShort)) too short to look for" : ""
            self.report(
                "\(set.name): \(Units.grouped(set.found)) of \(Units.grouped(set.texts)) texts found (\(Units.fixed(set.share * 100, digits: 2)) % of their runs)\(short); \(Units.grouped(set.documents)) documents dropped"
            )
        }
        for made in report.synthetic {
            self.report(
                "synthetic, \(made.name): \(Units.grouped(made.kept)) of \(Units.grouped(made.documents)) documents kept, \(Units.fixed(Double(made.keptText) / Double(max(1, report.keptText)) * 100, digits: 2)) % of the text"
            )
        }
        if let choice = report.choice {
            self.report(
                "chosen: \(Units.grouped(choice.chosen)) of \(Units.grouped(choice.candidates)) documents that were left"
                    + choosing.taken(choice.taken))
        }
        if let groups = report.choice?.groups, !groups.isEmpty {
            var table = Table(columns: [("group", .left), ("documents", .right), ("chosen", .right)])
            for group in groups.prefix(40) {
                table.add(group.name, Units.grouped(group.candidates), Units.grouped(group.chosen))
            }
            self.report(table.description)
            if groups.count > 40 { self.report("and \(Units.grouped(groups.count - 40)) groups more") }
        }
        self.report("wrote \(output) (\(Units.bytes(report.keptBytes)))")
    }

    private func report(_ text: String) { CommandLineSupport.report(text) }

    private func show(_ name: String) throws {
        let ledger = try SelectionLedger(path: output + ".ledger")
        if name == "all" {
            for number in 0..<ledger.count { print(try ledger.fate(of: number).json.text) }
            return
        }
        let way = try ledger.way(of: try ledger.number(of: name))
        if json {
            if let fate = way.first { printJSON(fate.json) }
            return
        }
        for (index, fate) in way.enumerated() {
            report(
                "\(index > 0 ? "which is " : "")document \(fate.number), \(fate.file), line \(fate.line): \(text(of: fate))"
            )
        }
    }

    private func text(of fate: SelectionLedger.Fate) -> String {
        var text = fate.synthesis.map { "synthetic (\($0)), " } ?? ""
        if fate.isChanged { text += "cleaned, " }
        let measured =
            (fate.rank.map { ", rank \(Units.grouped($0))" } ?? "")
            + (fate.group.map { " of all, \($0)" } ?? "")
            + fate.scores.map { ", \($0.name) \(Units.fixed($0.score, digits: 4))" }.joined()
        guard let reason = fate.reason else { return text + "kept" + measured }
        text += "dropped by \(reason)" + measured
        if let set = fate.set { text += " with \(set)" }
        if let score = fate.score { text += ", score \(Units.fixed(score, digits: 4))" }
        if let limit = fate.limit { text += ", at \(fate.isLeast ? "least" : "most") \(plain(limit))" }
        if let equal = fate.equal { text += ", equals document \(equal)" }
        return text
    }
}

/// A number without a point where it has no part behind it.
private func plain(_ number: Double) -> String {
    number == number.rounded() && number.magnitude < 1e15 ? String(Int(number)) : "\(number)"
}

/// Sets of rules as they are typed.
struct RuleSets: ExpressibleByArgument {
    let groups: Set<SelectionRule.Group>

    init?(argument: String) {
        var groups: Set<SelectionRule.Group> = []
        for name in argument.split(separator: ",") {
            switch name {
            case "gopher": groups.formUnion([.gopherQuality, .gopherRepetition])
            case "gopher_quality": groups.insert(.gopherQuality)
            case "gopher_repetition": groups.insert(.gopherRepetition)
            case "fineweb", "fineweb_quality": groups.insert(.fineweb)
            case "none" where argument == "none": break
            default: return nil
            }
        }
        self.groups = groups
    }
}

/// Steps of cleaning as they are typed.
struct CleaningSteps: ExpressibleByArgument {
    let steps: SelectionSettings.Cleaning

    init?(argument: String) {
        var steps: SelectionSettings.Cleaning = []
        for name in argument.split(separator: ",") where argument != "none" {
            let step = SelectionSettings.Cleaning.names.first { $0.name == name }?.step
            guard let step, step != .personal else { return nil }
            steps.insert(step)
        }
        self.steps = steps
    }
}

/// What becomes of personal data.
enum PersonalTreatment: String, ExpressibleByArgument, CaseIterable {
    case keep, mask, drop
}

/// A name with a number, as they are typed.
struct RuleNumber {
    let name: String
    let number: Double

    init(typed text: String) throws {
        let parts = text.split(separator: "=", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, let number = Double(parts[1]), number.isFinite else {
            throw ValidationError("'\(text)' is no name with a number, as in gopher_short_doc=20")
        }
        (name, self.number) = (String(parts[0]), number)
    }
}
