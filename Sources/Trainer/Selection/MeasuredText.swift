/// A text of which rules measure something, each thing once and only where it is asked for.
///
/// One value serves many texts, so that its memory is used again. Characters are Unicode scalars, as Python counts them.
struct MeasuredText {
    private var text: [UInt8] = []
    private let traits = CharacterTraits.table
    private var splitter = WordSplitter()
    private var isSplit = false
    private var wordFigures: WordFigures?
    private var lengths: [UInt32] = []
    private var counts = HashCounts()
    /// The words with one space between them, and with none, and where each begins and ends there.
    private var spaced: [UInt8] = []
    private var spacedStarts: [UInt32] = []
    private var spacedEnds: [UInt32] = []
    private var dense: [UInt8] = []
    private var denseBounds: [UInt32] = []
    private var isJoined = false
    private var characterCount = 0
    private var paragraphs: Repetition?
    private var lines: Repetition?
    private var visibleLines: Repetition?

    /// How long lines are short.
    private static let shortLine = 30
    private static let stopWords = ["the", "be", "to", "of", "and", "that", "have", "with"].map {
        Array($0.utf8)
    }

    /// Begins with a text.
    mutating func set(_ text: [UInt8]) {
        self.text = text
        (isSplit, isJoined, wordFigures) = (false, false, nil)
        (paragraphs, lines, visibleLines) = (nil, nil, nil)
        characterCount = text.characterCount(0..<text.count)
    }

    /// A measure of the text.
    mutating func value(of measure: TextMeasure) -> Double {
        switch measure {
        case .words: return Double(figures().visible)
        case .meanWordLength: return ratio(figures().characters, figures().visible)
        case .hashes: return ratio(text.count { $0 == UInt8(ascii: "#") }, wordCount())
        case .ellipses: return ratio(ellipses(), wordCount())
        case .bulletLines: return shareOfLines { Self.begins($0, $1, withBulletIn: traits) }
        case .ellipsisLines: return shareOfLines { Self.ends($0, $1, withEllipsisIn: traits) }
        case .alphabeticWords: return ratio(figures().alphabetic, wordCount())
        case .stopWords: return Double(stopWords())
        case .visibleCharacters: return text.isEmpty || trimmed().isEmpty ? 0 : 1
        case .repeatedParagraphs: return paragraphRepetition().share
        case .repeatedParagraphCharacters: return ratio(paragraphRepetition().characters, characterCount)
        case .repeatedLines: return lineRepetition().share
        case .repeatedLineCharacters: return ratio(lineRepetition().characters, characterCount)
        case .commonestRun(let size): return ratio(commonestRun(of: size), characterCount)
        case .repeatedRuns(let size): return ratio(repeatedRuns(of: size), characterCount)
        case .endedLines:
            return shareOfVisibleLines {
                traits.of(text.character(before: $0.upperBound).value).contains(.terminal)
            }
        case .shortLines: return shareOfVisibleLines { text.characterCount($0) <= Self.shortLine }
        case .repeatedVisibleLineCharacters:
            return ratio(
                visibleLineRepetition().characters,
                characterCount - text.count { $0 == UInt8(ascii: "\n") })
        case .lineFeeds: return ratio(text.count { $0 == UInt8(ascii: "\n") }, wordCount())
        case .scriptShare(let script): return scriptShare(CharacterRanges.scripts[script] ?? [])
        }
    }

    /// The share of the letters that are Hangul.
    func hangulShare() -> Double {
        var (letters, hangul, index) = (0, 0, 0)
        while index < text.count {
            let (scalar, length) = text.character(at: index)
            let trait = traits.of(scalar)
            if trait.contains(.letter) {
                letters += 1
                if trait.contains(.hangul) { hangul += 1 }
            }
            index += length
        }
        return ratio(hangul, letters)
    }

    private func scriptShare(_ ranges: [(UInt32, UInt32)]) -> Double {
        var (letters, members, index) = (0, 0, 0)
        while index < text.count {
            let (scalar, length) = text.character(at: index)
            if traits.of(scalar).contains(.letter) {
                letters += 1
                if CharacterRanges.contain(ranges, scalar) { members += 1 }
            }
            index += length
        }
        return ratio(members, letters)
    }

    // MARK: Words

    private struct WordFigures {
        var visible = 0
        var characters = 0
        var alphabetic = 0
    }

    private mutating func wordCount() -> Int {
        if !isSplit {
            splitter.split(text)
            isSplit = true
        }
        return splitter.starts.count
    }

    private mutating func figures() -> WordFigures {
        if let wordFigures { return wordFigures }
        var figures = WordFigures()
        lengths.removeAll(keepingCapacity: true)
        for word in 0..<wordCount() {
            let end = Int(splitter.ends[word])
            var (index, length, isSymbol, hasLetter) = (Int(splitter.starts[word]), 0, true, false)
            while index < end {
                let (scalar, width) = text.character(at: index)
                let trait = traits.of(scalar)
                if !trait.contains(.symbol) { isSymbol = false }
                if trait.contains(.letter) { hasLetter = true }
                length += 1
                index += width
            }
            lengths.append(UInt32(truncatingIfNeeded: length))
            if hasLetter { figures.alphabetic += 1 }
            if !isSymbol {
                figures.visible += 1
                figures.characters += length
            }
        }
        wordFigures = figures
        return figures
    }

