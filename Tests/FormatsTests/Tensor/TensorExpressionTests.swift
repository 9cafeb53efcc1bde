import Testing

@testable import Formats

/// A tensor of 16-bit numbers that count from 0.
private func counting(_ shape: [Int], type: ElementType = .u16) throws -> TensorExpression {
    let count = try #require(ElementType.elementCount(shape: shape))
    let width = try #require(type.byteSize)
    let bytes = (0..<count).flatMap { number in
        (0..<width).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
    }
    return try .stored(MemoryTensor(name: "t", type: type, shape: shape, bytes: bytes))
}

/// The numbers of a tensor of 16 bits, read in parts of `part` bytes.
private func numbers(_ tensor: TensorExpression, part: Int = .max) throws -> [Int] {
    let width = try #require(tensor.type.byteSize)
    var bytes = [UInt8](repeating: 0xEE, count: tensor.byteCount)
    var start = 0
    while start < bytes.count {
        let end = min(start + min(part, bytes.count), bytes.count)
        var span = bytes.mutableSpan
        var all = unsafe span.mutableBytes
        var room = all._mutatingExtracting(start..<end)
        try tensor.read(start..<end, into: &room)
        start = end
    }
    return stride(from: 0, to: bytes.count, by: width).map { place in
        (0..<width).reduce(0) { $0 | Int(bytes[place + $1]) << ($1 * 8) }
    }
}

@Suite struct TensorExpressionTests {
    private let parts = [2, 4, 6, 10, 26, .max]

    @Test func joinedAndRows() throws {
        let tensor = try counting([4, 3])
        let joined = try TensorExpression.joined([tensor.rows(1..<3), tensor.rows(0..<1).zeroed(), tensor])
        #expect(joined.shape == [7, 3] && joined.byteCount == 42)
        for part in parts {
            #expect(try numbers(joined, part: part) == Array(3..<9) + [0, 0, 0] + Array(0..<12))
            #expect(try numbers(joined.rows(1..<4), part: part) == [6, 7, 8, 0, 0, 0, 0, 1, 2])
        }
        #expect(try numbers(tensor.rows(2..<2)).isEmpty)
    }

    @Test(arguments: [[3, 5], [1, 7], [7, 1], [2, 3, 5], [4, 0]], [ElementType.u8, .u16, .u32, .u64])
    func transposed(shape: [Int], type: ElementType) throws {
        let tensor = try counting(shape, type: type)
        let (height, width) = (shape[shape.count - 2], shape[shape.count - 1])
        let matrices = height * width == 0 ? 0 : tensor.elementCount / (height * width)
        let expected = (0..<matrices).flatMap { matrix in
            (0..<width).flatMap { column in (0..<height).map { (matrix * height + $0) * width + column } }
        }
        let turned = try tensor.transposed()
        #expect(turned.shape == shape.dropLast(2) + [width, height])
        let size = try #require(type.byteSize)
        for part in [1, 2, 3, 5, 13, 1000] {
            #expect(try numbers(turned, part: part * size) == expected.map { $0 & (size == 1 ? 255 : .max) })
        }
        #expect(try numbers(turned.transposed()) == numbers(tensor))
    }

    /// More columns than the scratch holds at once, so that several batches are gathered.
    @Test func transposedInBatches() throws {
        let tensor = try counting([600, 120], type: .u32)
        let turned = try numbers(tensor.transposed(), part: 4 * 600 * 119)
        #expect(turned == (0..<120).flatMap { column in (0..<600).map { $0 * 120 + column } })
    }

