/// Divides text into the words that the model encodes one by one.
struct PreTokenizer: Sendable {
    /// What is done to the pieces, one step after another.
    enum Step: Sendable {
        /// Divides them.
        case split(Splitter)
        /// Divides them where the script changes.
        case splitScripts
        /// Divides them after every so many characters.
        case splitEvery(Int)
        /// Puts a space before each that has none.
        case prependSpace
        /// Replaces spaces by a visible character.
        case replaceSpaces(Metaspace)
        /// Writes each byte as its character of ``ByteAlphabet``.
        case writeBytes
    }

    /// The steps; without the last `writeBytes`, see ``endsInBytes``.
    private(set) var steps: [Step] = []
    /// Whether the last step is to write bytes as characters.
    ///
    /// It is left to the model, which can as well work on the bytes themselves.
    private(set) var endsInBytes = false

    /// Reads `pre_tokenizer`; missing or null leaves the text in one piece.
    init(_ field: TokenizerField) throws(UserFacingError) {
        guard let field = field.ifPresent else { return }
        try append(field)
        if case .writeBytes? = steps.last {
            steps.removeLast()
            endsInBytes = true
        }
    }

    private mutating func append(_ field: TokenizerField) throws(UserFacingError) {
        switch try field["type"].string() {
        case "Sequence":
            for element in try field["pretokenizers"].elements() { try append(element) }
        case "ByteLevel":
            if try field["add_prefix_space"].bool(default: true) { steps.append(.prependSpace) }
            if try field["use_regex"].bool(default: true) {
                let words = try Expression(ByteLevelPattern.words, file: field.file)
                steps.append(.split(Splitter(pattern: .expression(words), behavior: .isolated)))
            }
            steps.append(.writeBytes)
        case "Split":
            steps.append(.split(try splitter(field, TextPattern(field["pattern"]))))
        case "Metaspace":
            let metaspace = try Metaspace(field)
            steps.append(.replaceSpaces(metaspace))
            if metaspace.divides {
                let pattern = TextPattern.literal(metaspace.replacement)
                steps.append(.split(Splitter(pattern: pattern, behavior: .mergedWithNext)))
            }
        case "UnicodeScripts":
            steps.append(.splitScripts)
        case "FixedLength":
            let length = try field["length"].count(default: 5)
            guard length > 0 else { throw field["length"].failure("a whole number from 1") }
            steps.append(.splitEvery(length))
        case let name:
            steps.append(contentsOf: try simpleSplitters(name, field).map { .split($0) })
        }
    }

    private func splitter(
        _ field: TokenizerField, _ pattern: TextPattern
    ) throws(UserFacingError) -> Splitter {
        Splitter(
            pattern: pattern, behavior: try Splitter.Behavior(field["behavior"]),
            isInverted: try field["invert"].bool(default: false))
    }

    /// The kinds that only look at classes of characters.
    private func simpleSplitters(
        _ name: String, _ field: TokenizerField
    ) throws(UserFacingError) -> [Splitter] {
        switch name {
        case "Digits":
            let isEachAlone = try field["individual_digits"].bool(default: false)
            return [Splitter(pattern: .character(.numeric), behavior: isEachAlone ? .isolated : .contiguous)]
        case "Whitespace":
            return [Splitter(pattern: .wordRuns, behavior: .removed, isInverted: true)]
        case "WhitespaceSplit":
            return [Splitter(pattern: .character(.whitespace), behavior: .removed)]
        case "Punctuation":
            let behavior = field["behavior"].isAbsent ? .isolated : try Splitter.Behavior(field["behavior"])
            return [Splitter(pattern: .character(.punctuation), behavior: behavior)]
        case "CharDelimiterSplit":
            let delimiter = try field["delimiter"].scalar().value
            return [Splitter(pattern: .character(.only(delimiter)), behavior: .removed)]
        case "BertPreTokenizer":
            return [
                Splitter(pattern: .character(.whitespace), behavior: .removed),
                Splitter(pattern: .character(.punctuation), behavior: .isolated),
            ]
        default:
            throw field.unsupported("the pre-tokenizer \"\(name)\"")
        }
    }

    /// The same for a text that goes on from another: nothing is put before it.
    var continuing: Self {
        var continuing = self
        continuing.steps = steps.compactMap { step in
            switch step {
            case .prependSpace: nil
            case .replaceSpaces(let metaspace): .replaceSpaces(metaspace.continuing)
            default: step
            }
        }
        return continuing
    }

    /// Divides `text` into words.
    func apply(to text: inout PreTokenizedString) throws(UserFacingError) {
        for step in steps {
            switch step {
            case .split(let splitter):
                try splitter.divide(&text)
            case .splitScripts:
                text.dividePieces(divideAtScripts)
            case .splitEvery(let length):
                text.dividePieces { piece, division in divide(piece, every: length, &division) }
            case .prependSpace:
                try text.rewritePieces { piece, _, output throws(UserFacingError) in
                    if piece[0] != UInt8(ascii: " ") { output.append(UInt8(ascii: " ")) }
                    output.append(piece)
                }
            case .replaceSpaces(let metaspace):
                try text.rewritePieces { piece, isAtStart, output throws(UserFacingError) in
                    metaspace.write(piece, isAtStart: isAtStart, into: &output)
                }
            case .writeBytes:
                try text.rewritePieces { piece, _, output throws(UserFacingError) in
                    ByteAlphabet.encode(piece, into: &output)
                }
            }
        }
    }
}

/// The division into words that byte-level pre-tokenizers bring along.
private enum ByteLevelPattern {
    /// GPT-2's pattern, of its `encoder.py`.
    static let words = #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
}

/// Divides a piece where the script changes; spaces go with what is before them, and those before anything
/// else are dropped, as in the reference.
private func divideAtScripts(_ piece: Span<UInt8>, _ division: inout PreTokenizedString.Division) {
    var start: Int?
    var last = UnicodeScript.any
    var index = 0
    while index < piece.count {
        let (scalar, length) = piece.scalar(at: index)
        let script = UnicodeScript.number(of: scalar)
        if script != UnicodeScript.any {
            if script != last {
                if let start { division.append(start..<index) }
                start = index
            }
            last = script
        }
        index += length
    }
    if let start { division.append(start..<piece.count) }
}

private func divide(_ piece: Span<UInt8>, every count: Int, _ division: inout PreTokenizedString.Division) {
    var start = 0
    while start < piece.count {
        var end = start
        for _ in 0..<count where end < piece.count { end += piece.scalar(at: end).length }
        division.append(start..<end)
        start = end
    }
}
