internal import Formats

/// Texts of evaluations, as the runs of words or characters by which they are found in documents.
///
/// A text is known by its runs of 13 words, or of 25 characters without spaces where it is mostly Hangul; a shorter one as a
/// whole. Of texts below 4 words, or 8 characters, nothing is looked for: they stand in documents by chance. Case, punctuation,
/// diacritics and spaces don't count, numbers do.
///
/// Source: Brown et al., "Language Models are Few-Shot Learners" (2005.14165), appendix C.
struct Contamination: Sendable {
    /// A set of texts.
    struct EvaluationSet: Sendable {
        let name: String
        var texts = 0
        /// Texts that are too short to be looked for.
        var tooShort = 0
    }

    private(set) var sets: [EvaluationSet] = []
    /// The share of a text's runs that makes a document one that holds it.
    let threshold: Double
    /// The files that were read, as they were.
    private(set) var files: [JSON] = []
    /// What of them was not read, a sentence each.
    private(set) var notes: [String] = []

    /// The set of each text, and its number of different runs.
    private var setOfText: [UInt16] = []
    private var runsOfText: [UInt32] = []
    /// The texts that have a run: those from its start on to the next one's.
    private var texts: [UInt32] = []
    private var textStarts: [UInt32] = []
    private var index: [UInt64: UInt32] = [:]
    /// A bit for each value of the lowest bits of a hash, which tells most runs apart from all that are looked for.
    private var filter: [UInt64] = []
    private var wordSizes: Set<Int> = []
    private var characterSizes: Set<Int> = []

    private static let (words, characters, leastWords, leastCharacters) = (13, 25, 4, 8)

    /// How many different runs are looked for.
    var runCount: Int { textStarts.count - 1 }

    /// Reads evaluation texts.
    ///
    /// - Parameter settings: the files, by the name of their set, and how documents are read and cleaned.
    /// - Throws: ``UserFacingError`` when a file can't be read, or holds no text that is long enough.
    init(_ settings: SelectionSettings) throws(UserFacingError) {
        threshold = settings.contaminationShare
        var cutter = RunCutter()
        var runTexts: [[UInt32]] = []
        for source in settings.evaluations {
            let number = UInt16(sets.count)
            var set = EvaluationSet(name: source.name)
            var texts = try ReferenceTexts(
                [source.path], key: settings.evaluationKey, isComposed: true, settings)
            files += texts.files
            try texts.forEach { text throws(UserFacingError) in
                let isHangul = cutter.isHangul(text)
                let (most, least) =
                    isHangul ? (Self.characters, Self.leastCharacters) : (Self.words, Self.leastWords)
                cutter.set(text, isHangul: isHangul)
                let size = min(cutter.count, most)
                guard size >= least else {
                    set.tooShort += 1
                    return true
                }
                set.texts += 1
                if isHangul { characterSizes.insert(size) } else { wordSizes.insert(size) }
                let runs = Set(cutter.runs(of: size).map { Self.key($0, size: size, isHangul: isHangul) })
                let textNumber = UInt32(setOfText.count)
                setOfText.append(number)
                runsOfText.append(UInt32(runs.count))
                for run in runs.sorted() {
                    if let known = index[run] {
                        runTexts[Int(known)].append(textNumber)
                    } else {
                        index[run] = UInt32(runTexts.count)
                        runTexts.append([textNumber])
                    }
                }
                return true
            }
            notes += texts.notes(of: "evaluation \(source.name)")
            guard set.texts > 0 else { throw .nothingToLookFor(path: source.path, tooShort: set.tooShort) }
            sets.append(set)
        }
        textStarts = [0]
        for list in runTexts {
            texts += list
            textStarts.append(UInt32(texts.count))
        }
        filter = [UInt64](repeating: 0, count: 1 << 14)
        while filter.count < index.count { filter += filter }
        for run in index.keys { filter[Int(run >> 6) & (filter.count - 1)] |= 1 << (run & 63) }
    }

    /// A run's hash, with how it was cut.
    private static func key(_ hash: UInt64, size: Int, isHangul: Bool) -> UInt64 {
        mixed(hash ^ UInt64(size * 2 + (isHangul ? 1 : 0)))
    }

    /// What of evaluations stands in a document.
    struct Finding {
        /// The largest share of a text's runs, and the text's set.
        var share = 0.0
        var set = 0
        /// The runs that were found, each once.
        var runs: [UInt32] = []
    }

