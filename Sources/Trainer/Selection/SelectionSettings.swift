public import Formats

/// What is selected, and how.
public struct SelectionSettings: Sendable {
    /// What texts are cleaned of.
    public struct Cleaning: OptionSet, Sendable {
        /// The steps as bits.
        public let rawValue: Int
        /// Steps from their bits.
        public init(rawValue: Int) { self.rawValue = rawValue }

        /// Unicode's NFC.
        public static let composed = Self(rawValue: 1)
        /// Control characters and invisible ones; every line end becomes a line feed.
        public static let controls = Self(rawValue: 1 << 1)
        /// Tags, comments, scripts and entities of HTML.
        public static let html = Self(rawValue: 1 << 2)
        /// Mail addresses, telephone numbers and Korean resident numbers become marks.
        public static let personal = Self(rawValue: 1 << 3)

        /// The steps by name, as they are typed.
        public static let names: [(name: String, step: Cleaning)] = [
            ("nfc", .composed), ("controls", .controls), ("html", .html), ("personal", .personal),
        ]
    }

    /// How the files are read.
    public var reading: TextOptions
    /// The columns that documents of tables bring along; none for all that can be read.
    public var columns: [String] = []
    /// What texts are cleaned of.
    public var cleaning: Cleaning = [.composed, .controls]
    /// Whether documents with personal data are dropped.
    public var dropsPersonal = false
    /// Lines that stand in at least so many documents are taken away; nil takes none away.
    public var boilerplate: Int?
    /// Whether a paragraph that stands in an earlier document is taken away.
    public var dropsParagraphs = false
    /// The rules, in the order in which they are asked.
    public var rules = SelectionRule.published
    /// Whether documents that are the same are dropped but for the first.
    public var dropsDuplicates = true
    /// Whether documents that are nearly the same are dropped but for the first.
    public var dropsNearDuplicates = true
    /// Evaluation texts that documents must not hold.
    public var evaluations: [TextSource] = []
    /// The key of a text in the evaluation files.
    public var evaluationKey: String
    /// The share of an evaluation text's runs that makes a document one that holds it.
    public var contaminationShare = 0.5

    /// Triples that become text; nil where there are none.
    public var triples: TripleText?
    /// The most that synthetic documents may be of the text that is kept, 0 to 1; nil for any share.
    public var syntheticCap: Double?
    /// What templates are drawn by, and synthetic documents where the cap leaves some out.
    public var seed: UInt64 = 0

    /// In which languages documents are kept; nil where nobody asks.
    public var language: LanguageChoice?

    /// When documents are of; nil where nobody asks.
    public var dates: DocumentDates?
    /// Which of the documents that all this leaves are chosen; nil for all.
    public var choice: DocumentChoice?

    /// Everything as it is by default.
    public init(reading: TextOptions = TextOptions()) {
        self.reading = reading
        evaluationKey = reading.textKey
    }

    /// What is read of tables beside the texts: the columns, and what documents are chosen by.
    var fields: TextFields {
        guard !columns.isEmpty else { return .all }
        let asked = [dates?.field, choice?.topicField, choice?.tagsField].compactMap(\.self)
        return .named(columns + [Synthesis.key] + asked)
    }

    /// How the files are read, composed where texts are.
    var textOptions: TextOptions {
        var options = reading
        options.composes = options.composes || cleaning.contains(.composed)
        return options
    }

    /// Whether the seed decides anything but what is chosen.
    private var usesSeed: Bool { triples != nil || syntheticCap != nil }

    /// All reasons for which documents are dropped, in the order of their codes, which begin at 1.
    var reasons: [Reason] {
        rules.map {
            Reason(
                name: $0.name, group: $0.group.rawValue, number: $0.number,
                bound: $0.isLeast ? "least" : "most")
        }
            + Reason.others.map {
                switch $0 {
                case Reason.syntheticCap:
                    Reason(
                        name: $0, group: "selection", number: syntheticCap,
                        bound: syntheticCap.map { _ in "most" })
                case Reason.otherLanguage where language?.wanted.count == 1:
                    Reason(
                        name: $0, group: "selection", number: language?.wanted.first?.share, bound: "least")
                default: Reason(name: $0, group: "selection", number: nil, bound: nil)
                }
            }
    }