    @Test func castsSinkToTheLeaves() throws {
        let stored = try TensorExpression.stored(
            MemoryTensor(name: "f", shape: [2, 2], floats: [1, 2, 3, 4]))
        let tensor = try TensorExpression.joined([stored.zeroed(), stored.transposed()])
        let cast = try tensor.cast(to: .bf16)
        guard case .made(.joined, let parts) = cast.node, case .made(.zeros, _) = parts[0].node,
            case .made(.transposed, let operands) = parts[1].node,
            case .made(.cast(.bf16), _) = operands[0].node
        else {
            Issue.record("\(cast.node)")
            return
        }
        #expect(try cast.floats() == [0, 0, 0, 0, 1, 3, 2, 4])
        #expect(try cast.rows(2..<3).floats() == [1, 3])
        #expect(try cast.reshaped(to: [8]).cast(to: .f16).floats() == [0, 0, 0, 0, 1, 3, 2, 4])
        guard case .leaf = try stored.cast(to: .f32).node else {
            Issue.record("a cast to the same type is none")
            return
        }
    }

    /// What undoes another operation leaves the stored tensor, which is copied as it is.
    @Test func whatIsUndoneVanishes() throws {
        let tensor = try counting([4, 6])
        func isStored(_ other: TensorExpression) -> Bool {
            if case .leaf(let storage) = other.node {
                storage.name == "t" && other.shape == [4, 6]
            } else {
                false
            }
        }
        #expect(try isStored(tensor.reshaped(to: [2, 12]).reshaped(to: [24]).reshaped(to: [4, 6])))
        let joined = try TensorExpression.joined([counting([1, 6]), tensor, counting([2, 6])])
        #expect(try isStored(joined.rows(1..<5)))
        let order: [Int32] = [3, 1, 0, 2]
        let inverse: [Int32] = [2, 1, 3, 0]
        #expect(try isStored(tensor.derived(.gathered(order)).derived(.gathered(inverse))))
        // What does not come out as it was is gathered once.
        let twice = try tensor.derived(.gathered(order)).derived(.gathered([0, 0, 2]))
        #expect(try numbers(twice) == numbers(tensor.derived(.gathered([3, 3, 0]))))
        guard case .made(.derived(.gathered([3, 3, 0])), _) = twice.node else {
            Issue.record("\(twice.node)")
            return
        }
        #expect(try numbers(joined.rows(0..<2)) == Array(0..<6) + Array(0..<6))
    }

