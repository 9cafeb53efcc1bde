public import Formats

/// How many documents a selection kept and dropped, and why.
public struct SelectionReport: Sendable {
    /// How many documents there were.
    public private(set) var documents = 0
    /// How many were kept.
    public private(set) var kept = 0
    /// The bytes that these have in the output.
    public private(set) var keptBytes = 0
    /// How many documents each reason dropped, with the number that they must not pass, in the order in which it was asked.
    public var reasons: [(name: String, group: String, limit: Double?, documents: Int)] {
        settings.reasons.enumerated().map { ($1.name, $1.group, $1.number, dropped[$0]) }
    }
    /// What was found of evaluation sets.
    public private(set) var evaluations: [Evaluation] = []
    /// How many documents were chosen of how many; nil where all were kept.
    public internal(set) var choice: ChoiceFigures?
    /// The files and the model of which the output was made, and the digests of the output and of the ledger.
    var origins = JSON.null, sha256 = "", ledgerSHA256 = ""
    /// What there is to know of the model that measured.
    var notes: [String] = []
    /// What became of triples; nil where there were none.
    var triples: TripleFigures?
    /// The bytes of text that are kept.
    public private(set) var keptText = 0
    /// The documents that are marked as synthetic, by how they were made.
    public var synthetic: [Synthetic] {
        Synthesis.allCases.compactMap { madeBy[$0] }.filter { $0.documents > 0 }
    }
    private var madeBy: [Synthesis: Synthetic] = [:]
    /// The first document without a date that can be read, where dates count.
    var undated: String?
    /// What was counted in reading and cleaning.
    var figures = PartFigures()
    private var dropped: [Int]
    private var droppedBySet: [Int: Int] = [:]
    private let settings: SelectionSettings
    private let tool: String

    /// What of a set of evaluation texts stands in the documents that the rules keep.
    public struct Evaluation: Sendable {
        /// Its name.
        public let name: String
        /// Its texts that were looked for, those that are too short for it, and those that were found, in all documents together.
        public let texts, tooShort, found: Int
        /// The share of its runs of words or characters that was found.
        public let share: Double
        /// How many documents were dropped for it.
        public let documents: Int
    }

    /// Documents that are marked as synthetic and were made alike.
    public struct Synthetic: Sendable {
        /// How they were made: `triples`, `replay` or `other`.
        public let name: String
        /// How many there were, and how many were kept.
        public fileprivate(set) var documents = 0, kept = 0
        /// The bytes of text of those that were kept.
        public fileprivate(set) var keptText = 0
    }

    /// The share of the text that is kept which is marked as synthetic.
    public var syntheticShare: Double {
        Double(synthetic.reduce(0) { $0 + $1.keptText }) / Double(max(1, keptText))
    }

    init(_ settings: SelectionSettings, tool: String) {
        (self.settings, self.tool) = (settings, tool)
        dropped = settings.reasons.map { _ in 0 }
    }

    /// What was found in the files that whoever selects from them should know of, a sentence each.
    public var warnings: [String] {
        var warnings = notes + (triples?.warnings ?? [])
        let findings = figures.findings
        warnings += findings.readingWarnings + findings.decompositionWarnings
        if let undated {
            let missing = documents(droppedBy: .undated) + (choice?.undated ?? 0)
            let unreadable = documents(droppedBy: .unreadableDate) + (choice?.unreadableDates ?? 0)
            let isWindow = settings.dates?.since != nil || settings.dates?.until != nil
            let fate = isWindow ? "they are dropped" : "they count as old as the oldest"
            warnings.append(
                "documents without a date: \(Units.grouped(missing)), with one that can't be read: \(Units.grouped(unreadable)); \(fate); the first is \(undated)"
            )
        }
        if let choice, choice.unmeasured > 0 {
            warnings.append(
                "documents that can't be measured, and come last: \(Units.grouped(choice.unmeasured))")
        }
        if kept == 0 { warnings.append("no document was kept") }
        return warnings
    }

    /// How many documents cleaning changed, and of what.
    public var cleaning: [(name: String, count: Int)] {
        [("documents changed", figures.changed)]
            + PartFigures.fields.map {
                ($0.name.replacing("_", with: " "), figures.cleaned[keyPath: $0.path])
            }
    }

    private func documents(droppedBy reason: Reason.Other) -> Int {
        dropped[Int(settings.code(of: reason)) - 1]
    }

