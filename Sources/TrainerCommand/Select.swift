public import ArgumentParser
import CommandLineSupport
import Formats
public import Trainer

struct Select: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "select",
        abstract:
            "Choose documents for training: leave out what rules, copies and evaluations forbid; of the rest take the best.",
        discussion: """
            \(TextArguments.storedFiles). Pipes and standard input are refused, for files are read several times.

              trainer select corpus/ -o chosen.jsonl                          # Gopher's and FineWeb's rules, no copies
              trainer select corpus/ -o chosen.jsonl --against kobest=test.jsonl --script hangul=0.3
              trainer select corpus/ -o chosen.jsonl --language-samples ko=ko.txt en=en.txt --language ko
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
            \(SelectionRule.published.map { "\($0.name) \(Units.plain($0.number))" }.joined(separator: ", ")).

            With --json: the report. With --explain: document, file, line, kept, changed, synthetic where it is (triples, replay or other), and where it was dropped \
            reason, score, least or most (the rule's number), set (of evaluations), language, equals (a document's number); where documents \
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
            "A column of Parquet files that documents bring along (default: all that can be read).",
            valueName: "name"))
    var columns: [String] = []
    @Option(
        help: ArgumentHelp(
            "Sets of rules: gopher, gopher_quality, gopher_repetition, fineweb, or none (gopher,fineweb).",
            valueName: "set,…"))
    var rules: CommaSeparated<SelectionJob.RuleSet>?
    @Option(
        help: ArgumentHelp(
            "Give a rule another number; asks it where no set has it.", valueName: "name=number"))
    var rule: [String] = []
    @Option(help: ArgumentHelp("Don't ask a rule.", valueName: "name")) var without: [String] = []
    @Option(
        help: ArgumentHelp(
            "Keep texts with at least this share of a script's letters (\(SelectionRule.scripts.joined(separator: ", "))).",
            valueName: "script=share"))
    var script: [String] = []

    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp("Samples of languages, by which texts are known.", valueName: "language=file"),
        transform: TextSource.unweighted)
    var languageSamples: [TextSource] = []
    @Option(
        help: ArgumentHelp(
            "Keep texts of which at least this share (0.5) is in this language; of several, in one of them.",
            valueName: "language[:share]"))
    var language: [String] = []

    @Option(
        help: ArgumentHelp(
            "What texts are cleaned of: nfc, controls, html, or none (nfc,controls).", valueName: "step,…"))
    var clean: CommaSeparated<SelectionJob.CleaningStep>?
    @Option(
        help: ArgumentHelp(
            "Mail addresses, telephone and Korean resident numbers: keep, mask, or drop their document.",
            valueName: "what"))
    var personal = SelectionJob.PersonalData.keep
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
        guard explain == nil else { return }
        do {
            try TextSelection.checkName(ofOutput: output)
            try job.check(prefix: "--")
        } catch { throw ValidationError("\(error)") }
        try refuseModels(among: job.files)
    }

    func run() throws {
        try runReportingErrors {
            if let explain { return try show(explain) }
            let selection = try TextSelection(
                job, threads: compute.count, tool: "trainer \(Version.current)")
            Interruption.watch()
            let progress = SelectionProgress()
            defer { progress.clear() }
            let report = try selection.write(
                to: output, replaces: force, isCancelled: { Interruption.signal != nil },
                progress: progress.show)
            progress.clear()
            for warning in report.warnings { warn(warning) }
            if json { return printJSON(report.json) }
            for line in report.lines(output: output) { CommandLineSupport.report(line) }
        }
    }

    /// The job that the command line asks for.
    private var job: SelectionJob {
        var job = SelectionJob()
        (job.data, job.columns) = (files, columns)
        (job.rules, job.rule) = (rules?.words ?? job.rules, rule)
        (job.without, job.script) = (without, script)
        (job.clean, job.personal) = (clean?.words ?? job.clean, personal)
        (job.boilerplate, job.paragraphs) = (boilerplate, paragraphs)
        (job.keepDuplicates, job.keepNearDuplicates) = (keepDuplicates, keepNearDuplicates)
        (job.against, job.againstKey, job.againstShare) = (against, againstKey, againstShare)
        (job.triples, job.templates) = (synthetic.triples, synthetic.templates)
        (job.wordings, job.syntheticCap) = (synthetic.wordings, synthetic.syntheticCap)
        (job.languageSamples, job.language) = (languageSamples, language)
        job.take(choosing)
        (job.textKey, job.nfc) = (reading.textKey, reading.nfc)
        (job.skipBadLines, job.plainText) = (reading.skipBadLines, reading.plainText)
        return job
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
        if let language = fate.language {
            text += ", which is \(language == "unknown" ? "of none of the samples" : language)"
        }
        if let score = fate.score { text += ", score \(Units.fixed(score, digits: 4))" }
        if let limit = fate.limit { text += ", at \(fate.isLeast ? "least" : "most") \(Units.plain(limit))" }
        if let equal = fate.equal { text += ", equals document \(equal)" }
        return text
    }
}

/// Words with commas between them, as they are typed.
struct CommaSeparated<Word: RawRepresentable<String> & Sendable>: ExpressibleByArgument {
    let words: [Word]

    init?(argument: String) {
        let words = argument.split(separator: ",").map { Word(rawValue: String($0)) }
        self.words = words.compactMap(\.self)
        guard self.words.count == words.count, !words.isEmpty else { return nil }
    }
}

extension SelectionJob.PersonalData: ExpressibleByArgument {}
