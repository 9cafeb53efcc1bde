/// Divides text into words as spaCy 3.8 does for English (`spacy.blank("en")`).
///
/// By its rules for the starts, ends and middles of words and its table of exceptions. Every script is divided by these rules; what
/// has no case counts as lower and upper.
///
/// Where the rules have taken an exception apart inside a longer word, as `):` in `f(x):`, it is put together again.
///
/// Source: `spacy/tokenizer.pyx`, `spacy/lang/punctuation.py`, `spacy/lang/en/punctuation.py`.
struct WordSplitter {
    /// Where the words lie in the text that was split last, in bytes.
    private(set) var starts: [UInt32] = []
    private(set) var ends: [UInt32] = []

    private let traits = CharacterTraits.table
    private let exceptions: EnglishExceptions
    /// The characters between two spaces, and where they begin; one more for the end.
    private var scalars: [UInt32] = []
    private var offsets: [Int] = []
    private var suffixes: [Range<Int>] = []

    /// A splitter with the exceptions of English, or others.
    init(exceptions: EnglishExceptions = .table) {
        self.exceptions = exceptions
    }

    /// Divides a text.
    mutating func split(_ text: [UInt8]) {
        starts.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        var index = 0
        while index < text.count {
            let start = index
            var (isLetters, isDigits) = (true, true)
            scan: while index < text.count {
                let byte = text[index]
                switch byte {
                case 0x61...0x7A, 0x41...0x5A: isDigits = false
                case 0x30...0x39: isLetters = false
                case 0x09...0x0D, 0x1C...0x20: break scan
                case ..<0x80: (isLetters, isDigits) = (false, false)
                default:
                    let (scalar, length) = text.character(at: index)
                    if traits.of(scalar).contains(.space) { break scan }
                    (isLetters, isDigits) = (false, false)
                    index += length - 1
                }
                index += 1
            }
            if start < index {
                if isDigits {
                    add(start..<index)
                } else if isLetters {
                    if let pieces = exceptions.pieces(text, start..<index) {
                        add(pieces, from: start)
                    } else {
                        add(start..<index)
                    }
                } else {
                    let first = starts.count
                    divide(text, start..<index)
                    rejoin(text, from: first)
                }
            }
            // The space.
            if index < text.count { index += text.character(at: index).length }
        }
    }

    @inline(__always)
    private mutating func add(_ range: Range<Int>) {
        starts.append(UInt32(truncatingIfNeeded: range.lowerBound))
        ends.append(UInt32(truncatingIfNeeded: range.upperBound))
    }

    /// Adds characters of the stretch.
    private mutating func add(characters: Range<Int>) {
        add(offsets[characters.lowerBound]..<offsets[characters.upperBound])
    }

    /// Adds the pieces of an exception.
    private mutating func add(_ pieces: UInt64, from start: Int) {
        var (rest, start) = (pieces, start)
        while rest != 0 {
            let size = Int(rest & 0xFF)
            add(start..<start + size)
            start += size
            rest >>= 8
        }
    }

    // MARK: A stretch without spaces

    private mutating func divide(_ text: [UInt8], _ range: Range<Int>) {
        scalars.removeAll(keepingCapacity: true)
        offsets.removeAll(keepingCapacity: true)
        suffixes.removeAll(keepingCapacity: true)
        var index = range.lowerBound
        while index < range.upperBound {
            let (scalar, length) = text.character(at: index)
            scalars.append(scalar)
            offsets.append(index)
            index += length
        }
        offsets.append(index)
        var (low, high, last) = (0, scalars.count, -1)
        while low < high, high - low != last {
            if isException(text, low, high) { break }
            last = high - low
            let prefix = prefixLength(low, high)
            if prefix > 0, low + prefix < high, isException(text, low + prefix, high) {
                add(characters: low..<low + prefix)
                low += prefix
                break
            }
            let suffix = suffixLength(low + prefix, high)
            if suffix > 0, low < high - suffix, isException(text, low, high - suffix) {
                suffixes.append(high - suffix..<high)
                high -= suffix
                break
            }
            if prefix > 0 { add(characters: low..<low + prefix) }
            if suffix > 0 { suffixes.append(high - suffix..<high) }
            low += prefix
            high -= suffix
        }
        if low < high { addMiddle(text, low, high) }
        for suffix in suffixes.reversed() { add(characters: suffix) }
    }

