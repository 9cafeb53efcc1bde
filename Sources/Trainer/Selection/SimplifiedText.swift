internal import Formats

/// Text as it is compared: in lower case, numbers as 0, punctuation and runs of spaces as one space, without diacritics.
///
/// Byte for byte what datatrove's `simplify_text` makes of a text in its default configuration, but for the Greek final sigma,
/// which stays a sigma.
struct TextSimplifier {
    /// What is left as it is.
    struct Parts: OptionSet {
        let rawValue: Int
        /// Numbers stay what they are.
        static let numbers = Self(rawValue: 1)
        /// Spaces and punctuation are left out altogether, and Hangul stays in syllables.
        static let characters = Self(rawValue: 2)
    }

    /// The text that was simplified last.
    private(set) var text: [UInt8] = []

    private let parts: Parts
    private let traits = CharacterTraits.table
    private let folding = Folding.table

    init(_ parts: Parts = []) { self.parts = parts }

    /// Simplifies a text.
    mutating func simplify(_ source: [UInt8]) {
        text.removeAll(keepingCapacity: true)
        text.reserveCapacity(source.count)
        var (index, isSpacePending) = (0, false)
        let (keepsNumbers, isDense) = (parts.contains(.numbers), parts.contains(.characters))
        while index < source.count {
            let byte = source[index]
            if byte >= 0x61, byte <= 0x7A {
                if isSpacePending { space(isDense, &isSpacePending) }
                text.append(byte)
                index += 1
                continue
            }
            let (scalar, length) = source.character(at: index)
            let trait = traits.of(scalar)
            if trait.contains(.digit), !keepsNumbers {
                if isSpacePending { space(isDense, &isSpacePending) }
                text.append(UInt8(ascii: "0"))
                index = endOfNumber(source, index + length)
                continue
            }
            index += length
            if !trait.isDisjoint(with: [.removed, .space]) {
                isSpacePending = true
                continue
            }
            if isSpacePending { space(isDense, &isSpacePending) }
            if scalar < 0x80 {
                text.append(byte >= 0x41 && byte <= 0x5A ? byte | 0x20 : byte)
            } else if isDense, trait.contains(.hangul) {
                text.append(character: scalar)
            } else {
                folding.append(scalar, to: &text)
            }
        }
    }

    @inline(__always)
    private mutating func space(_ isDense: Bool, _ isPending: inout Bool) {
        if !isDense, !text.isEmpty { text.append(0x20) }
        isPending = false
    }

    /// Where a number ends whose first digit is behind: digits, and digits behind one separator.
    private func endOfNumber(_ source: [UInt8], _ start: Int) -> Int {
        func digits(_ start: Int) -> Int {
            var index = start
            while index < source.count {
                let (scalar, length) = source.character(at: index)
                guard traits.of(scalar).contains(.digit) else { break }
                index += length
            }
            return index
        }
        let end = digits(start)
        guard end < source.count else { return end }
        let (separator, length) = source.character(at: end)
        guard [0x2E, 0x2C, 0x60C, 0x66B, 0x2396, 0x2397, 0x2398].contains(separator) else { return end }
        let after = digits(end + length)
        return after > end + length ? after : end
    }
}

/// What characters become in lower case, taken apart (NFD) and without their marks.
private struct Folding: Sendable {
    static let table = Folding()

    /// Of each character of the first plane 0 where it stays, else where its bytes lie in the pool and how many there are,
    /// with the highest bit set.
    private let places: [UInt32]
    private let pool: [UInt8]

    private init() {
        var (places, pool) = ([UInt32](repeating: 0, count: 0x10000), [UInt8]())
        for scalar in UInt32(0x80)..<0x10000 where !Self.stays(scalar) {
            guard let folded = Self.folded(scalar) else { continue }
            places[Int(scalar)] = 1 << 31 | UInt32(pool.count) << 6 | UInt32(folded.count)
            pool += folded
        }
        (self.places, self.pool) = (places, pool)
    }

    /// Appends what a character becomes.
    @inline(__always)
    func append(_ scalar: UInt32, to text: inout [UInt8]) {
        if (0xAC00...0xD7A3).contains(scalar) {
            let index = scalar - 0xAC00
            text.append(character: 0x1100 + index / 588)
            text.append(character: 0x1161 + index % 588 / 28)
            if index % 28 > 0 { text.append(character: 0x11A7 + index % 28) }
            return
        }
        guard scalar < 0x10000 else {
            if let folded = Self.folded(scalar) { text += folded } else { text.append(character: scalar) }
            return
        }
        let place = places[Int(scalar)]
        guard place != 0 else { return text.append(character: scalar) }
        let start = Int(place & 0x7FFF_FFFF) >> 6
        text += pool[start..<start + Int(place & 63)]
    }

    /// Ideographs and Hangul, which are worked out where they are met.
    private static func stays(_ scalar: UInt32) -> Bool {
        (0x3400...0x9FFF).contains(scalar) || (0xAC00...0xD7A3).contains(scalar)
            || (0xD800...0xF8FF).contains(scalar)
    }

    /// What a character becomes; nil where it stays.
    private static func folded(_ scalar: UInt32) -> [UInt8]? {
        guard let character = Unicode.Scalar(scalar) else { return nil }
        let lower = Array(character.properties.lowercaseMapping.utf8)
        let apart = UnicodeForm.decomposed.apply(to: lower)
        var folded: [UInt8] = []
        var index = 0
        while index < apart.count {
            let (part, length) = apart.character(at: index)
            if Unicode.Scalar(part)?.properties.generalCategory != .nonspacingMark {
                folded += apart[index..<index + length]
            }
            index += length
        }
        return folded == Array(String(character).utf8) ? nil : folded
    }
}
