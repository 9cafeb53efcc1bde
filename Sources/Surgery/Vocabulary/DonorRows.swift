internal import Formats

/// Tokens of another model's vocabulary written as sums of tokens that both models have.
///
/// How a token relates to common tokens is read from the other model's rows; the same sum of this model's rows is where
/// the token's own row begins.
struct DonorRows: Sendable {
    /// A token that both models have.
    struct Common: Sendable, Equatable {
        /// Its row in this model.
        let here: Int32
        /// Its row in the other.
        let there: Int32
    }

    /// How many of the nearest common tokens count.
    static let neighbours = 8
    /// How many common tokens a pursuit may take, as mergekit-tokensurgeon's default has it.
    static let atoms = 64

    private let matrix: TensorExpression
    private let common: [Common]
    private let width: Int
    private let threads: Int

    /// The rows of another model, which tokens both have, and how many threads compare them.
    init(_ matrix: TensorExpression, common: [Common], threads: Int) {
        let height = matrix.shape.first ?? 0
        self.matrix = matrix
        self.common = common.filter { Int($0.there) < height }
        width = matrix.elementCount / max(height, 1)
        self.threads = threads
    }

    /// Whether the other model has a row for a token and enough to compare it with.
    func knows(_ id: Int) -> Bool { id < matrix.shape.first ?? 0 && !common.isEmpty }

    /// The sums for some of the other model's tokens, in order.
    ///
    /// - Parameters:
    ///   - ids: their rows in the other model, which has them.
    ///   - method: `nearest` or `omp`.
    /// - Returns: for each the rows of this model and their weights.
    /// - Throws: ``UserFacingError`` when the other model's rows can't be read.
    func sums(
        for ids: [Int], _ method: RowInitialization
    ) throws(UserFacingError) -> [(rows: [Int32], weights: [Float])] {
        let dictionary = try RowDictionary(of: common, in: matrix, width: width)
        let targets = try matrix.derived(.gathered(ids.map(Int32.init))).floats()
        let width = width
        return try mapConcurrently(ids.count, threads: threads) { (index) throws(UserFacingError) in
            let target = Array(targets[index * width..<(index + 1) * width])
            let terms =
                method == .nearest
                ? dictionary.nearest(to: target, count: Self.neighbours)
                : dictionary.pursuit(of: target, count: Self.atoms)
            return (rows: terms.map { common[$0.atom].here }, weights: terms.map(\.weight))
        }
    }
}

/// Directions that others are written as sums of.
struct RowDictionary: Sendable {
    /// A direction and how much of it.
    struct Term: Sendable, Equatable {
        let atom: Int
        let weight: Float
    }

    /// The directions, each of length 1, one after another.
    private let directions: [Float]
    /// How long each was.
    private let lengths: [Float]
    private let width: Int

    /// The rows of common tokens.
    init(of common: [DonorRows.Common], in matrix: TensorExpression, width: Int) throws(UserFacingError) {
        var rows: [Float] = []
        rows.reserveCapacity(common.count * width)
        var row = [Float](repeating: 0, count: width)
        for token in common {
            var room = row.mutableSpan
            try matrix.floats(Int(token.there) * width..<(Int(token.there) + 1) * width, into: &room)
            rows += row
        }
        self.init(rows: rows, width: width)
    }

    /// These directions, one after another.
    init(rows: [Float], width: Int) {
        var directions = rows
        var lengths: [Float] = []
        for start in stride(from: 0, to: rows.count, by: width) {
            let length = dot(rows, start, rows, start, width).squareRoot()
            lengths.append(length)
            for place in start..<start + width { directions[place] = length > 0 ? rows[place] / length : 0 }
        }
        (self.directions, self.lengths, self.width) = (directions, lengths, width)
    }

