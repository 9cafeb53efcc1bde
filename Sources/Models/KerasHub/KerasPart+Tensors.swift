internal import Formats

extension KerasPart {
    /// Hugging Face's tensor of KerasHub's variables.
    func tensor(of variables: [TensorExpression]) throws(UserFacingError) -> TensorExpression {
        let first = variables[0]
        switch form {
        case .same: return first
        case .transposed: return try first.transposed()
        case .heads: return try first.columns().transposed()
        case .headsFirst:
            try first.expect(axes: 3)
            return try first.transposed().rowsJoined()
        case .headBias: return try first.flat()
        case .output: return try first.rowsJoined().transposed()
        case .plainOutput: return try first.rowsJoined()
        case .fused:
            let parts = try variables.mapped { (part) throws(UserFacingError) in try part.columns() }
            let (height, width) = (parts[0].shape[0], parts[0].shape[1])
            return try TensorExpression.joined(parts).interleaved(parts: parts.count)
                .reshaped(to: [height, width * parts.count])
        case .fusedBias:
            return try .joined(variables.mapped { (part) throws(UserFacingError) in try part.flat() })
        case .stackedHeads:
            return try .joined(
                variables.mapped { (part) throws(UserFacingError) in try part.columns().transposed() })
        case .stacked:
            return try .joined(variables.mapped { (part) throws(UserFacingError) in try part.transposed() })
        case .interleaved, .interleavedBias:
            let isBias = if case .interleavedBias = form { true } else { false }
            let parts = try variables.mapped { (part) throws(UserFacingError) in
                try isBias ? part.flat() : part.columns().transposed()
            }
            let heads = first.shape.dropLast().last ?? 0
            let shape = [heads > 0 ? parts[0].shape[0] / heads : 0] + parts[0].shape.dropFirst()
            let width = shape.reduce(1, *)
            let whole = try TensorExpression.joined(
                parts.mapped { (part) throws(UserFacingError) in try part.reshaped(to: [heads, width]) })
            return try whole.interleaved(parts: 3).reshaped(to: [heads * 3 * shape[0]] + shape.dropFirst())
        }
    }

    /// KerasHub's variables of Hugging Face's tensor.
    func variables(of tensor: TensorExpression, heads: KerasHeads) throws(UserFacingError)
        -> [TensorExpression]
    {
        // What moves elements comes before a cast: then it may undo what was done on opening.
        if case .made(.cast(let type), let operands) = tensor.node {
            return try variables(of: operands[0], heads: heads)
                .mapped { (part) throws(UserFacingError) in try part.cast(to: type) }
        }
        switch form {
        case .same: return [tensor]
        case .transposed: return [try tensor.transposed()]
        case .heads(let kind): return [try tensor.transposed().headsSplit(heads.count(kind))]
        case .headsFirst(let kind):
            try tensor.expect(axes: 2)
            let count = heads.count(kind)
            return [
                try tensor.reshaped(to: [count, tensor.shape[0] / max(count, 1), tensor.shape[1]])
                    .transposed()
            ]
        case .headBias(let kind): return [try tensor.biasSplit(heads.count(kind))]
        case .output: return [try tensor.transposed().outputSplit(heads.query)]
        case .plainOutput: return [try tensor.outputSplit(heads.query)]
        case .fused:
            try tensor.expect(axes: 2)
            let (height, width) = (tensor.shape[0], tensor.shape[1] / 3)
            let thirds = try tensor.reshaped(to: [height * 3, width])
            return try thirds.separated(parts: 3).mapped { (part) throws(UserFacingError) in
                try part.headsSplit(heads.query)
            }
        case .fusedBias:
            return try tensor.pieces([1, 1, 1]).mapped { (part) throws(UserFacingError) in
                try part.biasSplit(heads.query)
            }
        case .stackedHeads:
            let kinds: [Heads] = [.query, .keyValue, .keyValue]
            let pieces = try tensor.pieces(kinds.map { heads.count($0) })
            return try Array(zip(kinds, pieces)).mapped { (pair) throws(UserFacingError) in
                try pair.1.transposed().headsSplit(heads.count(pair.0))
            }
        case .stacked:
            return try tensor.pieces([1, 1]).mapped { (part) throws(UserFacingError) in try part.transposed()
            }
        case .interleaved, .interleavedBias:
            let isBias = if case .interleavedBias = form { true } else { false }
            let rows = tensor.shape[0] / max(3 * heads.query, 1)
            let width = rows * tensor.shape.dropFirst().reduce(1, *)
            return try tensor.reshaped(to: [heads.query * 3, width]).separated(parts: 3)
                .mapped { (part) throws(UserFacingError) in
                    let shape = [heads.query * rows] + tensor.shape.dropFirst()
                    let matrix = try part.reshaped(to: shape)
                    return try isBias
                        ? matrix.biasSplit(heads.query) : matrix.transposed().headsSplit(heads.query)
                }
        }
    }
}