    mutating func count(
        _ entry: SelectionLedger.Entry, bytes: UInt64, text: UInt32, contaminationCode: UInt16
    ) {
        documents += 1
        if let synthesis = entry.detail.synthesis {
            var made = madeBy[synthesis] ?? Synthetic(name: synthesis.name)
            made.documents += 1
            if entry.code == 0 {
                made.kept += 1
                made.keptText += Int(text)
            }
            madeBy[synthesis] = made
        }
        guard entry.code > 0 else {
            kept += 1
            keptBytes += Int(bytes)
            keptText += Int(text)
            return
        }
        dropped[Int(entry.code) - 1] += 1
        if entry.code == contaminationCode { droppedBySet[entry.detail.set, default: 0] += 1 }
    }

    mutating func setContamination(_ contamination: Contamination, _ found: [Bool]) {
        evaluations = zip(contamination.sets, contamination.figures(found)).enumerated().map { number, set in
            Evaluation(
                name: set.0.name, texts: set.0.texts, tooShort: set.0.tooShort, found: set.1.textsFound,
                share: Double(set.1.runsFound) / Double(max(1, set.1.runs)),
                documents: droppedBySet[number] ?? 0)
        }
    }

    /// How many documents were mostly of each language, of those of which it was asked, in alphabetical order.
    public var languages: [(name: String, documents: Int)] {
        figures.languages.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
    }

    /// As the report's file has it.
    public var json: JSON {
        var json = selection
        if settings.language != nil { json["languages"] = figures.languagesJSON }
        if let choice { json["choice"] = choice.json }
        if let triples { json["triples"] = triples.json }
        return json
    }

    /// What a report's file says that it is.
    static let format = "trainer selection"

    private var selection: JSON {
        [
            "format": .string(Self.format), "version": "1", "tool": .string(tool), "settings": settings.json,
            "made_of": origins, "sha256": .string(sha256), "ledger_sha256": .string(ledgerSHA256),
            "documents": JSON(documents), "kept": JSON(kept), "text_bytes": JSON(figures.textBytes),
            "kept_bytes": JSON(keptBytes), "kept_text_bytes": JSON(keptText),
            "synthetic": .array(
                synthetic.map {
                    [
                        "name": .string($0.name), "documents": JSON($0.documents), "kept": JSON($0.kept),
                        "kept_text_bytes": JSON($0.keptText),
                    ]
                }), "synthetic_share": JSON(syntheticShare),
            "dropped": .array(
                zip(settings.reasons, dropped).map { reason, count in
                    var json = reason.json
                    json["documents"] = JSON(count)
                    return json
                }),
            "cleaned": figures.cleanedJSON, "changed": JSON(figures.changed),
            "skipped_lines": JSON(figures.findings.skippedLines),
            "composed_hangul": JSON(figures.findings.composedHangul),
            "evaluations": .array(
                evaluations.map {
                    [
                        "name": .string($0.name), "texts": JSON($0.texts), "too_short": JSON($0.tooShort),
                        "found": JSON($0.found), "share": JSON($0.share), "documents": JSON($0.documents),
                    ]
                }),
        ]
    }
}

/// How many documents were chosen.
public struct ChoiceFigures: Sendable {
    /// How many there were to choose from, and how many were chosen.
    public let candidates, chosen: Int
    /// The amount that was asked for, and what these take of it: documents, bytes of text or tokens.
    public let amount: DocumentChoice.Amount, taken: Int
    /// Documents of which something could not be measured, as of a text without a token.
    public let unmeasured: Int
    /// The clusters or topics that documents were spread over: of each how many there were, and how many were chosen.
    public let groups: [(name: String, candidates: Int, chosen: Int)]
    /// Where age counts: documents without a date, and with one that can't be read.
    public let undated, unreadableDates: Int

    init(_ choice: Choice, of amount: DocumentChoice.Amount) {
        self.amount = amount
        candidates = choice.numbers.count
        chosen = choice.isChosen.count { $0 }
        taken = choice.taken
        var counts = choice.groupNames.map { (name: $0, candidates: 0, chosen: 0) }
        for (index, group) in choice.groups.enumerated() {
            counts[Int(group)].candidates += 1
            if choice.isChosen[index] { counts[Int(group)].chosen += 1 }
        }
        groups = counts
        undated = choice.days.count(where: \.isNaN)
        unreadableDates = choice.days.count(where: \.isInfinite)
        unmeasured = choice.numbers.indices.count { index in choice.scores.contains { $0[index].isNaN } }
    }

    var json: JSON {
        [
            "candidates": JSON(candidates), "chosen": JSON(chosen), "taken": JSON(taken),
            "unmeasured": JSON(unmeasured), "undated": JSON(undated),
            "unreadable_dates": JSON(unreadableDates),
            "groups": .array(
                groups.map {
                    ["name": .string($0.name), "candidates": JSON($0.candidates), "chosen": JSON($0.chosen)]
                }),
        ]
    }
}