    private mutating func stopWords() -> Int {
        var found = [Bool](repeating: false, count: Self.stopWords.count)
        for word in 0..<wordCount() {
            let (start, end) = (Int(splitter.starts[word]), Int(splitter.ends[word]))
            guard (2...4).contains(end - start) else { continue }
            for (index, stop) in Self.stopWords.enumerated()
            where !found[index] && stop.count == end - start && text[start..<end].elementsEqual(stop) {
                found[index] = true
            }
        }
        return found.count { $0 }
    }

    private func ellipses() -> Int {
        var (count, index) = (0, 0)
        while index + 2 < text.count {
            if text[index] == 0x2E, text[index + 1] == 0x2E, text[index + 2] == 0x2E {
                count += 1
                index += 3
            } else if text[index] == 0xE2, text[index + 1] == 0x80, text[index + 2] == 0xA6 {
                count += 1
                index += 3
            } else {
                index += 1
            }
        }
        return count
    }

    // MARK: Runs of words

    private mutating func join() {
        guard !isJoined else { return }
        _ = figures()
        spaced.removeAll(keepingCapacity: true)
        dense.removeAll(keepingCapacity: true)
        spacedStarts.removeAll(keepingCapacity: true)
        spacedEnds.removeAll(keepingCapacity: true)
        denseBounds.removeAll(keepingCapacity: true)
        denseBounds.append(0)
        for word in splitter.starts.indices {
            let bytes = text[Int(splitter.starts[word])..<Int(splitter.ends[word])]
            if word > 0 { spaced.append(0x20) }
            spacedStarts.append(UInt32(truncatingIfNeeded: spaced.count))
            spaced += bytes
            spacedEnds.append(UInt32(truncatingIfNeeded: spaced.count))
            dense += bytes
            denseBounds.append(UInt32(truncatingIfNeeded: dense.count))
        }
        isJoined = true
    }

    /// The characters of all occurrences of the commonest run of words, of several the first; spaces count.
    private mutating func commonestRun(of size: Int) -> Int {
        join()
        guard lengths.count >= size else { return 0 }
        let runs = hashes(of: spaced, spacedStarts[...], spacedEnds.dropFirst(size - 1))
        counts.reset(for: runs.count)
        var most: UInt32 = 0
        for run in runs { most = max(most, counts.add(run)) }
        guard let first = runs.firstIndex(where: { counts.count(of: $0) == most }) else { return 0 }
        let characters = lengths[first..<first + size].reduce(0) { $0 + Int($1) } + size - 1
        return characters * Int(most)
    }

    /// The characters of runs of words that have stood before, no two of which overlap; spaces don't count.
    private mutating func repeatedRuns(of size: Int) -> Int {
        join()
        guard lengths.count >= size else { return 0 }
        let runs = hashes(of: dense, denseBounds.dropLast(size), denseBounds.dropFirst(size))
        counts.reset(for: runs.count)
        var (characters, index) = (0, 0)
        while index < runs.count {
            if counts.contains(runs[index]) {
                characters += lengths[index..<index + size].reduce(0) { $0 + Int($1) }
                index += size
            } else {
                _ = counts.add(runs[index])
                index += 1
            }
        }
        return characters
    }

    // MARK: Lines

    /// What stands more than once.
    private struct Repetition {
        var all = 0
        var repeated = 0
        var characters = 0
        var share: Double { all == 0 ? 0 : Double(repeated) / Double(all) }
    }

    private mutating func repetition(_ parts: [Range<Int>]) -> Repetition {
        let starts = parts.map { UInt32(truncatingIfNeeded: $0.lowerBound) }
        let ends = parts.map { UInt32(truncatingIfNeeded: $0.upperBound) }
        var repetition = Repetition(all: parts.count)
        counts.reset(for: parts.count)
        for (index, hash) in hashes(of: text, starts[...], ends[...]).enumerated() where counts.add(hash) > 1
        {
            repetition.repeated += 1
            repetition.characters += text.characterCount(parts[index])
        }
        return repetition
    }

    private mutating func paragraphRepetition() -> Repetition {
        if let paragraphs { return paragraphs }
        let found = repetition(parts(of: trimmed(), apart: 2))
        paragraphs = found
        return found
    }

    private mutating func lineRepetition() -> Repetition {
        if let lines { return lines }
        let found = repetition(parts(of: 0..<text.count, apart: 1))
        lines = found
        return found
    }

    private mutating func visibleLineRepetition() -> Repetition {
        if let visibleLines { return visibleLines }
        let found = repetition(visibleLineRanges())
        visibleLines = found
        return found
    }

