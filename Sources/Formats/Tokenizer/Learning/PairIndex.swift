/// The symbols of many words and where each pair of neighbours stands, kept true while pairs are merged.
///
/// A position is a symbol's place; words follow each other with a gap between. Each position belongs to the list of the
/// pair that it and the next symbol make, so a merge touches no other places than those it changes. All of it takes
/// 24 bytes a symbol, whatever is merged.
struct PairIndex: Sendable {
    /// Two neighbours.
    struct Pair: Sendable {
        let left: Int32
        let right: Int32
        /// How often they stand side by side in the corpus.
        var count = 0
        /// The first position of the list; -1 when it is empty.
        fileprivate var first: Int32 = -1
        /// The last merge that made it more frequent.
        fileprivate var raisedAt: Int32 = -1
    }

    /// What stands where no symbol can be paired: between words, and in place of what must stay alone.
    static let gap: Int32 = -1

    /// Every pair there has been.
    private(set) var pairs: [Pair] = []
    private var numbers = MergeTable(capacity: 1 << 16)
    private var symbols: [Int32] = []
    private var wordOf: [Int32] = []
    private var weights: [Int] = []
    private var next: [Int32] = []
    private var previous: [Int32] = []
    private var pairOf: [Int32] = []
    private var listNext: [Int32] = []
    private var listPrevious: [Int32] = []
    private var merges: Int32 = 0

    /// How many symbols the corpus has, each word as often as it comes.
    private(set) var symbolCount = 0

    /// Adds a word that comes `count` times; gaps may stand in it.
    mutating func append(_ word: [Int32], count: Int) {
        symbols.append(contentsOf: word)
        symbols.append(Self.gap)
        for _ in 0...word.count { wordOf.append(Int32(weights.count)) }
        weights.append(count)
        symbolCount += word.count * count
    }

    /// Finds all pairs, after the last word was added.
    mutating func finish() {
        let count = symbols.count
        next = (0..<count).map { Int32($0 + 1) }
        previous = (0..<count).map { Int32($0 - 1) }
        pairOf = Array(repeating: -1, count: count)
        listNext = Array(repeating: -1, count: count)
        listPrevious = Array(repeating: -1, count: count)
        for position in stride(from: count - 2, through: 0, by: -1) { enter(position) }
    }

    /// How often each of some symbols that follow one another stands in the corpus.
    func counts(from first: Int32, count: Int) -> [Int] {
        var counts = [Int](repeating: 0, count: count)
        var position = 0
        while position < symbols.count {
            let number = Int(symbols[position]) - Int(first)
            if counts.indices.contains(number) { counts[number] += weights[Int(wordOf[position])] }
            position = Int(next[position])
        }
        return counts
    }

    /// The number of a pair, when the two have ever stood side by side.
    func number(_ left: Int32, _ right: Int32) -> Int? {
        let found = numbers.merge(left, right).id
        return found < 0 ? nil : Int(found)
    }

    /// Makes one symbol of a pair wherever it stands.
    ///
    /// - Parameters:
    ///   - number: the pair.
    ///   - symbol: what the two become.
    /// - Returns: the pairs that came up or became more frequent.
    mutating func merge(_ number: Int, into symbol: Int32) -> [Int] {
        merges += 1
        var raised: [Int] = []
        for position in positions(of: number) where pairOf[position] == Int32(number) {
            let right = Int(next[position])
            let after = Int(next[right])
            let before = Int(previous[position])
            leave(position)
            leave(right)
            if before >= 0 { leave(before) }
            symbolCount -= weights[Int(wordOf[position])]
            symbols[position] = symbol
            symbols[right] = Self.gap
            next[position] = Int32(after)
            previous[after] = Int32(position)
            enter(position, &raised)
            if before >= 0 { enter(before, &raised) }
        }
        return raised
    }

    /// Makes a symbol of another kind of it wherever it stands, as of a character that becomes a token.
    ///
    /// - Parameters:
    ///   - places: where it stands.
    ///   - symbol: what it becomes.
    /// - Returns: the pairs that came up or became more frequent.
    mutating func replace(at places: [Int32], with symbol: Int32) -> [Int] {
        merges += 1
        var raised: [Int] = []
        for place in places {
            let position = Int(place)
            symbols[position] = symbol
            enter(position, &raised)
            if previous[position] >= 0 { enter(Int(previous[position]), &raised) }
        }
        return raised
    }

    /// How many positions there are, to find out where a word's symbols will stand.
    var positionCount: Int { symbols.count }

    /// How often the word at a position comes.
    func weight(at position: Int32) -> Int { weights[Int(wordOf[Int(position)])] }

    /// Counts characters that took several symbols as one.
    mutating func shorten(by symbols: Int) { symbolCount -= symbols }

    /// The positions of a pair, in order where one may overlap the next.
    private func positions(of number: Int) -> [Int] {
        var positions: [Int] = []
        var place = pairs[number].first
        while place >= 0 {
            positions.append(Int(place))
            place = listNext[Int(place)]
        }
        // "aaa" is "aa", "a", as encoding has it.
        if pairs[number].left == pairs[number].right { positions.sort() }
        return positions
    }

    private mutating func enter(_ position: Int, _ raised: inout [Int]) {
        guard let number = enter(position), pairs[number].raisedAt != merges else { return }
        pairs[number].raisedAt = merges
        raised.append(number)
    }

    /// Puts a position into the list of the pair that begins there.
    @discardableResult
    private mutating func enter(_ position: Int) -> Int? {
        guard pairOf[position] < 0 else { return nil }
        let left = symbols[position]
        guard left >= 0 else { return nil }
        let right = symbols[Int(next[position])]
        guard right >= 0 else { return nil }
        var number = Int(numbers.merge(left, right).id)
        if number < 0 {
            number = pairs.count
            pairs.append(Pair(left: left, right: right))
            insert(left, right, number)
        }
        let first = pairs[number].first
        listNext[position] = first
        listPrevious[position] = -1
        if first >= 0 { listPrevious[Int(first)] = Int32(position) }
        pairs[number].first = Int32(position)
        pairs[number].count += weights[Int(wordOf[position])]
        pairOf[position] = Int32(number)
        return number
    }

    /// Takes a position out of its list.
    private mutating func leave(_ position: Int) {
        let number = Int(pairOf[position])
        guard number >= 0 else { return }
        let (before, after) = (listPrevious[position], listNext[position])
        if before >= 0 { listNext[Int(before)] = after } else { pairs[number].first = after }
        if after >= 0 { listPrevious[Int(after)] = before }
        pairs[number].count -= weights[Int(wordOf[position])]
        pairOf[position] = -1
    }

    /// Numbers a pair; the table is made anew when it is half full.
    private mutating func insert(_ left: Int32, _ right: Int32, _ number: Int) {
        if pairs.count * 2 > numbers.capacity {
            var larger = MergeTable(capacity: numbers.capacity)
            for (index, pair) in pairs.enumerated() {
                larger.insert(pair.left, pair.right, .init(rank: 0, id: Int32(index)))
            }
            numbers = larger
        } else {
            numbers.insert(left, right, .init(rank: 0, id: Int32(number)))
        }
    }
}
