/// What selection asks of a character (a Unicode scalar).
struct CharacterTraits: OptionSet {
    let rawValue: UInt16

    /// Python's `str.isalpha`: the general categories that begin with L.
    static let letter = Self(rawValue: 1)
    /// Python's `str.isspace`, and `\s` of its regular expressions.
    static let space = Self(rawValue: 1 << 1)
    /// datatrove's `PUNCTUATION_SET`: a word of these alone is a symbol.
    static let symbol = Self(rawValue: 1 << 2)
    /// datatrove's `PUNCTUATION`, which becomes a space before texts are compared.
    static let removed = Self(rawValue: 1 << 3)
    /// What ends a sentence.
    static let terminal = Self(rawValue: 1 << 4)
    /// A decimal digit of any script.
    static let digit = Self(rawValue: 1 << 5)
    /// A nonspacing mark.
    static let mark = Self(rawValue: 1 << 6)
    /// spaCy's `ALPHA`.
    static let alpha = Self(rawValue: 1 << 7)
    /// spaCy's `ALPHA_LOWER`.
    static let lower = Self(rawValue: 1 << 8)
    /// spaCy's `ALPHA_UPPER`.
    static let upper = Self(rawValue: 1 << 9)
    /// spaCy's symbols and emoji.
    static let icon = Self(rawValue: 1 << 10)
    /// spaCy's quotes.
    static let quote = Self(rawValue: 1 << 11)
    /// What spaCy takes off the end of a word by itself, and off the start as well.
    static let affix = Self(rawValue: 1 << 12)
    /// What spaCy takes off the start of a word.
    static let prefix = Self(rawValue: 1 << 13)
    /// The sign of a currency.
    static let currency = Self(rawValue: 1 << 14)
    /// Hangul, as ``CharacterRanges`` has it.
    static let hangul = Self(rawValue: 1 << 15)

    /// The traits of the characters of the first plane.
    static let table: [CharacterTraits] = (0..<UInt32(0x10000)).map { CharacterTraits(of: $0) }

    /// A character's traits, worked out.
    init(of scalar: UInt32) { self = Self.worked(out: scalar) }

    private static func worked(out scalar: UInt32) -> CharacterTraits {
        var traits: CharacterTraits = []
        guard let character = Unicode.Scalar(scalar) else { return traits }
        let category = character.properties.generalCategory
        switch category {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            traits.insert(.letter)
        case .decimalNumber: traits.insert(.digit)
        case .nonspacingMark: traits.insert(.mark)
        default: break
        }
        if Self.isSpace(scalar) { traits.insert(.space) }
        let isTerminal = CharacterRanges.contain(CharacterRanges.terminal, scalar)
        let isRemoved = CharacterRanges.contain(CharacterRanges.punctuation, scalar)
        if isTerminal { traits.insert(.terminal) }
        if isRemoved { traits.insert(.removed) }
        if isTerminal || isRemoved { traits.insert(.symbol) }
        if CharacterRanges.contain(CharacterRanges.uncased, scalar) {
            traits.formUnion([.alpha, .lower, .upper])
        } else if CharacterRanges.contain(CharacterRanges.cased, scalar) {
            traits.insert(.alpha)
            if category == .lowercaseLetter { traits.insert(.lower) }
            if category == .uppercaseLetter { traits.insert(.upper) }
        }
        if CharacterRanges.contain(CharacterRanges.icons, scalar) { traits.formUnion([.icon, .affix]) }
        if Self.quotes.contains(character) { traits.formUnion([.quote, .affix]) }
        if Self.punctuation.contains(character) || scalar == 0x2013 || scalar == 0x2014 {
            traits.insert(.affix)
        }
        if Self.currencies.contains(character) { traits.insert(.currency) }
        if !traits.isDisjoint(with: [.affix, .currency]) || [0xA7, 0x25, 0x3D].contains(scalar) {
            traits.insert(.prefix)
        }
        if let hangul = CharacterRanges.scripts["hangul"], CharacterRanges.contain(hangul, scalar) {
            traits.insert(.hangul)
        }
        return traits
    }

    init(rawValue: UInt16) { self.rawValue = rawValue }

    private static func isSpace(_ scalar: UInt32) -> Bool {
        switch scalar {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F,
            0x3000:
            true
        default: false
        }
    }

    /// spaCy's `LIST_QUOTES`.
    private static let quotes = Set("'\"”“`‘´’‚,„»«「」『』（）〔〕【】《》〈〉\u{2329}\u{232A}⟦⟧".unicodeScalars)
    /// spaCy's `LIST_PUNCT`, and its ellipsis.
    private static let punctuation = Set("…,:;!?¿؟¡()[]{}<>_#*&。？！，、；：～·।،۔؛٪".unicodeScalars)
    /// spaCy's `LIST_CURRENCY`, without those of two letters.
    private static let currencies = Set("$£€¥฿₽﷼₴₠₡₢₣₤₥₦₧₨₩₪₫₭₮₯₰₱₲₳₵₶₷₸₹₺₻₼₾₿".unicodeScalars)
}

extension [CharacterTraits] {
    /// A character's traits, where this is ``CharacterTraits/table``.
    @inline(__always)
    func of(_ scalar: UInt32) -> CharacterTraits {
        scalar < 0x10000 ? self[Int(scalar)] : CharacterTraits(of: scalar)
    }
}

/// Characters of bytes that are known to be UTF-8. (`Formats` has the same for itself; a loop over whole texts must have it
/// inside its own module.)
extension [UInt8] {
    /// The character that begins at `index`, and its length in bytes.
    @inline(__always)
    func character(at index: Int) -> (value: UInt32, length: Int) {
        let first = UInt32(self[index])
        if first < 0x80 { return (first, 1) }
        let second = UInt32(self[index + 1] & 0x3F)
        if first < 0xE0 { return ((first & 0x1F) << 6 | second, 2) }
        let third = UInt32(self[index + 2] & 0x3F)
        if first < 0xF0 { return ((first & 0x0F) << 12 | second << 6 | third, 3) }
        return ((first & 0x07) << 18 | second << 12 | third << 6 | UInt32(self[index + 3] & 0x3F), 4)
    }

    /// The character that ends before `index`, and its length in bytes.
    @inline(__always)
    func character(before index: Int) -> (value: UInt32, length: Int) {
        var start = index - 1
        while start > 0, self[start] & 0xC0 == 0x80 { start -= 1 }
        return character(at: start)
    }

    /// Appends a character as UTF-8.
    mutating func append(character: UInt32) {
        guard let scalar = Unicode.Scalar(character) else { return }
        append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
    }

    /// How many characters a range of the bytes has.
    func characterCount(_ range: Range<Int>) -> Int {
        var count = 0
        for index in range where self[index] & 0xC0 != 0x80 { count += 1 }
        return count
    }
}
