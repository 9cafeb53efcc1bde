public import Formats
internal import Foundation

/// Which languages a text is in, of those of which there are samples.
///
/// A model of each language says how likely a letter is behind the three before it, interpolated with shorter contexts by Witten and
/// Bell's method C (<https://doi.org/10.1109/18.87000>). A piece of text is of the language under which it is likeliest (Dunning,
/// "Statistical Identification of Language", MCCS 94-273, 1994). It is undecided where the next one is as likely as but for 10 bits, or the
/// piece has fewer than 20 letters; and of an unknown language where a letter takes 1.5 bits more than letters of the sample that the
/// model has not seen. What is no letter counts as a space, capital letters as small ones.
///
/// All languages are looked up at once: a table for each length of n-gram has a row of logarithms for every one that stands in any
/// sample.
struct LanguageIdentifier: Sendable {
    /// What the languages are called.
    let names: [String]
    /// The files of samples, as they were.
    private(set) var files: [JSON] = []
    /// What of them was not read, a sentence each.
    private(set) var notes: [String] = []
    /// The n-grams of 1, 2, 3 and 4 letters.
    private var tables: [Table] = []
    /// The logarithm of a letter that is in no sample.
    private var unseen: [Float] = []
    /// The mean logarithm of a letter of each sample that the model has not seen.
    private var typical: [Double] = []

    /// How likely n-grams' last letters are; a row has a number for each language.
    private struct Table: Sendable {
        var rows: [UInt64: UInt32] = [:]
        /// The binary logarithm of the last letter's probability behind the others.
        var logarithms: [Float] = []
        /// What is added where a letter behind these is in no sample, and a shorter context tells it.
        var backoffs: [Float] = []
    }

    private static let order = 4
    /// The probability of a letter of which nothing is known.
    private static let base = 1.0 / 2048
    /// What reports call a language of which there is no sample.
    private static let unknown = "unknown"
    /// The letters of a piece; the most that are taken of a sample, and the least that it has to have.
    private static let (pieceSize, mostLetters, leastLetters) = (200, 1_000_000, 2_000)
    /// The letters and bits without which a piece is undecided, and the bits a letter that make it unknown.
    static let (leastPiece, leastBits, mostBitsMore) = (20, 10.0, 1.5)

    /// What reports call a language by its number, one behind the last for none of the samples'.
    static func name(of number: Int, in names: [String]) -> String {
        names.indices.contains(number) ? names[number] : unknown
    }

    /// Makes models of samples.
    ///
    /// - Parameters:
    ///   - samples: files of text by the language's name; several of one name are one sample.
    ///   - settings: how documents are read and cleaned.
    /// - Throws: ``UserFacingError`` when a file can't be read or there is too little in it.
    init(_ samples: [TextSource], _ settings: SelectionSettings) throws(UserFacingError) {
        var (names, letters): ([String], [[UInt16]]) = ([], [])
        for sample in samples {
            let language = names.firstIndex(of: sample.name) ?? names.count
            if language == names.count {
                names.append(sample.name)
                letters.append([])
            }
            var texts = try ReferenceTexts(
                [sample.path], key: settings.reading.textKey, isComposed: true, settings)
            files += texts.files
            try texts.forEach { text throws(UserFacingError) in
                letters[language] += Self.letters(of: text)
                return letters[language].count < Self.mostLetters
            }
            notes += texts.notes(of: "samples of \(sample.name)")
        }
        self.names = names
        for (name, own) in zip(names, letters) where own.count < Self.leastLetters {
            throw .smallSample(language: name, letters: own.count, least: Self.leastLetters)
        }
        let blocks = letters.map { own -> [Range<Int>] in
            let (count, size) = (min(own.count, Self.mostLetters), min(1_000, own.count / 50))
            return stride(from: 0, to: count, by: size).map { $0..<min($0 + size, count) }
        }
        makeTables(
            zip(letters, blocks).map {
                Self.counts($0, $1.enumerated().filter { $0.offset % 10 != 9 }.map(\.element))
            })
        for language in names.indices {
            var (sum, count) = (0.0, 0)
            for (number, block) in blocks[language].enumerated() where number % 10 == 9 {
                sum += logarithms(of: letters[language], in: block)[language]
                count += block.count
            }
            typical.append(sum / Double(max(1, count)))
        }
    }