    /// Divides the exceptions that stand in words from `first` on, all in one stretch, as they are divided alone.
    ///
    /// Of two that overlap the one of more words counts, then the first.
    private mutating func rejoin(_ text: [UInt8], from first: Int) {
        guard starts.count - first > 1 else { return }
        var found: [Range<Int>] = []
        for low in first..<starts.count - 1 {
            for high in low + 2...starts.count {
                let range = Int(starts[low])..<Int(ends[high - 1])
                guard range.count <= exceptions.longest else { break }
                if exceptions.isDivided(text, range, in: zip(starts[low..<high], ends[low..<high])) {
                    found.append(low..<high)
                }
            }
        }
        guard !found.isEmpty else { return }
        found.sort { $0.count != $1.count ? $0.count > $1.count : $0.lowerBound < $1.lowerBound }
        var taken: Set<Int> = []
        let joined = found.filter { words in
            defer { taken.formUnion(words) }
            return !taken.contains(words.lowerBound) && !taken.contains(words.upperBound - 1)
        }
        for words in joined.sorted(by: { $0.lowerBound > $1.lowerBound }) {
            let (range, end) = (Int(starts[words.lowerBound])..<Int(ends[words.upperBound - 1]), starts.count)
            guard let pieces = exceptions.pieces(text, range) else { continue }
            // The pieces are added behind all words, and then moved.
            add(pieces, from: range.lowerBound)
            let (newStarts, newEnds) = (Array(starts[end...]), Array(ends[end...]))
            starts.removeSubrange(end...)
            ends.removeSubrange(end...)
            starts.replaceSubrange(words, with: newStarts)
            ends.replaceSubrange(words, with: newEnds)
        }
    }

    private func isException(_ text: [UInt8], _ low: Int, _ high: Int) -> Bool {
        exceptions.pieces(text, offsets[low]..<offsets[high]) != nil
    }

    private mutating func addMiddle(_ text: [UInt8], _ low: Int, _ high: Int) {
        if let pieces = exceptions.pieces(text, offsets[low]..<offsets[high]) {
            return add(pieces, from: offsets[low])
        }
        if isAddress(low, high) { return add(characters: low..<high) }
        var (start, index) = (low, low)
        while index < high {
            let infix = infixLength(index, low, high)
            if infix == 0 {
                index += 1
                continue
            }
            // One at the very start stays with what follows.
            if index > low {
                if start < index { add(characters: start..<index) }
                add(characters: index..<index + infix)
                start = index + infix
            }
            index += infix
        }
        if start < high { add(characters: start..<high) }
    }

    @inline(__always)
    private func trait(_ index: Int) -> CharacterTraits { traits.of(scalars[index]) }

    private func isDigit(_ index: Int) -> Bool { (0x30...0x39).contains(scalars[index]) }

    private func prefixLength(_ low: Int, _ high: Int) -> Int {
        switch scalars[low] {
        case 0x2B: return low + 1 < high && isDigit(low + 1) ? 0 : 1
        case 0x2E: return dots(low, high) >= 2 ? dots(low, high) : 0
        case 0x55 where low + 2 < high && scalars[low + 1] == 0x53 && scalars[low + 2] == 0x24: return 3
        case 0x43 where low + 1 < high && scalars[low + 1] == 0x24: return 2
        case 0x41 where low + 1 < high && scalars[low + 1] == 0x24: return 2
        default: return trait(low).contains(.prefix) ? 1 : 0
        }
    }

    /// How many full stops follow each other.
    private func dots(_ low: Int, _ high: Int) -> Int {
        var index = low
        while index < high, scalars[index] == 0x2E { index += 1 }
        return index - low
    }

