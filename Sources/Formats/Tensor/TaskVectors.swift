internal import CKernels
internal import Synchronization

/// What is added to a tensor of what others differ from it: task vectors, thinned and weighted.
///
/// Sources: Ilharco et al., task arithmetic (arXiv 2212.04089); Yadav et al., TIES (arXiv 2306.01708); Yu et al., DARE
/// (arXiv 2311.03099); with thinned vectors rescaled to their own sum of magnitudes, as mergekit does.
public struct TaskVectors: Sendable, Hashable {
    /// What is kept of a task vector; the rest becomes zero.
    public enum Kept: Sendable, Hashable {
        /// All of it.
        case all
        /// This share of its numbers, those with the largest magnitudes; of equal ones the first.
        case largest(Double)
        /// Each number with this probability, which follows from the seed and the number's place.
        case random(Double, seed: UInt64)
    }

    /// What one tensor differs from the first.
    public struct Vector: Sendable, Hashable {
        /// What it is multiplied by.
        public var weight: Float
        /// What is kept of it.
        public var kept: Kept

        /// A task vector of this weight.
        public init(weight: Float, kept: Kept = .all) {
            self.weight = weight
            self.kept = kept
        }
    }

    /// How the sign is found that numbers must have to be added.
    public enum Election: String, Sendable, Hashable {
        /// By the sum of the weighted numbers.
        case sum
        /// By how many are above zero, and how many below.
        case count
    }

    /// One for each of the other tensors.
    public let vectors: [Vector]
    /// Whether what is kept is multiplied so that the sum of magnitudes is what it was.
    public let rescales: Bool
    /// How numbers are left out whose sign is not the elected one; nil for not at all.
    public let election: Election?
    /// Whether the sum is divided by that of the weights, with an election by that of those that were added.
    public let normalizes: Bool
    /// What the sum is multiplied by.
    public let factor: Float

    /// A sum of task vectors.
    public init(
        _ vectors: [Vector], rescales: Bool = false, election: Election? = nil, normalizes: Bool = false,
        factor: Float = 1
    ) {
        self.vectors = vectors
        self.rescales = rescales
        self.election = election
        self.normalizes = normalizes
        self.factor = factor
    }

    /// Whether each number follows from those at its place alone.
    var isElementwise: Bool { passes == 0 }

    /// How often everything is read before the sum is.
    var passes: Int {
        vectors.map { vector in
            switch vector.kept {
            case .all: 0
            case .largest(let share): 0 < share && share < 1 ? 3 : 0
            case .random(let share, _): rescales && 0 < share && share < 1 ? 1 : 0
            }
        }.max() ?? 0
    }
}

extension TensorTree {
    /// This tensor, and added to it what others differ from it, computed in float32 and rounded once.
    ///
    /// - Parameters:
    ///   - vectors: how; one for each of the others.
    ///   - others: tensors of the same shape.
    ///   - type: the type of the result: F16, BF16, F32 or F64.
    /// - Returns: the sum; without others this tensor, cast.
    /// - Throws: ``UserFacingError`` when the tensors can't be added.
    public func adding(
        _ vectors: TaskVectors, of others: [TensorTree], as type: ElementType
    ) throws(UserFacingError) -> TensorTree {
        guard others.count == vectors.vectors.count else {
            throw .wrongOperands(
                found: others.count + 1, expected: "one more than the \(vectors.vectors.count) task vectors")
        }
        for weight in vectors.vectors.map(\.weight) + [vectors.factor] where !weight.isFinite {
            throw .noWeight(weight)
        }
        if others.isEmpty { return try cast(to: type) }
        try Self.checkAlike([self] + others, as: type)
        return try .computed(.added(vectors, type), of: [self] + others, type: type, shape: shape)
    }
}

/// What whole tensors say of one task vector's thinning.
struct Thinning: Sendable {
    /// The bits of the smallest magnitude that is kept.
    var least: UInt32 = 0
    /// How many of just these bits are kept.
    var equal = Int.max
    /// How many of just these bits are in the tiles before each one; empty where all are kept.
    var equalBefore: [Int] = []
    /// What is kept is multiplied by this.
    var scale: Float = 1
}

extension TensorExpression {
    /// Adds task vectors to the first operand, some of the numbers, on all cores.
    func readAdded(
        _ rule: TaskVectors, to operands: [TensorExpression], _ bytes: Range<Int>,
        into destination: inout MutableRawSpan, _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        let addition = Addition(rule: rule, base: operands[0], others: Array(operands.dropFirst()))
        let thinning: [Thinning]
        if let known = cache?.thinning.withLock({ $0 }) {
            thinning = known
        } else {
            thinning = try addition.thinning(onWork)
            cache?.thinning.withLock { $0 = thinning }
        }
        return try readTiles(bytes, into: &destination, onWork) {
            (elements, numbers) throws(UserFacingError) in
            try addition.add(thinning, elements, into: &numbers)
        }
    }
}

