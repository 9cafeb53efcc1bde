/// What was found in files of text that whoever trains on them should know of.
public struct TextFindings: Sendable, Equatable {
    /// Lines that can't be used and were passed over.
    public internal(set) var skippedLines = 0
    /// Why the first of them can't be used.
    public internal(set) var firstSkipped: String?
    /// Files in folders and patterns that are no text and were passed over.
    public internal(set) var passedOver: [String] = []
    /// Files that were named twice and are read once.
    public internal(set) var repeated: [String] = []
    /// Byte order marks at the start of documents, which were taken away.
    public internal(set) var byteOrderMarks = 0
    /// Line ends of two characters that were read as one.
    public internal(set) var carriageReturns = 0
    /// Characters U+0000, which stay.
    public internal(set) var nulCharacters = 0
    /// Hangul syllables that are written in parts (NFD).
    public internal(set) var decomposedHangul = 0
    /// How many of those were composed.
    public internal(set) var composedHangul = 0
    /// How often each control token is spelled out in a text.
    public internal(set) var controlTokens: [String: Int] = [:]

    /// Nothing found.
    public init() {}

    /// Control tokens that are spelled out in texts, all together.
    public var controlTokenCount: Int { controlTokens.values.reduce(0, +) }

    /// Notes a line that was passed over.
    mutating func skip(_ error: UserFacingError) {
        skippedLines += 1
        firstSkipped = firstSkipped ?? error.description
    }

    /// Notes the control tokens that are spelled out in a text.
    package mutating func countControlTokens(in text: [UInt8], of tokenizer: Tokenizer) {
        tokenizer.countControlTokens(in: text.span, into: &controlTokens)
    }

    /// Adds what was found in other texts that come behind.
    package mutating func add(_ other: TextFindings) {
        skippedLines += other.skippedLines
        firstSkipped = firstSkipped ?? other.firstSkipped
        passedOver += other.passedOver
        repeated += other.repeated
        byteOrderMarks += other.byteOrderMarks
        carriageReturns += other.carriageReturns
        nulCharacters += other.nulCharacters
        decomposedHangul += other.decomposedHangul
        composedHangul += other.composedHangul
        controlTokens.merge(other.controlTokens, uniquingKeysWith: +)
    }

    /// Counts what stands in a text.
    ///
    /// - Returns: its Hangul syllables that are written in parts.
    mutating func look(at text: Span<UInt8>) -> Int {
        var (nuls, syllables) = (0, 0)
        // The jamo of conjoining Hangul are E1 84 80 to E1 87 BF.
        var index = 0
        while index < text.count {
            let byte = text[index]
            if byte == 0 { nuls += 1 }
            if byte == 0xE1, index + 2 < text.count, (0x84...0x87).contains(text[index + 1]) {
                if isComposable(text, at: index) { syllables += 1 }
                index += 2
            }
            index += 1
        }
        nulCharacters += nuls
        decomposedHangul += syllables
        return syllables
    }

    /// Whether a vowel or final consonant stands at `index` that belongs to what is before it.
    ///
    /// A syllable counts once: by its vowel, or by its final consonant where that alone is apart.
    private func isComposable(_ text: Span<UInt8>, at index: Int) -> Bool {
        guard index >= 3 else { return false }
        let here = text.scalar(at: index).value
        let before = text.scalar(at: text.start(before: index)).value
        switch here {
        case 0x1161...0x1175: return (0x1100...0x1112).contains(before)
        case 0x11A8...0x11C2: return (0xAC00...0xD7A3).contains(before) && (before - 0xAC00) % 28 == 0
        default: return false
        }
    }

    /// What of the files was not read, or once where it is named twice, a sentence each.
    package var readingWarnings: [String] {
        var warnings: [String] = []
        if !passedOver.isEmpty {
            let names = passedOver.prefix(5).joined(separator: ", ") + (passedOver.count > 5 ? ", …" : "")
            warnings.append(
                "\(counted(passedOver.count, "file")) passed over that \(passedOver.count == 1 ? "is" : "are") no text: \(names)"
            )
        }
        if !repeated.isEmpty {
            warnings.append("\(repeated.joined(separator: ", ")): named more than once, read once")
        }
        if skippedLines > 0 {
            let first = firstSkipped.map { "; the first: \($0)" } ?? ""
            warnings.append("\(counted(skippedLines, "line")) passed over that can't be used\(first)")
        }
        return warnings
    }

    /// What to tell whoever encodes the texts, a sentence each.
    public func warnings(for tokenizer: Tokenizer) -> [String] {
        var warnings = readingWarnings
        if byteOrderMarks > 0 {
            warnings.append("\(counted(byteOrderMarks, "byte order mark")) at the start of texts taken away")
        }
        if carriageReturns > 0 {
            warnings.append("\(counted(carriageReturns, "line end")) of CR LF read as LF")
        }
        if nulCharacters > 0 {
            warnings.append("the texts hold \(counted(nulCharacters, "NUL character")) (U+0000), which stay")
        }
        if composedHangul > 0 {
            warnings.append("\(counted(composedHangul, "Hangul syllable")) in parts (NFD) composed")
        } else if !tokenizer.composes {
            warnings += decompositionWarnings
        }
        if !controlTokens.isEmpty {
            let names = controlTokens.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
            let list = names.prefix(5).map { "\($0.key) \(Units.grouped($0.value))" }.joined(separator: ", ")
            let treatment =
                tokenizer.splitsSpecialTokens
                ? "are encoded as text" : "are encoded as such; --plain-text encodes them as text"
            warnings.append(
                """
                the texts spell out \(counted(controlTokenCount, "control token")) (\
                \(list)\(names.count > 5 ? ", …" : "")), which \(treatment)
                """)
        }
        return warnings
    }

    /// That texts hold Hangul in parts which stays so, in a sentence, where they do.
    package var decompositionWarnings: [String] {
        guard decomposedHangul > composedHangul else { return [] }
        return [
            """
            the texts hold \(counted(decomposedHangul, "Hangul syllable")) in parts (NFD, as macOS writes names), \
            which become other tokens than composed ones; --nfc composes them
            """
        ]
    }

    private func counted(_ count: Int, _ noun: String) -> String {
        "\(Units.grouped(count)) \(noun)\(count == 1 ? "" : "s")"
    }
}

extension TextFindings {
    /// What was counted in texts, which can be kept with what became of them.
    package var counts: JSON {
        [
            "skipped_lines": JSON(skippedLines), "byte_order_marks": JSON(byteOrderMarks),
            "carriage_returns": JSON(carriageReturns), "nul_characters": JSON(nulCharacters),
            "decomposed_hangul": JSON(decomposedHangul), "composed_hangul": JSON(composedHangul),
            "control_tokens": .object(
                controlTokens.sorted { $0.key < $1.key }.reduce(into: JSONObject()) {
                    $0[$1.key] = JSON($1.value)
                }),
        ]
    }

    /// What was counted before.
    package init(counts: JSON) {
        func count(_ key: String) -> Int { counts[key]?.int ?? 0 }
        (skippedLines, byteOrderMarks) = (count("skipped_lines"), count("byte_order_marks"))
        (carriageReturns, nulCharacters) = (count("carriage_returns"), count("nul_characters"))
        (decomposedHangul, composedHangul) = (count("decomposed_hangul"), count("composed_hangul"))
        for (token, value) in counts["control_tokens"]?.object ?? JSONObject() {
            controlTokens[token] = value.int ?? 0
        }
    }

    /// Says why the first line was passed over that was.
    package mutating func name(firstSkipped: String?) { self.firstSkipped = firstSkipped }
}