    /// What stands between runs of at least so many line feeds.
    private func parts(of range: Range<Int>, apart: Int) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var (start, index) = (range.lowerBound, range.lowerBound)
        while index < range.upperBound {
            guard text[index] == UInt8(ascii: "\n") else {
                index += 1
                continue
            }
            let first = index
            while index < range.upperBound, text[index] == UInt8(ascii: "\n") { index += 1 }
            if index - first >= apart {
                parts.append(start..<first)
                start = index
            }
        }
        parts.append(start..<range.upperBound)
        return parts
    }

    /// The text without spaces at its ends.
    private func trimmed() -> Range<Int> {
        var (start, end) = (0, text.count)
        while start < end {
            let (scalar, length) = text.character(at: start)
            guard traits.of(scalar).contains(.space) else { break }
            start += length
        }
        while end > start {
            let (scalar, length) = text.character(before: end)
            guard traits.of(scalar).contains(.space) else { break }
            end -= length
        }
        return start..<end
    }

    /// Whether a range holds anything but spaces.
    private func isVisible(_ range: Range<Int>) -> Bool {
        var index = range.lowerBound
        while index < range.upperBound {
            let (scalar, length) = text.character(at: index)
            if !traits.of(scalar).contains(.space) { return true }
            index += length
        }
        return false
    }

    /// Lines between line feeds that are not blank.
    private func visibleLineRanges() -> [Range<Int>] {
        var lines: [Range<Int>] = []
        var start = 0
        while start <= text.count {
            let end = text[start...].firstIndex(of: UInt8(ascii: "\n")) ?? text.count
            if isVisible(start..<end) { lines.append(start..<end) }
            start = end + 1
        }
        return lines
    }

    private func shareOfVisibleLines(_ test: (Range<Int>) -> Bool) -> Double {
        let lines = visibleLineRanges()
        return ratio(lines.count(where: test), lines.count)
    }

    /// The share of lines as Python's `splitlines` divides them.
    private func shareOfLines(_ test: ([UInt8], Range<Int>) -> Bool) -> Double {
        var (all, found, start, index) = (0, 0, 0, 0)
        func end(_ line: Range<Int>) {
            all += 1
            if test(text, line) { found += 1 }
        }
        while index < text.count {
            let (scalar, length) = text.character(at: index)
            switch scalar {
            case 0x0A...0x0D, 0x1C...0x1E, 0x85, 0x2028, 0x2029:
                end(start..<index)
                index += length
                if scalar == 0x0D, index < text.count, text[index] == 0x0A { index += 1 }
                start = index
            default: index += length
            }
        }
        if start < text.count { end(start..<text.count) }
        return ratio(found, all)
    }

    private static func begins(
        _ text: [UInt8], _ line: Range<Int>, withBulletIn traits: [CharacterTraits]
    ) -> Bool {
        var index = line.lowerBound
        while index < line.upperBound {
            let (scalar, length) = text.character(at: index)
            guard traits.of(scalar).contains(.space) else { return scalar == 0x2022 || scalar == 0x2D }
            index += length
        }
        return false
    }

    private static func ends(
        _ text: [UInt8], _ line: Range<Int>, withEllipsisIn traits: [CharacterTraits]
    ) -> Bool {
        var end = line.upperBound
        while end > line.lowerBound {
            let (scalar, length) = text.character(before: end)
            guard traits.of(scalar).contains(.space) else {
                if scalar == 0x2026 { return true }
                return end - line.lowerBound >= 3 && text[end - 3..<end].allSatisfy { $0 == 0x2E }
            }
            end -= length
        }
        return false
    }
}

/// Zero where there is nothing to share; infinity where there is something, and nothing that it could be a share of.
private func ratio(_ part: Int, _ whole: Int) -> Double {
    whole == 0 ? (part == 0 ? 0 : .infinity) : Double(part) / Double(whole)
}

/// How often hashes occur.
struct HashCounts {
    private var keys: [UInt64] = []
    private var counts: [UInt32] = []
    private var mask = 0

    /// Begins anew, for at most so many different hashes.
    mutating func reset(for count: Int) {
        var size = 16
        while size < count * 2 { size *= 2 }
        if keys.count < size {
            keys = [UInt64](repeating: 0, count: size)
            counts = [UInt32](repeating: 0, count: size)
        } else {
            for slot in 0..<size { counts[slot] = 0 }
        }
        mask = size - 1
    }

    @inline(__always)
    private func slot(of hash: UInt64) -> Int {
        var slot = Int(truncatingIfNeeded: hash) & mask
        while counts[slot] != 0, keys[slot] != hash { slot = (slot + 1) & mask }
        return slot
    }

    /// Counts a hash, and returns how often it has occurred.
    mutating func add(_ hash: UInt64) -> UInt32 {
        let slot = slot(of: hash)
        keys[slot] = hash
        counts[slot] += 1
        return counts[slot]
    }

    /// How often a hash has occurred.
    func count(of hash: UInt64) -> UInt32 { counts[slot(of: hash)] }

    /// Whether a hash has occurred.
    func contains(_ hash: UInt64) -> Bool { count(of: hash) > 0 }
}
