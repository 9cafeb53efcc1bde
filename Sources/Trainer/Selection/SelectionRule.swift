/// A rule that drops documents: what is measured of a text, and the number that it must not pass.
public struct SelectionRule: Sendable, Equatable {
    /// What it is called, which is the reason that datatrove gives.
    public let name: String
    /// The set that it belongs to.
    public let group: Group
    /// The number: documents above it, or below it, are dropped.
    public var number: Double
    /// Whether the number is the least that is kept, or the most.
    public let isLeast: Bool
    /// Whether it is asked of texts that are mostly Hangul, too.
    let isOfEveryScript: Bool
    let measure: TextMeasure
    /// Whether it is of texts that somebody has written, and not of sentences by templates.
    var isOfProse: Bool { group != .script }

    /// The published sets of rules, and those of this program.
    public enum Group: String, Sendable, CaseIterable {
        case gopherQuality = "gopher_quality"
        case gopherRepetition = "gopher_repetition"
        case fineweb = "fineweb_quality"
        case script
    }

    private init(
        _ name: String, _ group: Group, least: Double? = nil, most: Double? = nil, english: Bool = false,
        _ measure: TextMeasure
    ) {
        (self.name, self.group, self.measure) = (name, group, measure)
        (number, isLeast, isOfEveryScript) = (least ?? most ?? 0, least != nil, !english)
    }

    /// Whether a measure is on the wrong side of the number.
    func drops(_ value: Double) -> Bool { isLeast ? value < number : value > number }

    /// The share of a text's letters that must belong to a script.
    ///
    /// - Parameters:
    ///   - script: its name, as `hangul`.
    ///   - share: the least share, 0 to 1.
    /// - Returns: nil for a script that is not known.
    public static func script(_ script: String, share: Double) -> SelectionRule? {
        guard CharacterRanges.scripts[script] != nil else { return nil }
        return SelectionRule("script_\(script)", .script, least: share, .scriptShare(script))
    }

    /// The scripts that are known.
    public static var scripts: [String] { CharacterRanges.scripts.keys.sorted() }

    /// All published rules, in the order in which they are asked.
    ///
    /// Source: Rae et al., "Scaling Language Models: Methods, Analysis & Insights from Training Gopher" (2112.11446), section
    /// A1.1 and table A1; Penedo et al., "The FineWeb Datasets" (2406.17557), section 3.4; names, numbers and order of datatrove
    /// 0.10.
    public static let published: [SelectionRule] = [
        SelectionRule("gopher_short_doc", .gopherQuality, least: 50, .words),
        SelectionRule("gopher_long_doc", .gopherQuality, most: 100_000, .words),
        SelectionRule(
            "gopher_below_avg_threshold", .gopherQuality, least: 3, english: true, .meanWordLength),
        SelectionRule("gopher_above_avg_threshold", .gopherQuality, most: 10, .meanWordLength),
        SelectionRule("gopher_too_many_hashes", .gopherQuality, most: 0.1, .hashes),
        SelectionRule("gopher_too_many_ellipsis", .gopherQuality, most: 0.1, .ellipses),
        SelectionRule("gopher_too_many_bullets", .gopherQuality, most: 0.9, .bulletLines),
        SelectionRule("gopher_too_many_end_ellipsis", .gopherQuality, most: 0.3, .ellipsisLines),
        SelectionRule("gopher_below_alpha_threshold", .gopherQuality, least: 0.8, .alphabeticWords),
        SelectionRule("gopher_enough_stop_words", .gopherQuality, least: 2, english: true, .stopWords),
        SelectionRule("empty", .gopherRepetition, least: 1, .visibleCharacters),
        SelectionRule("dup_para_frac", .gopherRepetition, most: 0.3, .repeatedParagraphs),
        SelectionRule("dup_para_char_frac", .gopherRepetition, most: 0.2, .repeatedParagraphCharacters),
        SelectionRule("dup_line_frac", .gopherRepetition, most: 0.3, .repeatedLines),
        SelectionRule("dup_line_char_frac", .gopherRepetition, most: 0.2, .repeatedLineCharacters),
        SelectionRule("top_2_gram", .gopherRepetition, most: 0.2, .commonestRun(2)),
        SelectionRule("top_3_gram", .gopherRepetition, most: 0.18, .commonestRun(3)),
        SelectionRule("top_4_gram", .gopherRepetition, most: 0.16, .commonestRun(4)),
        SelectionRule("duplicated_5_n_grams", .gopherRepetition, most: 0.15, .repeatedRuns(5)),
        SelectionRule("duplicated_6_n_grams", .gopherRepetition, most: 0.14, .repeatedRuns(6)),
        SelectionRule("duplicated_7_n_grams", .gopherRepetition, most: 0.13, .repeatedRuns(7)),
        SelectionRule("duplicated_8_n_grams", .gopherRepetition, most: 0.12, .repeatedRuns(8)),
        SelectionRule("duplicated_9_n_grams", .gopherRepetition, most: 0.11, .repeatedRuns(9)),
        SelectionRule("duplicated_10_n_grams", .gopherRepetition, most: 0.10, .repeatedRuns(10)),
        SelectionRule("line_punct_ratio", .fineweb, least: 0.12, .endedLines),
        SelectionRule("short_line_ratio", .fineweb, most: 0.67, .shortLines),
        SelectionRule("char_dup_ratio", .fineweb, most: 0.01, .repeatedVisibleLineCharacters),
        SelectionRule("list_ratio", .fineweb, most: 0.3, .lineFeeds),
    ]
}

/// What a rule measures of a text.
enum TextMeasure: Sendable, Hashable {
    /// Words that are not symbols alone.
    case words
    /// Their mean length in characters.
    case meanWordLength
    /// `#`, and `...` or `…`, over all words.
    case hashes, ellipses
    /// The share of lines that begin with a bullet, and of those that end with an ellipsis.
    case bulletLines, ellipsisLines
    /// The share of words with a letter in them.
    case alphabeticWords
    /// How many of eight English words occur.
    case stopWords
    /// Characters that are no spaces.
    case visibleCharacters
    /// The share of paragraphs and of lines that have stood before, and of the text's characters that are in such.
    case repeatedParagraphs, repeatedParagraphCharacters, repeatedLines, repeatedLineCharacters
    /// The share of the characters that are in the commonest run of so many words.
    case commonestRun(Int)
    /// The share of the characters that are in runs of so many words which have stood before.
    case repeatedRuns(Int)
    /// The share of lines that end a sentence; that have at most 30 characters.
    case endedLines, shortLines
    /// The share of the characters that are in lines which have stood before, blank lines and line feeds not counted.
    case repeatedVisibleLineCharacters
    /// Line feeds over all words.
    case lineFeeds
    /// The share of the letters that belong to a script.
    case scriptShare(String)

    /// Whether it is a share, 0 to 1, and no number of things or length.
    var isShare: Bool {
        switch self {
        case .words, .meanWordLength, .stopWords, .visibleCharacters, .hashes, .ellipses, .lineFeeds: false
        case .bulletLines, .ellipsisLines, .alphabeticWords, .repeatedParagraphs,
            .repeatedParagraphCharacters,
            .repeatedLines, .repeatedLineCharacters, .commonestRun, .repeatedRuns, .endedLines, .shortLines,
            .repeatedVisibleLineCharacters, .scriptShare:
            true
        }
    }
}