    private func suffixLength(_ low: Int, _ high: Int) -> Int {
        guard low < high else { return 0 }
        let (last, count) = (high - 1, high - low)
        switch scalars[last] {
        case 0x2E:
            var start = last
            while start > low, scalars[start - 1] == 0x2E { start -= 1 }
            if high - start >= 2 { return high - start }
            return endsSentence(low, last) ? 1 : 0
        case 0x73, 0x53:
            if count >= 2, scalars[last - 1] == 0x27 || scalars[last - 1] == 0x2019 { return 2 }
        case 0x2B where count >= 2 && isDigit(last - 1): return 1
        case 0x2026 where count >= 2 && scalars[last - 1] == 0x2026: return 2
        case 0x24
        where count >= 4 && scalars[last - 1] == 0x53 && scalars[last - 2] == 0x55 && isDigit(last - 3):
            return 3
        case 0x24
        where count >= 3 && (scalars[last - 1] == 0x43 || scalars[last - 1] == 0x41) && isDigit(last - 2):
            return 2
        default: break
        }
        let trait = trait(last)
        if trait.contains(.affix) { return 1 }
        if trait.contains(.currency), count >= 2, isDigit(last - 1) { return 1 }
        return unitLength(low, high)
    }

    /// Whether a full stop at `index` is taken off what stands before it.
    private func endsSentence(_ low: Int, _ index: Int) -> Bool {
        guard index > low else { return false }
        let (before, trait) = (scalars[index - 1], trait(index - 1))
        if trait.contains(.lower) || isDigit(index - 1) || trait.contains(.quote) { return true }
        if [0x25, 0xB2, 0x2D, 0x2B, 0x7C].contains(before) { return true }
        if trait.contains(.affix), !trait.contains(.icon), before != 0x2013, before != 0x2014 { return true }
        if index - 2 >= low {
            if trait.contains(.upper), self.trait(index - 2).contains(.upper) { return true }
            if scalars[index - 2] == 0xB0, [0x46, 0x66, 0x43, 0x63, 0x4B, 0x6B].contains(before) {
                return true
            }
        }
        return false
    }

    /// The length of a unit of measure behind a digit; the longest that fits.
    private func unitLength(_ low: Int, _ high: Int) -> Int {
        var digit = high - 2
        var length = 0
        while digit >= low, high - 1 - digit <= Self.longestUnit {
            if isDigit(digit) {
                // The first digit before the unit is the only one that can be there.
                if Self.units.contains(Array(scalars[digit + 1..<high])) { length = high - 1 - digit }
                break
            }
            digit -= 1
        }
        return length
    }

    private static let units: Set<[UInt32]> = Set(
        """
        km km² km³ m m² m³ dm dm² dm³ cm cm² cm³ mm mm² mm³ ha µm nm yd in ft kg g mg µg t lb oz m/s km/h kmh mph hPa Pa \
        mbar mb MB kb KB gb GB tb TB T G M K % км км² км³ м м² м³ дм дм² дм³ см см² см³ мм мм² мм³ нм кг г мг м/с км/ч кПа \
        Па мбар Кб КБ кб Мб МБ мб Гб ГБ гб Тб ТБ тбكم كم² كم³ م م² م³ سم سم² سم³ مم مم² مم³ كم غرام جرام جم كغ ملغ كوب اكواب
        """.split(separator: " ").map { $0.unicodeScalars.map(\.value) })
    private static let longestUnit = units.map(\.count).max() ?? 0

