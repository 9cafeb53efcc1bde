internal import CKernels

/// Sums of tensors of one shape: what averaging, adding differences and taking them away come to.
extension TensorTree {
    /// The sum of some tensors, each times its weight, computed in float32 in their order and rounded once.
    ///
    /// - Parameters:
    ///   - operands: at least one; all of one shape, each of any floating-point type.
    ///   - weights: a finite one for each.
    ///   - type: the type of the sum: F16, BF16, F32 or F64.
    /// - Returns: the sum; one tensor with the weight 1 is only cast.
    /// - Throws: ``UserFacingError`` when the tensors can't be added, or there is another number of weights.
    public static func weighted(
        _ operands: [TensorTree], by weights: [Float], as type: ElementType
    ) throws(UserFacingError) -> TensorTree {
        guard let first = operands.first, operands.count == weights.count else {
            throw .wrongOperands(
                found: operands.count,
                expected: weights.isEmpty ? "at least one" : "\(weights.count), as many as there are weights")
        }
        if let weight = weights.first(where: { !$0.isFinite }) { throw .noWeight(weight) }
        try checkAlike(operands, as: type)
        if weights == [1] { return try first.cast(to: type) }
        return try .computed(.weighted(weights, type), of: operands, type: type, shape: first.shape)
    }

    /// Refuses tensors of which number and number can't be computed with in float32, the results being of a type.
    static func checkAlike(_ operands: [TensorTree], as type: ElementType) throws(UserFacingError) {
        for operand in operands {
            guard operand.shape == operands[0].shape else {
                throw .otherShape(operand.summary, first: operands[0].summary)
            }
            guard FloatConversion.isKnown(from: operand.type, to: .f32),
                FloatConversion.isKnown(from: .f32, to: type)
            else {
                throw .cannotCast(
                    operand.summary, to: operand.type.isFloatingPoint ? type : .f32)
            }
        }
    }
}

extension TensorExpression {
    /// How many numbers a thread computes at a time: those of a few operands stay in the second-level cache.
    static var tileSize: Int { 1 << 16 }

    /// Adds up some of the numbers, on all cores.
    func readWeighted(
        _ operands: [TensorExpression], _ weights: [Float], _ bytes: Range<Int>,
        into destination: inout MutableRawSpan, _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        try readTiles(bytes, into: &destination, onWork) { (elements, sum) throws(UserFacingError) in
            for (index, operand) in operands.enumerated() {
                let numbers = try operand.numbers(elements)
                unsafe ck_weigh(&sum, numbers, weights[index], numbers.count, index > 0 ? 1 : 0)
            }
        }
    }

    /// Computes numbers in float32 and rounds them to this tensor's type, many tiles at a time.
    ///
    /// - Parameters:
    ///   - bytes: which part of this tensor.
    ///   - destination: as many bytes.
    ///   - onWork: asked now and then whether to go on.
    ///   - compute: given the place of some numbers and room for them, on any thread; what it makes of a number does not
    ///     depend on which others it is made with.
    /// - Returns: how many finite numbers became infinite.
    /// - Throws: what `compute` and `onWork` throw.
    func readTiles(
        _ bytes: Range<Int>, into destination: inout MutableRawSpan, _ onWork: WorkObserver,
        _ compute:
            @Sendable (_ elements: Range<Int>, _ numbers: inout [Float]) throws(UserFacingError) ->
            Void
    ) throws(UserFacingError) -> Int {
        guard let size = type.byteSize else { preconditionFailure("such numbers take whole bytes") }
        let (type, start) = (type, bytes.lowerBound)
        let tiles = Self.tiles(bytes.lowerBound / size..<bytes.upperBound / size)
        let parts = tiles.map { $0.lowerBound * size - start..<$0.upperBound * size - start }
        let overflows = try destination.fillConcurrently(parts) {
            (index, room) throws(UserFacingError) in
            var numbers = [Float](repeating: 0, count: tiles[index].count)
            try compute(tiles[index], &numbers)
            return unsafe FloatConversion.convert(numbers.span.bytes, .f32, to: &room, type)
        }
        try onWork(0)
        return overflows.reduce(0, +)
    }

    /// Some of its elements as float32.
    func numbers(_ elements: Range<Int>) throws(UserFacingError) -> [Float] {
        var numbers = [Float](repeating: 0, count: elements.count)
        var room = numbers.mutableSpan
        try floats(elements, into: &room)
        return numbers
    }

    /// The tiles that some elements are in, as far as they are; tiles are counted from the tensor's start.
    static func tiles(_ elements: Range<Int>) -> [Range<Int>] {
        if elements.isEmpty { return [] }
        return (elements.lowerBound / tileSize...(elements.upperBound - 1) / tileSize).map {
            elements.clamped(to: $0 * tileSize..<($0 + 1) * tileSize)
        }
    }
}

extension UserFacingError {
    static func noWeight(_ weight: Float) -> Self {
        Self(.malformed, "a weight is \(weight), and must be a finite number")
    }

    fileprivate static func otherShape(_ tensor: TensorDescription, first: TensorDescription) -> Self {
        Self(.unsupported, "\(tensor) can't be added to \(first): they must have one shape")
    }
}
