/// The classes of characters that pre-tokenizers, normalizers and added tokens ask for.
///
/// They are those of the Rust libraries which Hugging Face tokenizers 0.23 are written with, each of its own
/// version of Unicode: a character that came later belongs to no class there, and so it does here
/// (`Scripts/compare/tokenizer_characters.py` compares them all).
enum CharacterClass: Sendable, Equatable {
    /// `char::is_whitespace`.
    case whitespace
    /// `char::is_numeric`.
    case numeric
    /// ASCII punctuation (which counts `$` and `+`) or a punctuation category.
    case punctuation
    /// Control, format and private characters.
    case control
    /// Nonspacing marks.
    case nonspacingMark
    /// Marks of every kind.
    case mark
    /// One given character.
    case only(UInt32)

    /// Whether a character belongs to the class.
    func contains(_ value: UInt32) -> Bool {
        if case .only(let scalar) = self { return scalar == value }
        guard let scalar = Unicode.Scalar(value) else { return false }
        return switch self {
        case .whitespace: scalar.properties.isWhitespace
        case .numeric: scalar.isNumeric
        case .punctuation: scalar.isPunctuation
        case .control: scalar.isControl
        case .nonspacingMark: scalar.isNonspacingMark
        case .mark: scalar.isMark
        case .only: false
        }
    }
}

/// The versions of Unicode that the reference's parts know.
enum UnicodeEdition: Int {
    /// The crate `unicode_categories`.
    case categories = 8
    /// The crate `unicode-normalization-alignments`, and the table of scripts.
    case normalization = 9
    /// The crate `regex`.
    case expressions = 16
}

extension Unicode.Scalar {
    /// Whether the character was there in an edition of Unicode.
    func isKnown(to edition: UnicodeEdition) -> Bool {
        value < 0x80 || (properties.age.map { $0.major <= edition.rawValue } ?? false)
    }

    /// `\w` of Rust's `regex` crate: alphabetic, marks, decimal digits, connectors and joiners.
    var isWord: Bool {
        if isASCII {
            return switch value {
            case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
            default: false
            }
        }
        guard properties.isAlphabetic || properties.isJoinControl || isOtherWordCharacter else {
            return false
        }
        return isKnown(to: .expressions)
    }

    private var isOtherWordCharacter: Bool {
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
        default: false
        }
    }

    fileprivate var isNumeric: Bool {
        switch properties.generalCategory {
        case .decimalNumber, .letterNumber, .otherNumber: true
        default: false
        }
    }

    fileprivate var isControl: Bool {
        switch properties.generalCategory {
        case .control, .privateUse: true
        case .format: isKnown(to: .categories)
        default: false
        }
    }

    fileprivate var isMark: Bool {
        switch value {
        // What their categories were then.
        case 0x1CF2, 0x1CF3: return true
        case 0x111C9: return false
        default: break
        }
        return switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: isKnown(to: .normalization)
        default: false
        }
    }

    fileprivate var isNonspacingMark: Bool {
        switch value {
        // What their categories were then.
        case 0x1734, 0x1171E: true
        case 0x1885, 0x1886, 0xA9BD, 0x111C9: false
        default: properties.generalCategory == .nonspacingMark && isKnown(to: .categories)
        }
    }

    fileprivate var isPunctuation: Bool {
        if isASCII {
            return switch value {
            case 0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E: true
            default: false
            }
        }
        return switch properties.generalCategory {
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
            .initialPunctuation, .finalPunctuation, .otherPunctuation:
            isKnown(to: .categories)
        // Punctuation then, later a symbol and a mark.
        default: value == 0x166D || value == 0x111C9
        }
    }
}