/// Task vectors and the tensors that they are of.
private struct Addition: Sendable {
    let rule: TaskVectors
    let base: TensorExpression
    let others: [TensorExpression]

    /// The sum, of some elements of one tile.
    func add(
        _ thinning: [Thinning], _ elements: Range<Int>, into numbers: inout [Float]
    ) throws(UserFacingError) {
        let count = elements.count
        numbers = try base.numbers(elements)
        var sum = [Float](repeating: 0, count: count)
        var weighted = [Float](repeating: 0, count: rule.election == nil ? 0 : count * others.count)
        for (index, vector) in rule.vectors.enumerated() {
            let kept =
                try vector.kept == .all
                ? difference(index, elements, from: numbers)
                : thinned(index, thinning[index], elements, from: numbers)
            let weight = vector.weight * thinning[index].scale
            if rule.election == nil {
                unsafe ck_weigh(&sum, kept, weight, count, index > 0 ? 1 : 0)
            } else {
                unsafe weighted.withUnsafeMutableBufferPointer { all in
                    guard let start = all.baseAddress else { return }
                    unsafe ck_weigh(start + index * count, kept, weight, count, 0)
                }
            }
        }
        var factor = rule.factor
        if let election = rule.election {
            let weights = rule.vectors.map(\.weight)
            unsafe ck_elect(
                &sum, weighted, weights, others.count, count, election == .count ? 1 : 0,
                rule.normalizes ? 1 : 0)
        } else if rule.normalizes {
            let total = rule.vectors.reduce(Float(0)) { $0 + $1.weight }
            factor /= abs(total) < 1e-8 ? 1 : total
        }
        unsafe ck_weigh(&numbers, sum, factor, count, 1)
    }

    /// What a tensor differs from the base, of which some numbers are given.
    private func difference(
        _ index: Int, _ elements: Range<Int>, from base: [Float]
    ) throws(UserFacingError) -> [Float] {
        var numbers = try others[index].numbers(elements)
        unsafe ck_subtract(&numbers, base, numbers.count)
        return numbers
    }

    /// The same, thinned.
    private func thinned(
        _ index: Int, _ thinning: Thinning, _ elements: Range<Int>, from base: [Float]
    ) throws(UserFacingError) -> [Float] {
        var numbers = try difference(index, elements, from: base)
        switch rule.vectors[index].kept {
        case .all: break
        case .largest(let share) where share <= 0, .random(let share, _) where share <= 0:
            return [Float](repeating: 0, count: numbers.count)
        case .largest(let share) where share < 1:
            let equal = try equalLeft(index, thinning, before: elements.lowerBound)
            unsafe ck_keep_largest(&numbers, numbers.count, thinning.least, equal)
        case .random(let share, let seed) where share < 1:
            // The probability in parts of 2^32.
            unsafe ck_keep_random(
                &numbers, numbers.count, SplitMix64.mix(seed), UInt64(elements.lowerBound),
                UInt64((share * 0x1p32).rounded()))
        case .largest, .random: break
        }
        return numbers
    }

    /// How many of the smallest magnitude may still be kept from an element on.
    private func equalLeft(
        _ index: Int, _ thinning: Thinning, before element: Int
    ) throws(UserFacingError) -> Int {
        if thinning.equalBefore.isEmpty { return thinning.equal }
        let tile = element / TensorExpression.tileSize
        var used = thinning.equalBefore[tile]
        let earlier = tile * TensorExpression.tileSize..<element
        if !earlier.isEmpty, used < thinning.equal {
            let difference = try difference(index, earlier, from: base.numbers(earlier))
            var equal = 0
            _ = unsafe ck_sum_magnitudes(difference, difference.count, thinning.least, &equal)
            used += equal
        }
        return max(0, thinning.equal - used)
    }
}

// MARK: - What whole tensors say

extension Addition {
    /// What is counted of a run of tiles.
    private struct Counts: Sendable {
        /// How often each upper, or lower, half of the magnitudes' bits comes.
        var histogram: [UInt32] = []
        /// Of each tile: a sum of magnitudes, another one, and how many are equal to a bound.
        var tiles: [(all: Double, kept: Double, equal: Int)] = []
    }

    /// How many tiles a thread counts together.
    private static let run = 16

