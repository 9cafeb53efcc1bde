internal import Formats

/// What became of a document when it was looked at by itself.
struct Examination {
    /// The text, cleaned.
    var text: [UInt8]
    /// Why it is dropped; 0 where it isn't.
    var code: UInt16 = 0
    /// The language of most of its letters, one behind the last for none that is known; nil where nobody asks or nothing tells.
    var language: Int?
    /// What was measured where it is dropped; the number of the evaluation set or language where that is why.
    var score = 0.0
    var set = 0
    /// Whether cleaning has changed it.
    var isChanged = false
    /// How it was made; nil where somebody has written it.
    var synthesis: Synthesis?
    /// What tells it apart from other texts, and its bands.
    var fingerprint = Fingerprint.none
    var bands: [Fingerprint] = []
    /// What of evaluations is in it.
    var runs: [UInt32] = []
}

/// Looks at documents one by one: cleans them, asks the rules, looks for evaluation texts, and takes what they are compared by.
struct DocumentExaminer {
    private let settings: SelectionSettings
    private let cleaner: TextCleaner
    private let contamination: Contamination?
    private let languages: LanguageIdentifier?
    private let minHash: MinHash
    /// Whether texts are composed where they are read.
    private let isComposed: Bool
    private var measured = MeasuredText()
    private var shingler = Shingler()
    private var cutter = RunCutter()
    /// What was cleaned away of all documents so far.
    private(set) var counts = TextCleaner.Counts()

    /// Above this share of their letters texts are Hangul: they are compared by characters, and rules for English leave them.
    private static let hangulShare = 0.5

    init(
        _ settings: SelectionSettings, _ cleaner: TextCleaner, _ contamination: Contamination?,
        _ languages: LanguageIdentifier?, _ minHash: MinHash
    ) {
        (self.languages, isComposed) = (languages, settings.textOptions.composes)
        (self.settings, self.cleaner, self.contamination, self.minHash) = (
            settings, cleaner, contamination, minHash
        )
    }

    /// Looks at a document.
    mutating func examine(_ document: SelectionRun.Document, key: UInt64) -> Examination {
        let source = document.text
        let synthesis = document.batch.synthesis(of: document.place)
        if let dates = settings.dates, let verdict = dates.verdict(dates.date(of: document)) {
            var found = Examination(text: source, synthesis: synthesis)
            return dropped(&found, verdict.reason, Double(verdict.year))
        }
        let before = counts.personal
        var found = Examination(
            text: cleaner.clean(source, key: key, counting: &counts), synthesis: synthesis)
        found.isChanged = found.text != source
        measured.set(found.text)
        if settings.dropsPersonal, counts.personal > before {
            return dropped(&found, .personalData, Double(counts.personal - before))
        }
        if found.isChanged, measured.value(of: .visibleCharacters) == 0 {
            return dropped(&found, .nothingLeft, 0)
        }
        let isHangul = measured.hangulShare() > Self.hangulShare
        // Sentences by templates are no prose: published rules would drop nearly all, and those of one template are near copies.
        let isTemplated = synthesis == .triples
        for (index, rule) in settings.rules.enumerated()
        where (rule.isOfEveryScript || !isHangul) && !(isTemplated && rule.isOfProse) {
            let value = measured.value(of: rule.measure)
            if rule.drops(value) {
                (found.code, found.score) = (UInt16(index + 1), value)
                return found
            }
        }
        // What it is compared with is composed, whether its text in the output is or not.
        let compared = isComposed ? found.text : UnicodeForm.composed.apply(to: found.text)
        if let languages, let choice = settings.language {
            let finding = languages.find(in: compared)
            guard finding.decided > 0 else { return dropped(&found, .undecidedLanguage, 0) }
            let main = finding.main ?? languages.names.count
            found.language = main
            let shares = choice.wanted.map { wanted in
                (languages.names.firstIndex(of: wanted.name).map(finding.share) ?? 0, wanted.share)
            }
            guard shares.contains(where: { $0.0 >= $0.1 }) else {
                found.set = main
                return dropped(&found, .otherLanguage, shares.map(\.0).max() ?? 0)
            }
        }
        if let contamination {
            let finding = contamination.find(in: compared, by: &cutter)
            found.runs = finding.runs
            if finding.share >= contamination.threshold, finding.share > 0 {
                found.set = finding.set
                return dropped(&found, .contamination, finding.share)
            }
        }
        if settings.dropsDuplicates {
            let (high, low) = FileDigest.sha256Start(compared)
            found.fingerprint = Fingerprint(high: high, low: low)
        }
        if settings.dropsNearDuplicates, !isTemplated {
            found.bands = minHash.fingerprints(
                of: minHash.signature(of: shingler.shingles(of: compared, isHangul: isHangul)))
        }
        return found
    }

    private func dropped(_ found: inout Examination, _ reason: Reason.Other, _ score: Double) -> Examination {
        (found.code, found.score) = (settings.code(of: reason), score)
        return found
    }
}
