internal import Formats
internal import Foundation
internal import HeapModule

/// In which order documents are taken, and which of them.
enum Ranking {
    /// Where each document stands by a score, from 0 to 1: the share of the documents that it is ahead of, equals counted half.
    ///
    /// - Parameter scores: the larger the better; what is no number stands behind all others, at 0.
    /// - Returns: a standing for each.
    static func standings(_ scores: [Double]) -> [Double] {
        places(scores).map { 1 - $0 / 2 / Double(scores.count) }
    }

    /// Twice the middle of the places that each document shares with its equals, a whole number.
    private static func places(_ scores: [Double]) -> [Double] {
        let order = order(scores)
        var places = [Double](repeating: Double(2 * scores.count), count: scores.count)
        var start = 0
        while start < order.count, !scores[order[start]].isNaN {
            var end = start + 1
            while end < order.count, scores[order[end]] == scores[order[start]] { end += 1 }
            for place in start..<end { places[order[place]] = Double(start + end) }
            start = end
        }
        return places
    }

    /// Documents by a score, the largest first; of equals the first, and what is no number last.
    static func order(_ scores: [Double]) -> [Int] {
        scores.indices.sorted { one, two in
            let (first, second) = (scores[one], scores[two])
            if first.isNaN || second.isNaN { return first.isNaN == second.isNaN ? one < two : second.isNaN }
            return first == second ? one < two : first > second
        }
    }

    /// What documents are ordered by: their score, or the mean of their standings where several scores are there.
    static func combined(_ scores: [[Double]], count: Int) -> [Double] {
        if scores.count == 1 { return scores[0] }
        var sums = [Double](repeating: 0, count: count)
        for list in scores.map(places) {
            for index in sums.indices { sums[index] += list[index] }
        }
        return scores.isEmpty ? sums : sums.map { 1 - $0 / 2 / Double(count * scores.count) }
    }

    /// The logarithms of the weights by which documents are drawn: all 1 without a score; the score, from its least as 0 to its
    /// greatest as 1; of several, or where `standing` is asked for, the mean standing.
    static func logarithmicWeights(_ scores: [[Double]], count: Int, standing: Bool = false) -> [Double] {
        if scores.isEmpty { return [Double](repeating: 0, count: count) }
        if standing {
            return (scores.count == 1 ? standings(scores[0]) : self.combined(scores, count: count)).map {
                log($0)
            }
        }
        let combined = combined(scores, count: count)
        let known = combined.filter { !$0.isNaN }
        guard scores.count == 1, let least = known.min(), let greatest = known.max() else {
            return combined.map { log($0) }
        }
        return combined.map {
            greatest > least ? log(($0 - least) / (greatest - least)) : $0.isNaN ? .nan : 0
        }
    }

    /// The logarithms of what age leaves of weights: a half after each half-life before the newest day.
    ///
    /// - Parameters:
    ///   - days: since 1970; what is no finite number counts as the oldest of them.
    ///   - halfLife: in days.
    ///   - newest: the day of which all is left; nil for the newest of `days`.
    /// - Returns: a logarithm for each; nil where no day is known.
    static func logarithmicDecay(_ days: [Double], halfLife: Double, newest: Double?) -> [Double]? {
        let known = days.filter(\.isFinite)
        guard let oldest = known.min(), let latest = newest ?? known.max() else { return nil }
        return days.map { day in -max(0, latest - (day.isFinite ? day : oldest)) / halfLife * log(2) }
    }

    /// Noise that makes taking the largest a draw without replacement, in proportion to the weights.
    ///
    /// Source: Vieira, "Gumbel-max trick and weighted reservoir sampling" (2014); Kool et al. (1903.06059).
    static func gumbel(seed: UInt64, document: UInt32) -> Double {
        var generator = generator(seed: seed, source: 0, stream: UInt64(document))
        return -log(-log((Double(generator.next() >> 11) + 0.5) * 0x1p-53))
    }
}

extension Ranking {
    /// Which documents are taken of groups that take turns: the group that has had least takes its first that fits.
    ///
    /// - Parameters:
    ///   - order: the documents, the first to be taken first.
    ///   - groups: the group of each.
    ///   - sizes: what each takes of the amount.
    ///   - allowance: what is to be had.
    /// - Returns: those that are taken, in the order in which they were.
    static func taken(
        _ order: [Int], groups: [UInt32], sizes: [Int], from allowance: Allowance
    ) -> [Int] {
        let count = Int(groups.max() ?? 0) + 1
        var (allowance, taken, queues) = (allowance, [Int](), [[Int]](repeating: [], count: count))
        for document in order { queues[Int(groups[document])].append(document) }
        var (next, had) = ([Int](repeating: 0, count: count), [Int](repeating: 0, count: count))
        // Those that still have something, the one that has had least first, and of equals the first.
        var waiting = Heap(queues.indices.filter { !queues[$0].isEmpty }.map { Turn(had: 0, group: $0) })
        while let turn = waiting.popMin() {
            let group = turn.group
            while next[group] < queues[group].count {
                let document = queues[group][next[group]]
                next[group] += 1
                guard allowance.take(sizes[document]) else { continue }
                taken.append(document)
                had[group] += sizes[document]
                waiting.insert(Turn(had: had[group], group: group))
                break
            }
        }
        return taken
    }

    private struct Turn: Comparable {
        let had, group: Int
        static func < (one: Turn, other: Turn) -> Bool { (one.had, one.group) < (other.had, other.group) }
    }
}

/// What is still to be had of an amount.
struct Allowance {
    private(set) var left: Int

    /// - Parameters:
    ///   - amount: how much.
    ///   - count: of how many documents; a share is rounded up.
    init(_ amount: DocumentChoice.Amount, of count: Int) {
        left =
            switch amount {
            // A product that lies above a whole number by rounding alone is that number.
            case .share(let share): min(count, Int((share * Double(count) * (1 - 1e-12)).rounded(.up)))
            case .bytes(let most), .tokens(let most): most
            }
    }

    /// Takes a document of a size where it fits; one that doesn't is passed over.
    mutating func take(_ size: Int) -> Bool {
        guard size <= left else { return false }
        left -= size
        return true
    }
}
