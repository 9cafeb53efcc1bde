extension TensorExpression {
    /// Fills `destination` with a part of the tensor.
    ///
    /// - Parameters:
    ///   - bytes: which part, in bytes from the tensor's start; whole elements.
    ///   - destination: as many bytes as `bytes` has.
    /// - Returns: how many finite numbers a cast has made infinite.
    /// - Throws: ``TensorError`` when what it is made of can't be read.
    @discardableResult
    public func read(_ bytes: Range<Int>, into destination: inout MutableRawSpan) throws(TensorError) -> Int {
        precondition(bytes.lowerBound >= 0 && bytes.upperBound <= byteCount, "a part lies inside its tensor")
        precondition(destination.byteCount == bytes.count, "the destination is as long as the part")
        switch node {
        case .stored(let storage):
            try storage.read(bytes, into: &destination)
            return 0
        case .zeros:
            _ = unsafe destination.withUnsafeMutableBytes {
                unsafe $0.initializeMemory(as: UInt8.self, repeating: 0)
            }
            return 0
        case .joined(let parts): return try readJoined(parts, bytes, into: &destination)
        case .rows(let whole, let rows):
            let start = whole.byteOffset(ofRow: rows.lowerBound)
            return try whole.read(start + bytes.lowerBound..<start + bytes.upperBound, into: &destination)
        case .cast(let original): return try readCast(original, bytes, into: &destination)
        case .transposed(let original): return try readTransposed(original, bytes, into: &destination)
        case .reshaped(let original): return try original.read(bytes, into: &destination)
        case .derived(let rows): return try rows.read(bytes, into: &destination)
        }
    }

    /// All of it as float32.
    ///
    /// - Throws: ``TensorError`` when it can't be read, or its type is no floating-point one.
    public func floats() throws(TensorError) -> [Float] {
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
    /// - Throws: ``TensorError`` when they can't be read, or the type is no floating-point one.
    public func floats(_ elements: Range<Int>, into destination: inout MutableSpan<Float>) throws(TensorError)
    {
        let numbers = try cast(to: .f32)
        var bytes = unsafe destination.mutableBytes
        try numbers.read(elements.lowerBound * 4..<elements.upperBound * 4, into: &bytes)
    }

    /// Where a row begins, in bytes from the tensor's start.
    func byteOffset(ofRow row: Int) -> Int {
        guard let height = shape.first, height > 0 else { return 0 }
        return row * (elementCount / height) * type.bits / 8
    }

    private func readJoined(
        _ parts: [TensorExpression], _ bytes: Range<Int>, into destination: inout MutableRawSpan
    ) throws(TensorError) -> Int {
        var overflows = 0
        var start = 0
        for part in parts {
            let wanted = bytes.clamped(to: start..<start + part.byteCount)
            if !wanted.isEmpty {
                let place = wanted.lowerBound - bytes.lowerBound
                var room = destination._mutatingExtracting(place..<place + wanted.count)
                overflows += try part.read(wanted.lowerBound - start..<wanted.upperBound - start, into: &room)
            }
            start += part.byteCount
        }
        return overflows
    }

    private func readCast(
        _ original: TensorExpression, _ bytes: Range<Int>, into destination: inout MutableRawSpan
    ) throws(TensorError) -> Int {
        guard let from = original.type.byteSize, let to = type.byteSize else {
            throw .cast(original.summary, to: type)
        }
        var overflows = 0
        var scratch = [UInt8](repeating: 0, count: min(bytes.count / to, Self.castElements) * from)
        var element = bytes.lowerBound / to
        while element < bytes.upperBound / to {
            let count = min(bytes.upperBound / to - element, Self.castElements)
            var span = scratch.mutableSpan
            var whole = unsafe span.mutableBytes
            var room = whole._mutatingExtracting(0..<count * from)
            overflows += try original.read(element * from..<(element + count) * from, into: &room)
            let place = element * to - bytes.lowerBound
            var target = destination._mutatingExtracting(place..<place + count * to)
            overflows += FloatConversion.convert(room.bytes, original.type, to: &target, type)
            element += count
        }
        return overflows
    }

    /// How many elements are converted at a time: the scratch stays in the second-level cache.
    private static let castElements = 1 << 16
}