    /// How often each n-gram stands in some blocks, by its length.
    private static func counts(_ letters: [UInt16], _ blocks: [Range<Int>]) -> [[UInt64: UInt32]] {
        var counts = [[UInt64: UInt32]](repeating: [:], count: order)
        for block in blocks {
            var key: UInt64 = 0
            for index in block {
                key = key << 16 | UInt64(letters[index])
                for length in 1...min(order, index - block.lowerBound + 1) {
                    counts[length - 1][key & mask(length), default: 0] += 1
                }
            }
        }
        return counts
    }

    /// The bits of an n-gram's letters.
    private static func mask(_ length: Int) -> UInt64 { length == 4 ? .max : 1 << UInt64(16 * length) - 1 }

    private mutating func makeTables(_ counts: [[[UInt64: UInt32]]]) {
        let languages = names.count
        var shorter: (rows: [UInt64: UInt32], probabilities: [Double]) = ([:], [])
        for length in 1...Self.order {
            var table = Table()
            for own in counts {
                for key in own[length - 1].keys where table.rows[key] == nil {
                    table.rows[key] = UInt32(table.rows.count)
                }
            }
            // How many letters follow a context in each language, and how many different ones.
            var contexts: [UInt64: [(all: Double, different: Double)]] = [:]
            for (language, own) in counts.enumerated() {
                for (key, count) in own[length - 1] {
                    contexts[key >> 16, default: [(Double, Double)](repeating: (0, 0), count: languages)][
                        language
                    ].all +=
                        Double(count)
                    contexts[key >> 16]?[language].different += 1
                }
            }
            var probabilities = [Double](repeating: 0, count: table.rows.count * languages)
            for (key, row) in table.rows {
                let lower = length == 1 ? nil : shorter.rows[key & Self.mask(length - 1)]
                for language in 0..<languages {
                    let back =
                        lower.map { shorter.probabilities[Int($0) * languages + language] } ?? Self.base
                    let (all, different) = contexts[key >> 16]?[language] ?? (0, 0)
                    let count = Double(counts[language][length - 1][key] ?? 0)
                    probabilities[Int(row) * languages + language] =
                        all > 0 ? (count + different * back) / (all + different) : back
                }
            }
            table.logarithms = probabilities.map { Float(log2($0)) }
            func backoff(_ context: (all: Double, different: Double)) -> Float {
                context.all > 0 ? Float(log2(context.different / (context.all + context.different))) : 0
            }
            if length == 1 {
                unseen = (contexts[0] ?? []).map { backoff($0) + Float(log2(Self.base)) }
            } else {
                for (key, row) in tables[length - 2].rows {
                    guard let context = contexts[key] else { continue }
                    for language in 0..<languages {
                        tables[length - 2].backoffs[Int(row) * languages + language] = backoff(
                            context[language])
                    }
                }
            }
            table.backoffs = [Float](repeating: 0, count: table.logarithms.count)
            tables.append(table)
            shorter = (table.rows, probabilities)
        }
    }

    /// The sum of the logarithms of some letters under each language.
    private func logarithms(of letters: [UInt16], in range: Range<Int>) -> [Double] {
        let languages = names.count
        var sums = [Double](repeating: 0, count: languages)
        for index in range {
            var key: UInt64 = 0
            for place in max(0, index - Self.order + 1)...index { key = key << 16 | UInt64(letters[place]) }
            var length = min(Self.order, index + 1)
            while length > 0 {
                let own = key & Self.mask(length)
                if let row = tables[length - 1].rows[own] {
                    let start = Int(row) * languages
                    for language in 0..<languages {
                        sums[language] += Double(tables[length - 1].logarithms[start + language])
                    }
                    break
                }
                if length == 1 {
                    for language in 0..<languages { sums[language] += Double(unseen[language]) }
                } else if let row = tables[length - 2].rows[own >> 16] {
                    let start = Int(row) * languages
                    for language in 0..<languages {
                        sums[language] += Double(tables[length - 2].backoffs[start + language])
                    }
                }
                length -= 1
            }
        }
        return sums
    }

    // MARK: Texts

    /// Of which languages the letters of a text are.
    struct Finding: Equatable {
        /// How many letters are of each language, and of none of them.
        var letters: [Int]
        var unknown = 0
        /// How many stand in pieces that are too short or too like two languages.
        var undecided = 0

