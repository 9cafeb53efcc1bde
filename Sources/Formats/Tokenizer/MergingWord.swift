/// The tokens of one word while its neighbours merge.
struct MergingWord: Sendable {
    private struct Symbol: Sendable {
        var id: Int32
        /// What this and the next symbol become.
        var merge = MergeTable.Merge.none
    }

    private var symbols: [Symbol] = []
    private var heap = MergeHeap()
    /// For long words: where the neighbours of each symbol stand, -1 beyond the ends.
    private var links: [(previous: Int32, next: Int32)] = []

    /// Up to this many symbols the next merge is searched for, beyond it is kept in a heap.
    private static let searchLimit = 48

    /// The number of tokens.
    var count: Int { symbols.count }

    /// Forgets the word.
    mutating func removeAll() { symbols.removeAll(keepingCapacity: true) }

    /// Appends a token.
    mutating func append(_ id: Int32) { symbols.append(Symbol(id: id)) }

    /// Appends the word's tokens to `ids`.
    func append(to ids: inout [Int32]) { for symbol in symbols { ids.append(symbol.id) } }

    /// Merges neighbours until none have a merge.
    mutating func mergeAll(_ merges: MergeTable) {
        guard symbols.count > 1 else { return }
        for index in 0..<(symbols.count - 1) {
            symbols[index].merge = merges.merge(symbols[index].id, symbols[index + 1].id)
        }
        if symbols.count <= Self.searchLimit {
            mergeBySearch(merges)
        } else {
            mergeByHeap(merges)
        }
    }

    private mutating func mergeBySearch(_ merges: MergeTable) {
        while symbols.count > 1 {
            var best = 0
            var rank = symbols[0].merge.rank
            for index in 1..<symbols.count where symbols[index].merge.rank < rank {
                best = index
                rank = symbols[index].merge.rank
            }
            if rank == .max { return }
            symbols[best].id = symbols[best].merge.id
            symbols.remove(at: best + 1)
            symbols[best].merge =
                best + 1 < symbols.count ? merges.merge(symbols[best].id, symbols[best + 1].id) : .none
            if best > 0 { symbols[best - 1].merge = merges.merge(symbols[best - 1].id, symbols[best].id) }
        }
    }

    private mutating func mergeByHeap(_ merges: MergeTable) {
        let count = Int32(symbols.count)
        links.removeAll(keepingCapacity: true)
        heap.removeAll()
        for index in 0..<count {
            links.append((index - 1, index + 1 < count ? index + 1 : -1))
            heap.append(rank: symbols[Int(index)].merge.rank, position: index)
        }
        heap.order()
        while let (rank, position) = heap.pop() {
            let left = Int(position)
            // Stale unless the symbol still has this very merge.
            guard symbols[left].id >= 0, symbols[left].merge.rank == rank else { continue }
            let right = Int(links[left].next)
            symbols[left].id = symbols[left].merge.id
            symbols[right].id = -1
            links[left].next = links[right].next
            let next = Int(links[left].next)
            symbols[left].merge = next < 0 ? .none : merges.merge(symbols[left].id, symbols[next].id)
            heap.push(rank: symbols[left].merge.rank, position: position)
            if next >= 0 { links[next].previous = position }
            let previous = Int(links[left].previous)
            if previous >= 0 {
                symbols[previous].merge = merges.merge(symbols[previous].id, symbols[left].id)
                heap.push(rank: symbols[previous].merge.rank, position: Int32(previous))
            }
        }
        symbols.removeAll { $0.id < 0 }
    }
}

/// Merges that may be done, the earliest first and of equal ones the leftmost.
private struct MergeHeap: Sendable {
    /// Rank in the upper half, position in the lower; the smallest stands first, and each is at most the
    /// two at twice its index plus one and two.
    private var entries: [UInt64] = []

    mutating func removeAll() { entries.removeAll(keepingCapacity: true) }

    /// Adds an entry without ordering; one without a merge is left out.
    mutating func append(rank: UInt32, position: Int32) {
        guard rank != .max else { return }
        entries.append(UInt64(rank) << 32 | UInt64(UInt32(bitPattern: position)))
    }

    /// Orders what was appended.
    mutating func order() {
        for index in stride(from: entries.count / 2 - 1, through: 0, by: -1) { siftDown(index) }
    }

    mutating func push(rank: UInt32, position: Int32) {
        guard rank != .max else { return }
        append(rank: rank, position: position)
        var index = entries.count - 1
        while index > 0, entries[index] < entries[(index - 1) / 2] {
            entries.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    mutating func pop() -> (rank: UInt32, position: Int32)? {
        guard let first = entries.first, let last = entries.popLast() else { return nil }
        if !entries.isEmpty {
            entries[0] = last
            siftDown(0)
        }
        return (UInt32(first >> 32), Int32(truncatingIfNeeded: first))
    }

    private mutating func siftDown(_ start: Int) {
        var index = start
        let entry = entries[index]
        while true {
            var child = 2 * index + 1
            guard child < entries.count else { break }
            if child + 1 < entries.count, entries[child + 1] < entries[child] { child += 1 }
            guard entries[child] < entry else { break }
            entries[index] = entries[child]
            index = child
        }
        entries[index] = entry
    }
}