extension TensorExpression {
    fileprivate func expect(axes: Int) throws(UserFacingError) {
        guard shape.count == axes else { throw .cannotTranspose(summary) }
    }

    /// (a, b, c) as (a, b·c).
    fileprivate func columns() throws(UserFacingError) -> TensorExpression {
        try expect(axes: 3)
        return try reshaped(to: [shape[0], shape[1] * shape[2]])
    }

    /// (a, b, c) as (a·b, c).
    fileprivate func rowsJoined() throws(UserFacingError) -> TensorExpression {
        try expect(axes: 3)
        return try reshaped(to: [shape[0] * shape[1], shape[2]])
    }

    fileprivate func flat() throws(UserFacingError) -> TensorExpression { try reshaped(to: [elementCount]) }

    /// (D, h·d) as (D, h, d).
    fileprivate func headsSplit(_ heads: Int) throws(UserFacingError) -> TensorExpression {
        try expect(axes: 2)
        return try reshaped(to: [shape[0], heads, shape[1] / max(heads, 1)])
    }

    /// (h·d, D) as (h, d, D).
    fileprivate func outputSplit(_ heads: Int) throws(UserFacingError) -> TensorExpression {
        try expect(axes: 2)
        return try reshaped(to: [heads, shape[0] / max(heads, 1), shape[1]])
    }

    /// (h·d) as (h, d).
    fileprivate func biasSplit(_ heads: Int) throws(UserFacingError) -> TensorExpression {
        try expect(axes: 1)
        return try reshaped(to: [heads, shape[0] / max(heads, 1)])
    }

    /// The rows of `parts` parts of one height in turn: the first of each, then the second of each.
    fileprivate func interleaved(parts: Int) throws(UserFacingError) -> TensorExpression {
        let height = shape[0] / parts
        return try derived(
            .gathered((0..<height).flatMap { row in (0..<parts).map { Int32(row + $0 * height) } }))
    }

    /// The parts whose rows stand in turn.
    fileprivate func separated(parts: Int) throws(UserFacingError) -> [TensorExpression] {
        let height = shape[0] / parts
        return try Array(0..<parts).mapped { (part) throws(UserFacingError) in
            try derived(.gathered((0..<height).map { Int32($0 * parts + part) }))
        }
    }

    /// Parts of the first axis as large as these numbers are to each other.
    fileprivate func pieces(_ sizes: [Int]) throws(UserFacingError) -> [TensorExpression] {
        let sum = sizes.reduce(0, +)
        guard let height = shape.first, sum > 0, height.isMultiple(of: sum) else {
            throw .cannotTranspose(summary)
        }
        var start = 0
        return try sizes.mapped { (size) throws(UserFacingError) in
            let end = start + height / sum * size
            defer { start = end }
            return try rows(start..<end)
        }
    }
}

extension Array {
    /// What a function that may fail makes of each element.
    fileprivate func mapped<Result>(
        _ transform: (Element) throws(UserFacingError) -> Result
    ) throws(UserFacingError) -> [Result] {
        var result: [Result] = []
        for element in self { result.append(try transform(element)) }
        return result
    }
}