        /// Letters of which it is known whether they are of a language.
        var decided: Int { letters.reduce(unknown, +) }

        /// The share of them that is of a language.
        func share(of language: Int) -> Double { Double(letters[language]) / Double(max(1, decided)) }

        /// The language of most of them; nil where they are of none that is known.
        var main: Int? {
            guard let most = letters.max(), most > 0, most >= unknown else { return nil }
            return letters.firstIndex(of: most)
        }
    }

    /// Looks at a text piece by piece.
    func find(in text: [UInt8]) -> Finding {
        let letters = Self.letters(of: text)
        var finding = Finding(letters: [Int](repeating: 0, count: names.count))
        var start = 0
        while start < letters.count {
            // A rest of less than half a piece belongs to the one before.
            let rest = letters.count - start
            let end = rest < Self.pieceSize * 3 / 2 ? letters.count : start + Self.pieceSize
            switch verdict(logarithms(of: letters, in: start..<end), count: end - start) {
            case .language(let language): finding.letters[language] += end - start
            case .unknown: finding.unknown += end - start
            case .undecided: finding.undecided += end - start
            }
            start = end
        }
        return finding
    }

    private enum Verdict {
        case language(Int), unknown, undecided
    }

    private func verdict(_ sums: [Double], count: Int) -> Verdict {
        guard count >= Self.leastPiece, let best = sums.max(), let language = sums.firstIndex(of: best) else {
            return .undecided
        }
        if typical[language] - best / Double(count) > Self.mostBitsMore { return .unknown }
        let next = sums.indices.filter { $0 != language }.map { sums[$0] }.max()
        if let next, best - next < Self.leastBits { return .undecided }
        return .language(language)
    }

    // MARK: Letters

    /// The letters of a text, small, with one space for all between them.
    private static func letters(of text: [UInt8]) -> [UInt16] {
        var letters: [UInt16] = []
        letters.reserveCapacity(text.count)
        let space = UInt16(0x20)
        var index = 0
        while index < text.count {
            let (scalar, length) = text.character(at: index)
            index += length
            let letter = scalar < 0x10000 ? folded[Int(scalar)] : space
            if letter != space || letters.last != space { letters.append(letter) }
        }
        if letters.first == space { letters.removeFirst() }
        return letters
    }

    /// Each character of the first plane as a small letter; a space where it is none.
    private static let folded: [UInt16] = (0..<UInt32(0x10000)).map { value in
        guard let scalar = Unicode.Scalar(value) else { return 0x20 }
        let traits = CharacterTraits.table.of(value)
        guard traits.contains(.letter) || traits.contains(.mark) else { return 0x20 }
        let small = scalar.properties.lowercaseMapping.unicodeScalars
        return small.count == 1 ? UInt16(small.first?.value ?? value) : UInt16(value)
    }
}

/// In which languages documents are kept, and samples of these and of others.
public struct LanguageChoice: Sendable {
    /// A language that is kept.
    public struct Wanted: Sendable, Equatable {
        /// Its name, which a sample has.
        public var name: String
        /// The least share of a text's letters that must be of it.
        public var share: Double

        /// A language and a share.
        public init(name: String, share: Double = 0.5) { (self.name, self.share) = (name, share) }
    }

    /// Files of text by the name of their language.
    public var samples: [TextSource]
    /// What is kept: texts that have enough of one of these.
    public var wanted: [Wanted]

    /// Samples, and what is kept.
    public init(samples: [TextSource], wanted: [Wanted]) { (self.samples, self.wanted) = (samples, wanted) }

    /// The languages' names, each once, as a ``LanguageIdentifier`` numbers them.
    var names: [String] {
        samples.reduce(into: []) { if !$0.contains($1.name) { $0.append($1.name) } }
    }

    /// As the settings have it.
    var json: JSON {
        [
            "samples": .array(samples.map { ["name": .string($0.name), "file": .string($0.path)] }),
            "names": .array(names.map { .string($0) }),
            "wanted": .array(wanted.map { ["name": .string($0.name), "share": JSON($0.share)] }),
        ]
    }
}

extension UserFacingError {
    fileprivate static func smallSample(language: String, letters: Int, least: Int) -> Self {
        Self(
            .missing,
            """
            the sample of the language '\(language)' has \(Units.grouped(letters)) letters, and \(Units.grouped(least)) are the least; \
            100,000 tell near languages apart
            """)
    }
}
