internal import Formats

/// Lines and paragraphs that stand in several documents, in two tables on the disk.
///
/// A line is known by the XXH64 of what it has between spaces; one that stands in as many documents as is asked for is taken
/// away everywhere. A paragraph of at least 40 characters stays in the first document that has it.
final class RepeatedUnits: Sendable {
    private let lines: HashTable?
    private let paragraphs: HashTable?

    /// The fewest characters of a paragraph that is compared.
    static let leastParagraph = 40

    init(lines: HashTable?, paragraphs: HashTable?) { (self.lines, self.paragraphs) = (lines, paragraphs) }

    /// A text without the lines and paragraphs that are to be taken away.
    func removed(from text: [UInt8], key: UInt64, counting counts: inout TextCleaner.Counts) -> [UInt8] {
        var kept = text
        if let paragraphs {
            kept = Self.without(Self.paragraphs(of: kept), in: kept) { hash in
                guard let first = paragraphs.value(of: hash & ~1), first != key else { return false }
                counts.paragraphs += 1
                return true
            }
        }
        if let lines {
            kept = Self.without(Self.lines(of: kept), in: kept) { hash in
                guard lines.value(of: hash & ~1) != nil else { return false }
                counts.lines += 1
                return true
            }
        }
        return kept
    }

    /// A text without those of its parts whose hash is told to go, nor the line feeds behind them.
    private static func without(
        _ parts: [Part], in text: [UInt8], _ isRemoved: (UInt64) -> Bool
    ) -> [UInt8] {
        var kept: [UInt8] = []
        var start = 0
        var hasRemoved = false
        for part in parts where part.hash != 0 && isRemoved(part.hash) {
            kept += text[start..<part.range.lowerBound]
            start = part.range.upperBound
            while start < text.count, text[start] == 0x0A, part.isParagraph || start == part.range.upperBound
            { start += 1 }
            hasRemoved = true
        }
        guard hasRemoved else { return text }
        kept += text[start...]
        // What was last has left the line feeds before it.
        if start == text.count { while kept.last == 0x0A { kept.removeLast() } }
        return kept
    }

    /// A line or paragraph, and its hash, whose lowest bit doesn't count; 0 where it isn't compared.
    struct Part {
        let range: Range<Int>
        let hash: UInt64
        let isParagraph: Bool
    }

    /// The lines of a text.
    static func lines(of text: [UInt8]) -> [Part] {
        var ranges: [Range<Int>] = []
        var start = 0
        while start < text.count {
            let end = text[start...].firstIndex(of: 0x0A) ?? text.count
            ranges.append(start..<end)
            start = end + 1
        }
        return parts(ranges, of: text, isParagraph: false) { $0.isEmpty }
    }

    /// The paragraphs of a text, between blank lines.
    static func paragraphs(of text: [UInt8]) -> [Part] {
        var ranges: [Range<Int>] = []
        var (start, index) = (0, 0)
        while index < text.count {
            guard text[index] == 0x0A, index + 1 < text.count, text[index + 1] == 0x0A else {
                index += 1
                continue
            }
            if start < index { ranges.append(start..<index) }
            while index < text.count, text[index] == 0x0A { index += 1 }
            start = index
        }
        if start < text.count { ranges.append(start..<text.count) }
        return parts(ranges, of: text, isParagraph: true) { text.characterCount($0) < leastParagraph }
    }

    private static func parts(
        _ ranges: [Range<Int>], of text: [UInt8], isParagraph: Bool, _ isPassedOver: (Range<Int>) -> Bool
    ) -> [Part] {
        let inner = ranges.map { range -> Range<Int> in
            var (low, high) = (range.lowerBound, range.upperBound)
            while low < high, isBlank(text[low]) { low += 1 }
            while high > low, isBlank(text[high - 1]) { high -= 1 }
            return low..<high
        }
        let found = hashes(
            of: text, inner.map { UInt32(truncatingIfNeeded: $0.lowerBound) }[...],
            inner.map { UInt32(truncatingIfNeeded: $0.upperBound) }[...])
        return ranges.indices.map {
            Part(
                range: ranges[$0], hash: isPassedOver(inner[$0]) ? 0 : max(found[$0], 1),
                isParagraph: isParagraph)
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}

/// A table from hashes to numbers in a file, read by memory map.
struct HashTable: Sendable {
    private let file: MappedFile?
    private let count: Int

    private static let entrySize = 16

    /// Opens a table.
    init(path: String) throws(UserFacingError) {
        let input = try InputFile(path: path)
        count = input.size / Self.entrySize
        file = count > 0 ? try MappedFile(input) : nil
    }

    /// The number of a hash; nil where it is none of them.
    func value(of hash: UInt64) -> UInt64? {
        guard let file else { return nil }
        // Hashes are spread evenly, so the place of one follows from its size.
        var (low, high) = (0, count)
        var step = 0
        while low < high {
            let middle: Int
            if step < 4 {
                let (first, last) = (key(low, file), key(high - 1, file))
                guard hash >= first, hash <= last else { return nil }
                let share = last > first ? Double(hash - first) / Double(last - first) : 0
                middle = min(high - 1, low + Int(share * Double(high - 1 - low)))
            } else {
                middle = (low + high) / 2
            }
            step += 1
            let found = key(middle, file)
            if found == hash { return file.integer(at: middle * Self.entrySize + 8, as: UInt64.self) }
            if found < hash { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    private func key(_ index: Int, _ file: MappedFile) -> UInt64 {
        file.integer(at: index * Self.entrySize, as: UInt64.self)
    }

    /// Writes a table of what stands in several documents.
    ///
    /// - Parameters:
    ///   - path: where to.
    ///   - buckets: a pair for each time that a document has a unit: its hash, and the document.
    ///   - least: the fewest documents.
    ///   - threads: how many work.
    /// - Throws: ``UserFacingError`` when something can't be read or written.
    static func write(
        to path: String, _ buckets: KeyBuckets.Reading, least: Int, threads: Int
    ) throws(UserFacingError) {
        let file = try AtomicFile(path: path)
        var written = 0
        for start in stride(from: 0, to: buckets.count, by: threads) {
            let tables = try mapConcurrently(min(threads, buckets.count - start), threads: threads) {
                index throws(UserFacingError) in
                var found: [UInt64: (count: Int, first: UInt64)] = [:]
                try buckets.forEach(of: start + index) { hash, document in
                    let known = found[hash] ?? (0, document)
                    found[hash] = (known.count + 1, min(known.first, document))
                }
                var bytes: [UInt8] = []
                for (hash, entry) in found.filter({ $0.value.count >= least }).sorted(by: { $0.key < $1.key })
                {
                    bytes.append(number: hash)
                    bytes.append(number: entry.first)
                }
                return bytes
            }
            for bytes in tables where !bytes.isEmpty {
                try file.write(bytes, at: written)
                written += bytes.count
            }
        }
        try file.publish()
    }
}