    /// The directions nearest to a target by their cosine, each weighted by it; the weights add up to 1.
    func nearest(to target: [Float], count: Int) -> [Term] {
        let products = lengths.indices.map {
            (atom: $0, product: dot(directions, $0 * width, target, 0, width))
        }
        let best = products.sorted { ($1.product, $0.atom) < ($0.product, $1.atom) }.prefix(count)
        let sum = best.reduce(Float(0)) { $0 + max($1.product, 0) }
        return best.map {
            Term(atom: $0.atom, weight: sum > 0 ? max($0.product, 0) / sum : 1 / Float(best.count))
        }
    }

    /// Orthogonal matching pursuit: again and again the direction nearest to what is left is taken, and all that were
    /// taken are weighted so that the least is left.
    ///
    /// Source: Pati, Rezaiifar and Krishnaprasad 1993; for embeddings: Goddard and Fernandes Neto, Training-Free Tokenizer
    /// Transplantation via Orthogonal Matching Pursuit (arXiv 2506.06607).
    func pursuit(of target: [Float], count: Int) -> [Term] {
        var taken: [Int] = []
        var residual = target
        // The triangular factor L of the taken directions' products with each other, L Lᵀ, row by row; what they have of
        // the target; and the weights.
        var factor: [[Double]] = []
        var projections: [Double] = []
        var weights: [Double] = []
        let enough = dot(target, 0, target, 0, width) * 1e-10
        while taken.count < min(count, lengths.count), dot(residual, 0, residual, 0, width) > enough {
            guard let next = farthest(residual, except: taken) else { break }
            var row = taken.map { Double(dot(directions, $0 * width, directions, next * width, width)) }
            for index in row.indices {
                for inner in 0..<index { row[index] -= row[inner] * factor[index][inner] }
                row[index] /= factor[index][index]
            }
            let rest = 1 - row.reduce(0) { $0 + $1 * $1 }
            // What is left is a sum of directions that were taken, but for rounding.
            guard rest > 1e-6 else { break }
            factor.append(row + [rest.squareRoot()])
            taken.append(next)
            projections.append(Double(dot(directions, next * width, target, 0, width)))
            weights = solved(factor, projections)
            residual = target
            for (atom, weight) in zip(taken, weights) {
                for column in 0..<width {
                    residual[column] -= Float(weight) * directions[atom * width + column]
                }
            }
        }
        return zip(taken, weights).map { Term(atom: $0, weight: Float($1) / lengths[$0]) }
    }

    /// The direction that has the most of a residual.
    private func farthest(_ residual: [Float], except taken: [Int]) -> Int? {
        var best: (atom: Int, size: Float)?
        for atom in lengths.indices where lengths[atom] > 0 {
            let size = abs(dot(directions, atom * width, residual, 0, width))
            if size > best?.size ?? 0, !taken.contains(atom) { best = (atom, size) }
        }
        return best?.atom
    }

    /// The x of L Lᵀ x = b.
    private func solved(_ factor: [[Double]], _ right: [Double]) -> [Double] {
        var x = right
        for row in x.indices {
            for column in 0..<row { x[row] -= factor[row][column] * x[column] }
            x[row] /= factor[row][row]
        }
        for row in x.indices.reversed() {
            for below in row + 1..<max(x.count, row + 1) { x[row] -= factor[below][row] * x[below] }
            x[row] /= factor[row][row]
        }
        return x
    }
}

/// The inner product of two runs of numbers, sixteen at a time.
private func dot(_ left: [Float], _ first: Int, _ right: [Float], _ second: Int, _ count: Int) -> Float {
    precondition(first + count <= left.count && second + count <= right.count, "both runs are there")
    return unsafe left.withUnsafeBytes { one in
        unsafe right.withUnsafeBytes { other in
            var sums = SIMD16<Float>.zero
            var index = 0
            while index + 16 <= count {
                let a = unsafe one.loadUnaligned(fromByteOffset: (first + index) * 4, as: SIMD16<Float>.self)
                let b = unsafe other.loadUnaligned(
                    fromByteOffset: (second + index) * 4, as: SIMD16<Float>.self)
                sums += a * b
                index += 16
            }
            var sum = sums.sum()
            while index < count {
                sum += left[first + index] * right[second + index]
                index += 1
            }
            return sum
        }
    }
}
