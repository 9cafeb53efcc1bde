/// BERT's clean-up of text.
///
/// Source: BERT's `BasicTokenizer`; the details are those of Hugging Face tokenizers.
struct BertNormalizer: Sendable {
    /// Whether control characters are removed and all white space becomes spaces.
    let cleansText: Bool
    /// Whether ideographs get spaces around them.
    let isolatesIdeographs: Bool
    /// Whether text is decomposed and nonspacing marks are removed.
    let stripsAccents: Bool
    /// Whether text is put in lower case.
    let lowercases: Bool

    /// Reads the normalizer of this name.
    init(_ field: TokenizerField) throws(UserFacingError) {
        cleansText = try field["clean_text"].bool()
        isolatesIdeographs = try field["handle_chinese_chars"].bool()
        lowercases = try field["lowercase"].bool()
        stripsAccents = try field["strip_accents"].bool(default: lowercases)
    }

    /// The normalised text; `isAtStart` becomes false when the text's beginning is removed.
    func apply(to text: [UInt8], _ isAtStart: inout Bool) -> [UInt8] {
        var text = text
        if cleansText { text = text.changingCharacters(&isAtStart, Self.cleaned) }
        if isolatesIdeographs { text = Self.isolatingIdeographs(text) }
        if stripsAccents {
            text = UnicodeForm.decomposed.apply(to: text)
            text = text.changingCharacters(&isAtStart) {
                CharacterClass.nonspacingMark.contains($0) ? nil : $0
            }
        }
        return lowercases ? text.lowercased : text
    }

    /// What a character becomes; nil when it is removed.
    private static func cleaned(_ value: UInt32) -> UInt32? {
        switch value {
        case 0x09, 0x0A, 0x0D: 0x20
        case 0x21...0x7E: value
        case 0, 0xFFFD: nil
        case _ where CharacterClass.control.contains(value): nil
        case _ where CharacterClass.whitespace.contains(value): 0x20
        default: value
        }
    }

    private static func isolatingIdeographs(_ text: [UInt8]) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(text.count)
        var index = 0
        while index < text.count {
            let (value, length) = text.span.scalar(at: index)
            let isIdeograph = isIdeograph(value)
            if isIdeograph { output.append(UInt8(ascii: " ")) }
            output.append(scalar: value)
            if isIdeograph { output.append(UInt8(ascii: " ")) }
            index += length
        }
        return output
    }

    /// The blocks of Chinese characters that BERT names, one of them misspelled as in the reference.
    private static func isIdeograph(_ value: UInt32) -> Bool {
        switch value {
        case 0x4E00...0x9FFF, 0x3400...0x4DBF, 0x20000...0x2A6DF, 0x2A700...0x2B73F, 0x2B740...0x2B81F,
            0x2B920...0x2CEAF, 0xF900...0xFAFF, 0x2F800...0x2FA1F:
            true
        default: false
        }
    }
}

extension [UInt8] {
    /// The text with each character changed or, where `change` gives nil, removed.
    ///
    /// `isAtStart` becomes false when the first one is removed and another is left.
    func changingCharacters(_ isAtStart: inout Bool, _ change: (UInt32) -> UInt32?) -> [UInt8] {
        var output: [UInt8] = []
        output.reserveCapacity(count)
        var index = 0
        while index < count {
            let (value, length) = span.scalar(at: index)
            if let changed = change(value) {
                output.append(scalar: changed)
            } else if output.isEmpty {
                isAtStart = false
            }
            index += length
        }
        return output
    }
}