    /// More numbers than are converted at once.
    @Test func castsInParts() throws {
        let floats = (0..<70_100).map { Float($0 % 1000) - 500 }
        let tensor = try TensorExpression.stored(MemoryTensor(name: "f", shape: [70_100], floats: floats))
        #expect(
            try tensor.cast(to: .bf16).cast(to: .f32).floats().elementsEqual(floats) { abs($0 - $1) <= 1 })
        #expect(try tensor.cast(to: .f16).floats() == floats)
        var some = [Float](repeating: 0, count: 5)
        var span = some.mutableSpan
        try tensor.cast(to: .f16).floats(65_534..<65_539, into: &span)
        #expect(some == Array(floats[65_534..<65_539]))
    }

    @Test func overflowIsCountedOnce() throws {
        let tensor = try TensorExpression.stored(
            MemoryTensor(name: "f", shape: [4], floats: [1e6, -1e6, .infinity, 1]))
        let cast = try TensorExpression.joined([tensor.cast(to: .f16), tensor.cast(to: .f16)])
        var bytes = [UInt8](repeating: 0, count: cast.byteCount)
        var span = bytes.mutableSpan
        var room = unsafe span.mutableBytes
        #expect(try cast.read(0..<cast.byteCount, into: &room) == 4)
    }

    @Test func scalarsAndPackedTypes() throws {
        let scalar = try TensorExpression.stored(MemoryTensor(name: "s", shape: [], floats: [2.5]))
        #expect(try scalar.floats() == [2.5] && scalar.elementCount == 1)
        let packed = try TensorExpression.stored(
            MemoryTensor(name: "p", type: .f4, shape: [2, 4], bytes: [1, 2, 3, 4]))
        #expect(try bytes(of: packed.rows(1..<2)) == [3, 4])
        let odd = try TensorExpression.stored(MemoryTensor(name: "p", type: .f4, shape: [2, 1], bytes: [1]))
        #expect(throws: UserFacingError.noRows(0..<1, of: odd.summary)) { _ = try odd.rows(0..<1) }
        #expect(throws: UserFacingError.cannotTranspose(packed.summary)) { _ = try packed.transposed() }
    }

    @Test func whatCannotBe() throws {
        let tensor = try counting([4, 3])
        let other = try counting([4, 2])
        #expect(throws: UserFacingError.unjoinable(first: tensor.summary, other: other.summary)) {
            _ = try TensorExpression.joined([tensor, other])
        }
        #expect(throws: UserFacingError.noRows(3..<5, of: tensor.summary)) { _ = try tensor.rows(3..<5) }
        #expect(throws: UserFacingError.cannotReshape(tensor.summary, to: [5])) {
            _ = try tensor.reshaped(to: [5])
        }
        #expect(throws: UserFacingError.cannotCast(tensor.summary, to: .f32)) { _ = try tensor.floats() }
        #expect(throws: UserFacingError.uncountable(type: .f64, shape: [.max, 2])) {
            _ = try TensorExpression.zeros(.f64, shape: [.max, 2])
        }
        #expect(tensor.summary.description == "tensor 't' U16[4, 3]")
    }

    @Test func theFirstDifferenceIsFound() throws {
        let bytes = [UInt8](repeating: 7, count: 5_000_000)
        var changed = bytes
        changed[4_500_001] ^= 1
        let one = try TensorExpression.stored(
            MemoryTensor(name: "a", type: .u8, shape: [5_000_000], bytes: bytes))
        let other = try TensorExpression.stored(
            MemoryTensor(name: "b", type: .u8, shape: [5_000_000], bytes: changed))
        #expect(try one.firstDifference(from: one) == nil)
        let difference = ByteDifference(
            offset: 4_500_001, found: changed[4_500_001], expected: bytes[4_500_001])
        #expect(try other.firstDifference(from: one) == difference)
        var compared: [Int] = []
        #expect(throws: UserFacingError.interrupted) {
            try other.firstDifference(
                from: one, isCancelled: { true }, progress: { compared.append($0) })
        }
        #expect(compared.count == 1)
        compared = []
        #expect(try one.firstDifference(from: one, progress: { compared.append($0) }) == nil)
        #expect(compared.count > 1 && compared.reduce(0, +) == bytes.count)
    }

    /// A tree with other leaves is the same operations done to them.
    @Test func leavesAreReplaced() throws {
        let tensor = try TensorExpression.stored(
            MemoryTensor(name: "f", shape: [2, 2], floats: [1, 2, 3, 4]))
        let tree = try TensorExpression.joined([tensor.transposed(), tensor.zeroed(), tensor.rows(1..<2)])
        var names: [String] = []
        tree.forEachLeaf { names.append($0.name) }
        #expect(names == ["f", "f"])
        let named = tree.mapLeaves(\.name)
        #expect(named.shape == [5, 2] && named.type == .f32 && named == tree.mapLeaves(\.name))
        #expect(named != tree.mapLeaves { $0.name + "!" })
        let other = try TensorExpression.stored(
            MemoryTensor(name: "g", shape: [2, 2], floats: [5, 6, 7, 8]))
        let replaced = try #require(named.replacingLeaves { name, _ in name == "f" ? other : nil })
        #expect(try replaced.floats() == [5, 7, 6, 8, 0, 0, 0, 0, 7, 8])
        #expect(named.replacingLeaves { _, _ in nil as Provenance? } == nil)
        // What is transposed twice is read as it lies.
        let twice = try #require(named.replacingLeaves { _, _ in try? other.transposed() })
        #expect(try twice.floats() == [5, 6, 7, 8, 0, 0, 0, 0, 6, 8])
    }
}
