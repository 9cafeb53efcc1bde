private import Foundation

/// The four normalisation forms of Unicode (Standard Annex #15).
enum UnicodeForm: String, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatibilityComposed = "NFKC"
    case compatibilityDecomposed = "NFKD"

    /// The text in this form.
    func apply(to text: [UInt8]) -> [UInt8] {
        if isKept(text.span) { return text }
        let string = String(decoding: text, as: UTF8.self)
        let normalized =
            switch self {
            case .composed: string.precomposedStringWithCanonicalMapping
            case .decomposed: string.decomposedStringWithCanonicalMapping
            case .compatibilityComposed: string.precomposedStringWithCompatibilityMapping
            case .compatibilityDecomposed: string.decomposedStringWithCompatibilityMapping
            }
        return Array(normalized.utf8)
    }

    /// Whether the text is surely in this form already: ASCII is in every form, and in NFC so is what is
    /// below U+0300 (the first combining character) and the Hangul syllables.
    private func isKept(_ text: Span<UInt8>) -> Bool {
        var index = 0
        while index < text.count {
            if text[index] < 0x80 {
                index += 1
                continue
            }
            guard self == .composed else { return false }
            let (scalar, length) = text.scalar(at: index)
            guard scalar < 0x300 || (0xAC00...0xD7A3).contains(scalar) else { return false }
            index += length
        }
        return true
    }
}