    /// Looks for evaluation texts in a document, which is composed.
    func find(in text: [UInt8], by cutter: inout RunCutter) -> Finding {
        var found: Set<UInt32> = []
        func look(_ sizes: Set<Int>, isHangul: Bool) {
            guard !sizes.isEmpty else { return }
            cutter.set(text, isHangul: isHangul)
            for size in sizes where size <= cutter.count {
                for hash in cutter.runs(of: size) {
                    let run = Self.key(hash, size: size, isHangul: isHangul)
                    guard filter[Int(run >> 6) & (filter.count - 1)] & 1 << (run & 63) != 0 else { continue }
                    if let known = index[run] { found.insert(known) }
                }
            }
        }
        look(wordSizes, isHangul: false)
        // Hangul begins with these bytes, and other documents hold nothing of what is looked for by characters.
        if text.contains(where: { (0xEA...0xED).contains($0) }) { look(characterSizes, isHangul: true) }
        var finding = Finding()
        guard !found.isEmpty else { return finding }
        finding.runs = found.sorted()
        var counts: [UInt32: UInt32] = [:]
        for run in finding.runs {
            for place in textStarts[Int(run)]..<textStarts[Int(run) + 1] {
                counts[texts[Int(place)], default: 0] += 1
            }
        }
        for (text, count) in counts.sorted(by: { $0.key < $1.key }) {
            let share = Double(count) / Double(runsOfText[Int(text)])
            if share > finding.share { (finding.share, finding.set) = (share, Int(setOfText[Int(text)])) }
        }
        return finding
    }

    /// What of each set stands in all documents together.
    ///
    /// - Parameter found: whether each run was found.
    /// - Returns: of each set its runs, those that were found, and the texts that were found.
    func figures(_ found: [Bool]) -> [(runs: Int, runsFound: Int, textsFound: Int)] {
        var counts = [UInt32](repeating: 0, count: setOfText.count)
        for run in 0..<runCount where found[run] {
            for place in textStarts[run]..<textStarts[run + 1] { counts[Int(texts[Int(place)])] += 1 }
        }
        var figures = sets.map { _ in (runs: 0, runsFound: 0, textsFound: 0) }
        for (text, set) in setOfText.enumerated() {
            figures[Int(set)].runs += Int(runsOfText[text])
            figures[Int(set)].runsFound += Int(counts[text])
            if Double(counts[text]) >= threshold * Double(runsOfText[text]) {
                figures[Int(set)].textsFound += 1
            }
        }
        return figures
    }
}

/// Cuts a text into runs of words, or of characters without spaces.
struct RunCutter {
    private var words = TextSimplifier(.numbers)
    private var characters = TextSimplifier([.numbers, .characters])
    private var measured = MeasuredText()
    private var text: [UInt8] = []
    private var starts: [UInt32] = []
    private var ends: [UInt32] = []

    /// How many words, or characters, the text has.
    var count: Int { starts.count }

    mutating func isHangul(_ text: [UInt8]) -> Bool {
        measured.set(text)
        return measured.hangulShare() > 0.5
    }

    /// Begins with a text.
    mutating func set(_ source: [UInt8], isHangul: Bool) {
        starts.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        if isHangul {
            characters.simplify(source)
            text = characters.text
            for index in text.indices where text[index] & 0xC0 != 0x80 {
                if index > 0 { ends.append(UInt32(truncatingIfNeeded: index)) }
                starts.append(UInt32(truncatingIfNeeded: index))
            }
        } else {
            words.simplify(source)
            text = words.text
            for index in text.indices where text[index] == 0x20 || index == 0 {
                if index > 0 { ends.append(UInt32(truncatingIfNeeded: index)) }
                starts.append(UInt32(truncatingIfNeeded: index == 0 ? 0 : index + 1))
            }
        }
        if !text.isEmpty { ends.append(UInt32(truncatingIfNeeded: text.count)) }
    }

    /// The hashes of all runs of a length.
    func runs(of size: Int) -> [UInt64] { hashes(of: text, starts[...], ends.dropFirst(size - 1)) }
}

extension UserFacingError {
    /// None of a set's texts is long enough.
    static func nothingToLookFor(path: String, tooShort: Int) -> Self {
        Self(
            .missing,
            """
            \(path): no text in it is long enough to be looked for (\(tooShort) below 4 words or 8 characters of Hangul); \
            give whole questions or passages, or name another key by --against-key
            """)
    }
}