    /// Finds out what is kept of each task vector.
    func thinning(_ onWork: WorkObserver) throws(UserFacingError) -> [Thinning] {
        var result = [Thinning](repeating: Thinning(), count: others.count)
        for (index, vector) in rule.vectors.enumerated() {
            switch vector.kept {
            case .largest(let share) where 0 < share && share < 1:
                result[index] = try largest(share, of: index, onWork)
            case .random(let share, _) where 0 < share && share < 1 && rule.rescales:
                let counts = try count(index, 0, onWork) { numbers, elements, counts in
                    var ignored = 0
                    let all = unsafe ck_sum_magnitudes(numbers, numbers.count, 0, &ignored)
                    var kept = numbers
                    if case .random(let share, let seed) = vector.kept {
                        unsafe ck_keep_random(
                            &kept, kept.count, SplitMix64.mix(seed), UInt64(elements.lowerBound),
                            UInt64((share * 0x1p32).rounded()))
                    }
                    let sum = unsafe ck_sum_magnitudes(kept, kept.count, 0, &ignored)
                    counts.tiles.append((all, sum, 0))
                }
                result[index].scale = Self.scale(counts)
            default: break
            }
        }
        return result
    }

    /// The bound above which this share of a task vector's numbers is.
    private func largest(
        _ share: Double, of index: Int, _ onWork: WorkObserver
    ) throws(UserFacingError) -> Thinning {
        let wanted = max(1, Int(share * Double(base.elementCount)))
        var thinning = Thinning()
        let high = try count(index, 1 << 15, onWork) { numbers, _, counts in
            unsafe ck_count_high(&counts.histogram, numbers, numbers.count)
        }
        let (upper, above) = Self.bound(wanted, in: high.histogram)
        let low = try count(index, 1 << 16, onWork) { numbers, _, counts in
            unsafe ck_count_low(&counts.histogram, numbers, numbers.count, UInt32(upper))
        }
        let (lower, between) = Self.bound(wanted - above, in: low.histogram)
        thinning.least = UInt32(upper << 16 | lower)
        let equal = wanted - above - between
        let takesAll = equal == Int(low.histogram[lower]) || thinning.least == 0
        if !takesAll { thinning.equal = equal }
        if takesAll && !rule.rescales { return thinning }
        let least = thinning.least
        let sums = try count(index, 0, onWork) { numbers, _, counts in
            var (equal, zeros) = (0, 0)
            let kept = unsafe ck_sum_magnitudes(numbers, numbers.count, least, &equal)
            let all = unsafe ck_sum_magnitudes(numbers, numbers.count, 0, &zeros)
            counts.tiles.append((all, kept, equal))
        }
        if !takesAll {
            var before = 0
            for tile in sums.tiles {
                thinning.equalBefore.append(before)
                before += tile.equal
            }
        }
        if rule.rescales {
            let count = min(equal, sums.tiles.reduce(0) { $0 + $1.equal })
            thinning.scale = Self.scale(sums, extra: Double(count) * Double(Float(bitPattern: least)))
        }
        return thinning
    }

    /// The number in a histogram from which on down `wanted` are counted from above, and how many are above it.
    private static func bound(_ wanted: Int, in histogram: [UInt32]) -> (bin: Int, above: Int) {
        var above = 0
        for bin in histogram.indices.reversed() {
            if above + Int(histogram[bin]) >= wanted { return (bin, above) }
            above += Int(histogram[bin])
        }
        return (0, above)
    }

    /// What brings the sum of magnitudes back to what it was.
    private static func scale(_ counts: Counts, extra: Double = 0) -> Float {
        let all = counts.tiles.reduce(0) { $0 + $1.all }
        let kept = counts.tiles.reduce(0) { $0 + $1.kept } + extra
        return all < 1e-7 || kept < 1e-7 ? 1 : Float(all / kept)
    }

    /// Counts something of all of a task vector, run by run of tiles; what is told of tiles comes in their order.
    private func count(
        _ index: Int, _ bins: Int, _ onWork: WorkObserver,
        _ body: @Sendable (_ numbers: [Float], _ elements: Range<Int>, _ counts: inout Counts) -> Void
    ) throws(UserFacingError) -> Counts {
        let tiles = TensorExpression.tiles(0..<base.elementCount)
        var result = Counts(histogram: [UInt32](repeating: 0, count: bins))
        let wave = Self.run * 8
        for first in stride(from: 0, to: tiles.count, by: wave) {
            let end = min(first + wave, tiles.count)
            let counts = try mapConcurrently((end - first + Self.run - 1) / Self.run, threads: 8) {
                (run) throws(UserFacingError) in
                var counts = Counts(histogram: [UInt32](repeating: 0, count: bins))
                let start = first + run * Self.run
                for elements in tiles[start..<min(start + Self.run, end)] {
                    let numbers = try base.numbers(elements)
                    body(try difference(index, elements, from: numbers), elements, &counts)
                }
                return counts
            }
            for part in counts {
                for bin in 0..<bins { result.histogram[bin] += part.histogram[bin] }
                result.tiles += part.tiles
            }
            try onWork((base.byteCount + others[index].byteCount) / max(tiles.count, 1) * (end - first))
        }
        return result
    }
}