    private func infixLength(_ index: Int, _ low: Int, _ high: Int) -> Int {
        let scalar = scalars[index]
        if (0x61...0x7A).contains(scalar) || (0x41...0x5A).contains(scalar) { return 0 }
        if scalar == 0x2E {
            let dots = dots(index, high)
            if dots >= 2 { return dots }
            guard index > low, index + 1 < high else { return 0 }
            return !trait(index - 1).isDisjoint(with: [.lower, .quote])
                && !trait(index + 1).isDisjoint(with: [.upper, .quote]) ? 1 : 0
        }
        if scalar == 0x2026 || trait(index).contains(.icon) { return 1 }
        guard index > low, index + 1 < high else { return 0 }
        let (before, after) = (trait(index - 1), trait(index + 1))
        switch scalar {
        case 0x2B, 0x2D, 0x2A, 0x5E:
            if isDigit(index - 1), isDigit(index + 1) || scalars[index + 1] == 0x2D { return 1 }
            guard scalar == 0x2D else { return 0 }
        case 0x2C: return before.contains(.alpha) && after.contains(.alpha) ? 1 : 0
        case 0x3A, 0x3C, 0x3E, 0x3D, 0x2F:
            return (before.contains(.alpha) || isDigit(index - 1)) && after.contains(.alpha) ? 1 : 0
        case 0x2013, 0x2014, 0x7E: break
        default: return 0
        }
        // Hyphens: up to three short ones, two long ones.
        guard before.contains(.alpha) || isDigit(index - 1) else { return 0 }
        let most = scalar == 0x2D ? 3 : scalar == 0x2014 ? 2 : 1
        for length in 1...most {
            guard index + length < high else { return 0 }
            if trait(index + length).contains(.alpha) { return length }
            guard scalars[index + length] == scalar else { return 0 }
        }
        return 0
    }

    // MARK: Addresses

    /// Whether characters are the address of a page or of a mailbox, which is a word.
    private func isAddress(_ low: Int, _ high: Int) -> Bool {
        guard scalars[low..<high].contains(0x2E) else { return false }
        var start = low
        if let colon = scalars[low..<high].firstIndex(of: 0x3A), colon - low >= 2, colon + 2 < high,
            scalars[colon + 1] == 0x2F, scalars[colon + 2] == 0x2F,
            (low..<colon).allSatisfy({ isNameCharacter($0) })
        {
            start = colon + 3
        }
        if start < high, isHost(start, high) { return true }
        for index in low..<high where scalars[index] == 0x40 && index > low && index + 1 < high {
            if isHost(index + 1, high) { return true }
        }
        return false
    }

    private func isNameCharacter(_ index: Int) -> Bool {
        let trait = trait(index)
        return !trait.isDisjoint(with: [.letter, .digit])
            || [0x5F, 0x2B, 0x2D, 0x2E].contains(scalars[index])
    }

    /// Whether a host follows, and behind it nothing but a port and a path.
    private func isHost(_ low: Int, _ high: Int) -> Bool {
        func isLabel(_ scalar: UInt32) -> Bool {
            switch scalar {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0xA1...0xFFFF: true
            default: false
            }
        }
        var end = low
        while end < high, isLabel(scalars[end]) || [0x2D, 0x5F, 0x2E].contains(scalars[end]) { end += 1 }
        let labels = scalars[low..<end].split(separator: 0x2E, omittingEmptySubsequences: false)
        guard labels.count >= 2, let top = labels.last else { return false }
        let isName =
            (2...63).contains(top.count) && top.allSatisfy { traits.of($0).contains(.lower) }
            && labels.dropLast().allSatisfy { label in
                guard let first = label.first, let last = label.last else { return false }
                return label.count <= 64 && isLabel(first) && isLabel(last)
            }
        guard isName || isNumbers(labels) else { return false }
        if end < high, scalars[end] == 0x3A {
            var port = end + 1
            while port < high, traits.of(scalars[port]).contains(.digit) { port += 1 }
            guard (2...5).contains(port - end - 1) else { return false }
            end = port
        }
        return end == high || [0x2F, 0x3F, 0x23].contains(scalars[end])
    }

    /// Whether labels are the four numbers of an address that can be reached from everywhere.
    private func isNumbers(_ labels: [ArraySlice<UInt32>]) -> Bool {
        guard labels.count == 4 else { return false }
        var numbers: [UInt32] = []
        for label in labels {
            guard (1...3).contains(label.count), label.allSatisfy({ (0x30...0x39).contains($0) }) else {
                return false
            }
            numbers.append(label.reduce(0) { $0 * 10 + ($1 - 0x30) })
        }
        guard (1...223).contains(numbers[0]), numbers[1] < 256, numbers[2] < 256,
            (1...254).contains(numbers[3])
        else { return false }
        switch (numbers[0], numbers[1]) {
        case (10, _), (127, _), (169, 254), (192, 168), (172, 16...31): return false
        default: return true
        }
    }
}
