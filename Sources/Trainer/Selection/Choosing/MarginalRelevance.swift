internal import Formats

/// Takes documents that are relevant and unlike those that were taken: maximal marginal relevance.
///
/// The next document is the one of which λ · relevance − (1 − λ) · the largest cosine with any that was taken is largest; of
/// equals the first. One that doesn't fit is passed over.
///
/// Source: Carbonell and Goldstein, "The Use of MMR, Diversity-Based Reranking for Reordering Documents and Producing Summaries"
/// (1998).
struct MarginalRelevance: Sendable {
    /// The relevance of each document.
    let relevance: [Double]
    /// The embeddings of all, of length 1: (N, C).
    let vectors: [Float]
    let width: Int
    /// λ, from 0 to 1: how much relevance counts.
    let balance: Double
    let threads: Int

    /// The bytes of the embeddings that are compared at most.
    static let mostBytes = 256 << 20
    /// How many documents a thread compares at least.
    private static let leastAtOnce = 4096

    /// Takes documents until none is left.
    ///
    /// - Parameters:
    ///   - take: asked for the next document, and whether it fits.
    ///   - isFull: asked after each; true ends.
    ///   - check: called after each; what it throws ends the work.
    /// - Returns: those that were taken, in their order.
    /// - Throws: what `check` throws.
    func taken(
        _ take: (Int) -> Bool, until isFull: () -> Bool, _ check: () throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> [Int] {
        var likeness = [Double](repeating: 0, count: relevance.count)
        var isOpen = [Bool](repeating: true, count: relevance.count)
        var taken: [Int] = []
        while !isFull() {
            try check()
            var best = (index: -1, value: -Double.infinity)
            for index in relevance.indices where isOpen[index] {
                let value = balance * relevance[index] - (1 - balance) * likeness[index]
                if value > best.value { best = (index, value) }
            }
            guard best.index >= 0 else { break }
            isOpen[best.index] = false
            guard take(best.index) else { continue }
            taken.append(best.index)
            let cosines = cosines(with: best.index)
            if taken.count == 1 {
                likeness = cosines
            } else {
                for index in likeness.indices where cosines[index] > likeness[index] {
                    likeness[index] = cosines[index]
                }
            }
        }
        return taken
    }

    private func cosines(with document: Int) -> [Double] {
        let size = max(Self.leastAtOnce, (relevance.count + threads - 1) / threads)
        let parts = mapConcurrently(
            (relevance.count + size - 1) / size, threads: threads
        ) { part in
            (part * size..<min((part + 1) * size, relevance.count)).map {
                product(vectors, document * width, vectors, $0 * width, width: width)
            }
        }
        return parts.flatMap(\.self)
    }
}
