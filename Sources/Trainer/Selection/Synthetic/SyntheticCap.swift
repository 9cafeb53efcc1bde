/// Which synthetic documents are left out so that they are at most a share of the text that is kept.
///
/// Of documents that were chosen those that came last are left out, else those that a draw puts last; the draw follows from the
/// seed and the document's number. One that does not fit any more is passed over, and a smaller one behind it may fit.
struct SyntheticCap {
    /// The share, 0 to 1.
    let share: Double
    private let seed: UInt64
    /// The bytes of text that somebody has written, and those of synthetic documents.
    private var natural = 0
    private var candidates: [(order: UInt64, number: Int, bytes: Int)] = []

    init(share: Double, seed: UInt64) { (self.share, self.seed) = (share, seed) }

    /// Counts a document that nothing else drops.
    ///
    /// - Parameters:
    ///   - number: which it is.
    ///   - bytes: those of its text.
    ///   - isSynthetic: whether it is marked so.
    ///   - rank: its place in the order in which documents were chosen; nil where all are kept.
    mutating func count(_ number: Int, bytes: Int, isSynthetic: Bool, rank: UInt32?) {
        guard isSynthetic else {
            natural += bytes
            return
        }
        var drawn = generator(seed: seed, source: 0, stream: UInt64(number))
        candidates.append((rank.map { UInt64($0) } ?? drawn.next(), number, bytes))
    }

    /// The share that synthetic documents would have if none of them were left out.
    var shareOfAll: Double {
        let synthetic = candidates.reduce(0) { $0 + $1.bytes }
        return synthetic > 0 ? Double(synthetic) / Double(synthetic + natural) : 0
    }

    /// The documents that are left out.
    func leftOut() -> Set<Int> {
        var (taken, out) = (0, Set<Int>())
        for document in candidates.sorted(by: { ($0.order, $0.number) < ($1.order, $1.number) }) {
            let all = Double(taken + document.bytes)
            if all * (1 - share) <= share * Double(natural) {
                taken += document.bytes
            } else {
                out.insert(document.number)
            }
        }
        return out
    }
}
