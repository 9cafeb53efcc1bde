internal import Formats

/// What each row of the result is made of, and the tensors that follow.
struct RowPlan {
    /// What a row is made of.
    enum Row: Equatable {
        /// An old row.
        case old(Int)
        /// A new token that the old tokenizer has these pieces for.
        case token([Piece])
        /// Nothing: no token has it.
        case padding
    }

    /// An old token in a new one's text.
    struct Piece: Equatable {
        let id: Int32
        /// How many bytes of the text it is.
        let bytes: Int
        /// How many characters; a byte is a share of its character.
        let characters: Float
    }

    /// The pieces of a text from their tokens and bytes, in order.
    static func pieces(_ parts: [(id: Int32, bytes: [UInt8])]) -> [Piece] {
        // A byte of a character of n bytes is an n-th of it, wherever the pieces divide it; one whose character does not
        // begin in the text counts as those of most scripts.
        var (size, left) = (3, 0)
        return parts.map { id, bytes in
            var characters: Float = 0
            for byte in bytes {
                if byte & 0xC0 != 0x80 {
                    size = byte < 0x80 ? 1 : byte < 0xE0 ? 2 : byte < 0xF0 ? 3 : 4
                    left = size
                } else if left == 0 {
                    size = 3
                }
                left = max(0, left - 1)
                characters += 1 / Float(size)
            }
            return Piece(id: id, bytes: max(bytes.count, 1), characters: bytes.isEmpty ? 1 : characters)
        }
    }

    /// The rows in order.
    var rows: [Row]
    /// How many old rows there are.
    let height: Int

    /// Old rows shorter than this are gathered instead of copied run by run.
    private static let shortestRun = 8

    /// A tensor with the planned rows.
    ///
    /// - Parameters:
    ///   - base: the tensor with the old rows.
    ///   - method: how rows of new tokens begin.
    ///   - seed: what random numbers follow from; another for each tensor.
    ///   - donor: rows of another model, for methods that look at them.
    /// - Returns: the tensor, of which only a donor's rows have been read.
    /// - Throws: ``UserFacingError`` when rows can't be made of these.
    func tensor(
        from base: TensorExpression, _ method: RowInitialization, seed: UInt64, donor: DonorRows?
    ) throws(UserFacingError) -> TensorExpression {
        var parts: [TensorExpression] = []
        var start = 0
        while start < rows.count {
            let end = endOfRun(from: start)
            let run = start..<end
            switch rows[start] {
            case .old(let first): parts.append(try old(run, first, base))
            case .token: parts.append(try new(run, base, method, seed: seed, donor))
            case .padding: parts.append(try new(run, base, method.withoutText, seed: seed, nil))
            }
            start = end
        }
        return try .joined(parts)
    }

    /// Where a run of rows of one kind ends.
    private func endOfRun(from start: Int) -> Int {
        var end = start + 1
        switch rows[start] {
        case .padding: while end < rows.count, case .padding = rows[end] { end += 1 }
        case .token: while end < rows.count, case .token = rows[end] { end += 1 }
        case .old(let first):
            func following(_ place: Int, _ value: Int) -> Int {
                var end = place
                while end < rows.count, rows[end] == .old(value + end - place) { end += 1 }
                return end
            }
            end = following(start, first)
            // Scattered rows are one run until a long one begins.
            while end - start < Self.shortestRun || !isLong(start, end), end < rows.count,
                case .old(let next) = rows[end]
            {
                let after = following(end, next)
                if after - end >= Self.shortestRun { break }
                end = after
            }
        }
        return end
    }

    /// Whether a run of old rows follows one another without a gap.
    private func isLong(_ start: Int, _ end: Int) -> Bool {
        guard case .old(let first) = rows[start] else { return false }
        return rows[end - 1] == .old(first + end - 1 - start)
    }

    private func old(
        _ run: Range<Int>, _ first: Int, _ base: TensorExpression
    ) throws(UserFacingError) -> TensorExpression {
        if isLong(run.lowerBound, run.upperBound) { return try base.rows(first..<first + run.count) }
        return try base.derived(
            .gathered(
                run.compactMap { row -> Int32? in
                    if case .old(let source) = rows[row] { Int32(source) } else { nil }
                }))
    }

    private func new(
        _ run: Range<Int>, _ base: TensorExpression, _ method: RowInitialization, seed: UInt64,
        _ donor: DonorRows?
    ) throws(UserFacingError) -> TensorExpression {
        switch method {
        case .zero: return try .zeros(base.type, shape: [run.count] + base.shape.dropFirst())
        case .mean: return try base.derived(.mean(of: 0..<height, count: run.count))
        case .meanCovariance:
            return try base.derived(
                .sampled(
                    RowSample(
                        range: 0..<height, count: run.count, variance: 1e-9,
                        seed: seed &+ UInt64(run.lowerBound))))
        case .subwordMean, .subwordFirst, .subwordLast, .subwordWeighted, .subwordCharacters:
            var combinations = RowCombinations()
            for row in run {
                guard case .token(let pieces) = rows[row] else { continue }
                append(pieces, method, to: &combinations)
            }
            return try base.derived(.combined(combinations))
        case .nearest, .matchingPursuit: return try transplanted(run, base, method, donor)
        }
    }

    /// Rows from sums that another model's rows show; the pieces' mean where it has none.
    private func transplanted(
        _ run: Range<Int>, _ base: TensorExpression, _ method: RowInitialization, _ donor: DonorRows?
    ) throws(UserFacingError) -> TensorExpression {
        let known = run.filter { donor?.knows($0) ?? false }
        let sums = try donor?.sums(for: known, method) ?? []
        var found = Dictionary(uniqueKeysWithValues: zip(known, sums))
        var combinations = RowCombinations()
        for row in run {
            if let sum = found.removeValue(forKey: row) {
                combinations.append(sum.rows, weights: sum.weights)
            } else if case .token(let pieces) = rows[row] {
                append(pieces, .subwordMean, to: &combinations)
            }
        }
        return try base.derived(.combined(combinations))
    }

    private func shares(of numbers: [Float]) -> [Float] {
        let total = numbers.reduce(0, +)
        return numbers.map { $0 / total }
    }

    private func append(_ pieces: [Piece], _ method: RowInitialization, to sums: inout RowCombinations) {
        let ids = pieces.map(\.id)
        switch method {
        case .subwordFirst: sums.append(meanOf: Array(ids.prefix(1)))
        case .subwordLast: sums.append(meanOf: Array(ids.suffix(1)))
        case .subwordWeighted: sums.append(ids, weights: shares(of: pieces.map { Float($0.bytes) }))
        case .subwordCharacters: sums.append(ids, weights: shares(of: pieces.map(\.characters)))
        default: sums.append(meanOf: ids)
        }
    }
}
