internal import Formats
internal import Foundation

/// Divides texts into words and hashes these, and pairs of them, into buckets.
///
/// A text is put into lower case. A word is a run of letters, decimal digits, nonspacing marks and underscores, or a run of other
/// characters that are no spaces, as in NLTK's `wordpunct_tokenize`. A bucket is the XXH64 of a word, or of two with a space
/// between, modulo 10,000.
struct NgramHasher {
    /// How many buckets there are.
    static let buckets = 10_000

    private let traits = CharacterTraits.table
    private var words: [UInt8] = []
    private var starts: [UInt32] = []
    private var ends: [UInt32] = []

    /// The buckets of a text's words, and then of its pairs.
    mutating func buckets(of text: [UInt8]) -> [Int] {
        divide(text)
        let hashes =
            Trainer.hashes(of: words, starts[...], ends[...])
            + Trainer.hashes(of: words, starts.dropLast(), ends.dropFirst())
        return hashes.map { Int($0 % UInt64(Self.buckets)) }
    }

    private enum Kind { case space, word, other }

    private mutating func divide(_ text: [UInt8]) {
        words.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        words.reserveCapacity(text.count * 2)
        var (index, last) = (0, Kind.space)
        while index < text.count {
            let (scalar, length) = text.character(at: index)
            index += length
            if (0x41...0x5A).contains(scalar) {
                add(scalar | 0x20, after: &last)
            } else if scalar >= 0x80, let character = Unicode.Scalar(scalar),
                character.properties.isUppercase
                    || character.properties.changesWhenLowercased
            {
                for part in character.properties.lowercaseMapping.unicodeScalars {
                    add(part.value, after: &last)
                }
            } else {
                add(scalar, after: &last)
            }
        }
        if last != .space { ends.append(UInt32(words.count)) }
    }

    /// Adds a character to the word before it, or begins one.
    @inline(__always)
    private mutating func add(_ scalar: UInt32, after last: inout Kind) {
        let trait = traits.of(scalar)
        let kind: Kind =
            trait.contains(.space)
            ? .space : scalar == 0x5F || !trait.isDisjoint(with: [.letter, .digit, .mark]) ? .word : .other
        if kind != last {
            if last != .space { ends.append(UInt32(words.count)) }
            if kind != .space {
                if !starts.isEmpty { words.append(0x20) }
                starts.append(UInt32(words.count))
            }
            last = kind
        }
        if kind != .space { words.append(character: scalar) }
    }
}

/// The weights of buckets, from how often each occurs in the task and in what is chosen from.
///
/// A document's logarithmic importance weight is the sum over its words and pairs of log(p + 10⁻⁸) − log(q + 10⁻⁸), where p is
/// the share that their bucket has in the task and q that which it has in all documents that are chosen from.
///
/// Source: Xie et al., "Data Selection for Language Models via Importance Resampling" (2302.03169), section 4; the small number
/// is that of the authors' package.
struct NgramWeights: Sendable {
    private let differences: [Double]

    private static let least = 1e-8

    /// Weights from the counts of all buckets, in the task and in what is chosen from.
    init(task: [Int], documents: [Int]) {
        func logarithms(_ counts: [Int]) -> [Double] {
            let sum = Double(max(1, counts.reduce(0, +)))
            return counts.map { log(Double($0) / sum + Self.least) }
        }
        differences = zip(logarithms(task), logarithms(documents)).map { $0 - $1 }
    }

    /// The logarithm of the weight of a document, given its buckets.
    func score(_ buckets: [Int]) -> Double { buckets.reduce(0) { $0 + differences[$1] } }
}