    /// The code of a reason that is no rule.
    func code(of reason: Reason.Other) -> UInt16 { UInt16(rules.count + 1 + reason.rawValue) }

    /// Everything that decides what is selected.
    var json: JSON {
        var json = selection
        if !columns.isEmpty { json["columns"] = .array(columns.map { .string($0) }) }
        if let dates { json["dates"] = dates.json }
        if let choice { json["choice"] = choice.json }
        if let triples { json["triples"] = triples.json }
        if let language { json["language"] = language.json }
        if let syntheticCap { json["synthetic_cap"] = JSON(syntheticCap) }
        if usesSeed { json["seed"] = .number(JSONNumber(seed)) }
        return json
    }

    private var selection: JSON {
        [
            "text_key": .string(reading.textKey), "skip_bad_lines": .bool(reading.skipsBadLines),
            "nfc": .bool(textOptions.composes), "plain_text": .bool(reading.isPlain),
            "cleaning": .array(
                Cleaning.names.filter { cleaning.contains($0.step) }.map { .string($0.name) }),
            "drop_personal": .bool(dropsPersonal), "boilerplate": boilerplate.map { JSON($0) } ?? .null,
            "paragraphs": .bool(dropsParagraphs),
            "rules": .array(
                rules.map {
                    [
                        "name": .string($0.name), "group": .string($0.group.rawValue),
                        $0.isLeast ? "least" : "most": JSON($0.number),
                    ]
                }),
            "duplicates": .bool(dropsDuplicates), "near_duplicates": .bool(dropsNearDuplicates),
            "minhash": [
                "bands": JSON(MinHash.bands), "rows": JSON(MinHash.rows), "words": JSON(MinHash.words),
                "hangul_characters": JSON(MinHash.characters),
            ],
            "against": .array(
                evaluations.map { ["name": .string($0.name), "file": .string($0.path)] }),
            "against_key": .string(evaluationKey), "against_share": JSON(contaminationShare),
        ]
    }
}

/// Why a document was dropped.
struct Reason: Sendable, Equatable {
    let name: String
    let group: String
    /// The number that it must not pass, and whether that is the least or the most.
    let number: Double?
    let bound: String?

    /// The reasons that are no rules, in the order of their codes.
    enum Other: Int, CaseIterable {
        /// The date is missing, can't be read, or lies outside the days that are kept.
        case undated, unreadableDate, tooOld, tooNew
        /// Cleaning has left nothing.
        case nothingLeft
        case personalData
        /// Too little of the text is in a language that is kept, or it is too short to tell.
        case otherLanguage, undecidedLanguage
        case contamination, duplicate, nearDuplicate, notChosen, syntheticCap
    }

    static let others = [
        "undated", "unreadable_date", "too_old", "too_new", "nothing_left", "personal_data", otherLanguage,
        "undecided_language", "contamination",
        "duplicate_document", "near_duplicate",
        "not_chosen", syntheticCap,
    ]
    static let (otherLanguage, syntheticCap) = ("other_language", "synthetic_cap")

    /// As the ledger has it.
    var json: JSON {
        var json: JSON = ["name": .string(name), "group": .string(group)]
        if let number, let bound { json[bound] = JSON(number) }
        return json
    }

    init(name: String, group: String, number: Double?, bound: String?) {
        (self.name, self.group, self.number, self.bound) = (name, group, number, bound)
    }

    /// As the ledger has it; nil where that is none.
    init?(_ json: JSON) {
        guard let name = json["name"]?.string, let group = json["group"]?.string else { return nil }
        let bound = ["least", "most"].first { json[$0] != nil }
        self.init(name: name, group: group, number: bound.flatMap { json[$0]?.double }, bound: bound)
    }
}
