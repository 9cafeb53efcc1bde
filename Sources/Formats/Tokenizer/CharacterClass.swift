/// The classes of characters that pre-tokenizers and added tokens ask for, as Rust's standard library and
/// `regex` crate define them, which Hugging Face tokenizers are written with.
enum CharacterClass: Sendable, Equatable {
    /// `char::is_whitespace`.
    case whitespace
    /// `char::is_numeric`.
    case numeric
    /// ASCII punctuation (which counts `$` and `+`) or a punctuation category.
    case punctuation
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
        case .only: false
        }
    }
}

extension Unicode.Scalar {
    /// `\w` of Rust's `regex` crate: alphabetic, marks, decimal digits, connectors and joiners.
    var isWord: Bool {
        if isASCII {
            return switch value {
            case 0x30...0x39, 0x41...0x5A, 0x5F, 0x61...0x7A: true
            default: false
            }
        }
        if properties.isAlphabetic || properties.isJoinControl { return true }
        return switch properties.generalCategory {
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
            true
        default: false
        }
    }
}
