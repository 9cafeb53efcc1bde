/// The ids of words that were encoded before, in bounded memory.
struct WordCache: Sendable {
    /// Longer words come too seldom to be kept.
    private static let longestWord = 64
    /// When this many words, or bytes of them, are kept, all are forgotten.
    private static let capacity = (words: 1 << 15, bytes: 1 << 19)

    private var words = ByteStringTable()
    /// The ids of all words, one after another.
    private var ids: [Int32] = []
    /// Where each word's ids end, after a leading 0.
    private var ends: [Int] = [0]

    /// Appends the ids of `word` when they are known, and tells whether they are.
    func append(_ word: Span<UInt8>, to output: inout [Int32]) -> Bool {
        guard word.count <= Self.longestWord, let index = words.index(of: word) else { return false }
        for id in ends[index]..<ends[index + 1] { output.append(ids[id]) }
        return true
    }

    /// Keeps the ids of `word`, which is not known yet.
    mutating func insert(_ word: Span<UInt8>, _ wordIDs: Span<Int32>) {
        guard word.count <= Self.longestWord else { return }
        if words.count == Self.capacity.words || words.byteCount >= Self.capacity.bytes {
            words.removeAll()
            ids.removeAll(keepingCapacity: true)
            ends.removeAll(keepingCapacity: true)
            ends.append(0)
        }
        words.insert(word)
        for index in wordIDs.indices { ids.append(wordIDs[index]) }
        ends.append(ids.count)
    }
}
