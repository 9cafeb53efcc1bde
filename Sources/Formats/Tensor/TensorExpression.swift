/// A tensor that is not read yet: where its bytes come from, and what is done to them on the way.
public typealias TensorExpression = TensorTree<any TensorStorage>

/// Told many times a second how much more work is done, in bytes that could have been copied meanwhile; what it throws
/// ends the work.
public typealias WorkObserver = (Int) throws(UserFacingError) -> Void

extension TensorExpression {
    /// Bytes from elsewhere, as they are.
    ///
    /// - Throws: ``UserFacingError`` when no byte count fits the shape.
    public static func stored(_ storage: any TensorStorage) throws(UserFacingError) -> TensorExpression {
        try .leaf(storage, name: storage.name, type: storage.type, shape: storage.shape)
    }

    /// Fills `destination` with a part of the tensor.
    ///
    /// - Parameters:
    ///   - bytes: which part, in bytes from the tensor's start; whole elements.
    ///   - destination: as many bytes as `bytes` has.
    ///   - onWork: told of what is computed, see ``computation``.
    /// - Returns: how many finite numbers a cast has made infinite.
    /// - Throws: ``UserFacingError`` when what it is made of can't be read, and what `onWork` throws.
    @discardableResult
    public func read(
        _ bytes: Range<Int>, into destination: inout MutableRawSpan, onWork: WorkObserver = { _ in }
    ) throws(UserFacingError) -> Int {
        precondition(bytes.lowerBound >= 0 && bytes.upperBound <= byteCount, "a part lies inside its tensor")
        precondition(destination.byteCount == bytes.count, "the destination is as long as the part")
        switch node {
        case .leaf(let storage):
            try storage.read(bytes, into: &destination)
            return 0
        case .made(let operation, let operands):
            switch operation {
            case .zeros:
                _ = unsafe destination.withUnsafeMutableBytes {
                    unsafe $0.initializeMemory(as: UInt8.self, repeating: 0)
                }
                return 0
            case .joined, .rows, .reshaped: return try readOperands(bytes, into: &destination, onWork)
            case .cast: return try readCast(operands[0], bytes, into: &destination, onWork)
            case .transposed: return try readTransposed(operands[0], bytes, into: &destination, onWork)
            case .scaled(let factor):
                return try readComputed(bytes, into: &destination) { numbers, start throws(UserFacingError) in
                    try operands[0].floats(
                        start..<start + numbers.count, into: &numbers, onWork: onWork)
                    for index in numbers.indices { numbers[index] *= factor }
                }
            case .noised(let rule):
                return try readComputed(bytes, into: &destination) { numbers, start throws(UserFacingError) in
                    try operands[0].floats(
                        start..<start + numbers.count, into: &numbers, onWork: onWork)
                    rule.add(to: &numbers, from: start)
                }
            case .dequantized(let scheme, _):
                return try readComputed(bytes, into: &destination) { numbers, start throws(UserFacingError) in
                    try operands[0].dequantize(scheme, operands[1], from: start, into: &numbers)
                }
            case .derived(let rule):
                return try DerivedRows(of: operands[0], rule, cache).read(
                    bytes, into: &destination, onWork)
            case .weighted(let weights, _):
                return try readWeighted(operands, weights, bytes, into: &destination, onWork)
            case .interpolated(let part, _):
                let weights = try arcWeights(operands[0], operands[1], at: part, onWork)
                return try readWeighted(operands, weights, bytes, into: &destination, onWork)
            case .added(let vectors, _):
                return try readAdded(vectors, to: operands, bytes, into: &destination, onWork)
            }
        }
    }

    /// All of it as float32.
    ///
    /// - Throws: ``UserFacingError`` when it can't be read, or its type is no floating-point one.
    public func floats() throws(UserFacingError) -> [Float] {
        var numbers = [Float](repeating: 0, count: elementCount)
        var span = numbers.mutableSpan
        try floats(0..<elementCount, into: &span)
        return numbers
    }

    /// Some of its elements as float32.
    ///
    /// - Parameters:
    ///   - elements: which, counted from the tensor's start.
    ///   - destination: room for as many numbers.
    ///   - onWork: told of what is computed.
    /// - Throws: ``UserFacingError`` when they can't be read, or the type is no floating-point one.
    public func floats(
        _ elements: Range<Int>, into destination: inout MutableSpan<Float>, onWork: WorkObserver = { _ in }
    ) throws(UserFacingError) {
        let numbers = try cast(to: .f32)
        var bytes = unsafe destination.mutableBytes
        try numbers.read(elements.lowerBound * 4..<elements.upperBound * 4, into: &bytes, onWork: onWork)
    }

    private func readOperands(
        _ bytes: Range<Int>, into destination: inout MutableRawSpan, _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        var overflows = 0
        var place = 0
        for part in operandParts(bytes) ?? [] {
            var room = destination._mutatingExtracting(place..<place + part.bytes.count)
            overflows += try part.tensor.read(part.bytes, into: &room, onWork: onWork)
            place += part.bytes.count
        }
        return overflows
    }

    /// Computes numbers in float32 and rounds them to this tensor's type.
    ///
    /// `compute` is given room for some numbers and the place of the first.
    private func readComputed(
        _ bytes: Range<Int>, into destination: inout MutableRawSpan,
        _ compute: (_ numbers: inout MutableSpan<Float>, _ start: Int) throws(UserFacingError) -> Void
    ) throws(UserFacingError) -> Int {
        guard let size = type.byteSize else { preconditionFailure("such numbers take whole bytes") }
        let most = 1 << 16
        var overflows = 0
        var numbers = [Float](repeating: 0, count: min(bytes.count / size, most))
        var element = bytes.lowerBound / size
        while element < bytes.upperBound / size {
            let count = min(bytes.upperBound / size - element, most)
            var all = numbers.mutableSpan
            var part = all._mutatingExtracting(0..<count)
            try compute(&part, element)
            let place = element * size - bytes.lowerBound
            var target = destination._mutatingExtracting(place..<place + count * size)
            overflows += unsafe FloatConversion.convert(part.span.bytes, .f32, to: &target, type)
            element += count
        }
        return overflows
    }

    private func readCast(
        _ original: TensorExpression, _ bytes: Range<Int>, into destination: inout MutableRawSpan,
        _ onWork: WorkObserver
    ) throws(UserFacingError) -> Int {
        guard let from = original.type.byteSize, let to = type.byteSize else {
            throw .cannotCast(original.summary, to: type)
        }
        // How many elements are converted at a time: the scratch stays in the second-level cache.
        let most = 1 << 16
        var overflows = 0
        var scratch = [UInt8](repeating: 0, count: min(bytes.count / to, most) * from)
        var element = bytes.lowerBound / to
        while element < bytes.upperBound / to {
            let count = min(bytes.upperBound / to - element, most)
            var span = scratch.mutableSpan
            var whole = unsafe span.mutableBytes
            var room = whole._mutatingExtracting(0..<count * from)
            overflows += try original.read(
                element * from..<(element + count) * from, into: &room, onWork: onWork)
            let place = element * to - bytes.lowerBound
            var target = destination._mutatingExtracting(place..<place + count * to)
            overflows += FloatConversion.convert(room.bytes, original.type, to: &target, type)
            element += count
        }
        return overflows
    }
}
