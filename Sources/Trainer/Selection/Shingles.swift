/// Cuts texts into the shingles that ``MinHash`` compares.
struct Shingler {
    private var words = TextSimplifier()
    private var characters = TextSimplifier(.characters)
    private var splitter = WordSplitter()
    private var joined: [UInt8] = []
    private var starts: [UInt32] = []
    private var ends: [UInt32] = []

    /// The hashes of a text's shingles: runs of five words, or of eight characters without spaces.
    ///
    /// - Parameters:
    ///   - text: UTF-8.
    ///   - isHangul: whether it is compared by characters.
    /// - Returns: none where the text is shorter than a shingle.
    mutating func shingles(of text: [UInt8], isHangul: Bool) -> [UInt64] {
        isHangul ? runsOfCharacters(text) : runsOfWords(text)
    }

    private mutating func runsOfWords(_ text: [UInt8]) -> [UInt64] {
        words.simplify(text)
        splitter.split(words.text)
        joined.removeAll(keepingCapacity: true)
        starts.removeAll(keepingCapacity: true)
        ends.removeAll(keepingCapacity: true)
        joined.reserveCapacity(words.text.count * 2)
        for index in splitter.starts.indices {
            if index > 0 { joined.append(0x20) }
            starts.append(UInt32(truncatingIfNeeded: joined.count))
            joined += words.text[Int(splitter.starts[index])..<Int(splitter.ends[index])]
            ends.append(UInt32(truncatingIfNeeded: joined.count))
        }
        return hashes(of: joined, starts[...], ends.dropFirst(MinHash.words - 1))
    }

    private mutating func runsOfCharacters(_ text: [UInt8]) -> [UInt64] {
        characters.simplify(text)
        let dense = characters.text
        starts.removeAll(keepingCapacity: true)
        for index in dense.indices where dense[index] & 0xC0 != 0x80 {
            starts.append(UInt32(truncatingIfNeeded: index))
        }
        ends = Array(starts.dropFirst(1))
        ends.append(UInt32(truncatingIfNeeded: dense.count))
        if starts.isEmpty { return [] }
        return hashes(of: dense, starts[...], ends.dropFirst(MinHash.characters - 1))
    }
}
