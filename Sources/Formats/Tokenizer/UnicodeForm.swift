private import Foundation
// For the standard library's own normalisation. Foundation's on Linux composes no Hangul syllable with a
// final consonant and reorders some marks of Tibetan wrongly.
@_spi(_Unicode) private import Swift

/// The four normalisation forms of Unicode (Standard Annex #15).
package enum UnicodeForm: String, Sendable {
    case composed = "NFC"
    case decomposed = "NFD"
    case compatibilityComposed = "NFKC"
    case compatibilityDecomposed = "NFKD"

    /// The text in this form.
    ///
    /// A character that the reference's tables don't have yet stays as it is and parts the text.
    package func apply(to text: [UInt8]) -> [UInt8] {
        if isKept(text.span) { return text }
        var output: [UInt8] = []
        output.reserveCapacity(text.count + text.count / 4)
        var start = 0
        var index = 0
        while index < text.count {
            let (value, length) = text.span.scalar(at: index)
            let isKnown = Unicode.Scalar(value)?.isKnown(to: .normalization) ?? false
            if !isKnown {
                append(text[start..<index], to: &output)
                output.append(scalar: value)
                start = index + length
            }
            index += length
        }
        append(text[start...], to: &output)
        return output
    }

    private func append(_ part: ArraySlice<UInt8>, to output: inout [UInt8]) {
        guard !part.isEmpty else { return }
        let prepared = prepared(String(decoding: part, as: UTF8.self))
        switch self {
        case .composed, .compatibilityComposed:
            for scalar in prepared._nfc { output.append(scalar: scalar.value) }
        case .decomposed, .compatibilityDecomposed:
            for scalar in prepared._nfd { output.append(scalar: scalar.value) }
        }
    }

    /// The text with characters replaced by their decompositions where the standard library wouldn't: all
    /// compatible ones where they are asked for, and three marks whose parts it doesn't order.
    private func prepared(_ text: String) -> String {
        let isCompatible = self == .compatibilityComposed || self == .compatibilityDecomposed
        var output = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case ..<0x80, 0xAC00...0xD7A3: output.append(scalar)
            case 0x0F73: output.append(contentsOf: "\u{0F71}\u{0F72}".unicodeScalars)
            case 0x0F75: output.append(contentsOf: "\u{0F71}\u{0F74}".unicodeScalars)
            case 0x0F81: output.append(contentsOf: "\u{0F71}\u{0F80}".unicodeScalars)
            case _ where isCompatible:
                let decomposed = String(Character(scalar)).decomposedStringWithCompatibilityMapping
                output.append(contentsOf: decomposed.unicodeScalars)
            default: output.append(scalar)
            }
        }
        return String(output)
    }

    /// Whether the text is surely in this form already.
    ///
    /// ASCII is in every form, and in NFC so is what is below U+0300 (the first combining character) and the
    /// Hangul syllables.
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
