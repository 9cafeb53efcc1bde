internal import Formats
internal import Foundation

/// How varied documents are: the entropy, in bits, of pairs of classes of characters, or of tags that a document brings along.
///
/// ETA-DACP (2311.08545) measures the entropy of tags of parts of speech; where documents have such tags, this is it. Without them
/// each character is of a class: space, line feed, digit, mark, punctuation, symbol, small and capital Latin letters, Hangul, Han,
/// kana, other letters, and the rest. The entropy is that of the pairs of neighbouring classes.
struct ClassEntropy {
    private static let count = 13
    private let table = ClassEntropy.table

    /// The class of each character of the first plane.
    private static let table: [UInt8] = (0..<UInt32(0x10000)).map { classOf($0) }

    /// The entropy of a text; no number where it has no pair.
    func entropy(of text: [UInt8]) -> Double {
        var counts = [Int](repeating: 0, count: Self.count * Self.count)
        var (index, last) = (0, nil as Int?)
        while index < text.count {
            let (scalar, length) = text.character(at: index)
            let this = Int(scalar < 0x10000 ? table[Int(scalar)] : Self.classOf(scalar))
            if let last { counts[last * Self.count + this] += 1 }
            (last, index) = (this, index + length)
        }
        return Self.entropy(counts)
    }

    /// The entropy of tags: a list of texts, or a text with spaces between them; no number where there are none.
    func entropy(ofTags value: JSON?) -> Double {
        let tags =
            value?.array?.compactMap(\.string) ?? value?.string?.split(separator: " ").map(String.init) ?? []
        var numbers: [String: Int] = [:]
        var counts: [Int] = []
        for tag in tags {
            let number = numbers[tag, default: counts.count]
            if number == counts.count {
                numbers[tag] = number
                counts.append(0)
            }
            counts[number] += 1
        }
        return Self.entropy(counts)
    }

    /// −Σ p log₂ p.
    private static func entropy(_ counts: [Int]) -> Double {
        let total = Double(counts.reduce(0, +))
        guard total > 0 else { return .nan }
        return counts.reduce(0) { sum, count in
            let share = Double(count) / total
            return count == 0 ? sum : sum - share * log2(share)
        }
    }

    private static func classOf(_ scalar: UInt32) -> UInt8 {
        guard let character = Unicode.Scalar(scalar) else { return 12 }
        let traits = CharacterTraits(of: scalar)
        if scalar == 0x0A { return 0 }
        if traits.contains(.space) { return 1 }
        if traits.contains(.digit) { return 2 }
        let category = character.properties.generalCategory
        if traits.contains(.letter) {
            func isOf(_ script: String) -> Bool {
                CharacterRanges.scripts[script].map { CharacterRanges.contain($0, scalar) } ?? false
            }
            if isOf("latin") { return category == .uppercaseLetter || category == .titlecaseLetter ? 4 : 3 }
            for (number, script) in ["hangul", "han", "kana"].enumerated() where isOf(script) {
                return UInt8(5 + number)
            }
            return 8
        }
        switch category {
        case .nonspacingMark, .spacingMark, .enclosingMark: return 9
        case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation,
            .initialPunctuation,
            .finalPunctuation, .otherPunctuation:
            return 10
        case .mathSymbol, .currencySymbol, .modifierSymbol, .otherSymbol: return 11
        default: return 12
        }
    }
}
