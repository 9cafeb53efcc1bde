import OrderedCollections
import Testing

@testable import Formats

/// The references: the same sums in plain loops of float32.
@Suite("Weighted sums of tensors")
struct WeightedSumTests {
    private func tensor(_ name: String, _ numbers: [Float], _ shape: [Int]) throws -> TensorExpression {
        try .stored(MemoryTensor(name: name, shape: shape, floats: numbers))
    }

    private func random(_ count: Int, seed: UInt64) -> [Float] {
        var normal = NormalDistribution(seed: seed, deviation: 1)
        return (0..<count).map { _ in normal.next() }
    }

    /// More than two tiles, of operands of three types.
    @Test func sumsAreRoundedOnce() throws {
        let (rows, width) = (701, 211)
        let shape = [rows, width]
        let numbers = (0..<3).map { random(rows * width, seed: UInt64($0)) }
        let operands = try [
            tensor("a", numbers[0], shape).cast(to: .bf16), tensor("b", numbers[1], shape),
            tensor("c", numbers[2], shape).cast(to: .f16),
        ]
        let weights: [Float] = [0.3, -1, 0.7]
        let parts = try operands.map { try $0.floats() }
        let expected = parts[0].indices.map { index in
            weights[0] * parts[0][index] + weights[1] * parts[1][index] + weights[2] * parts[2][index]
        }
        let sum = try TensorExpression.weighted(operands, by: weights, as: .f32)
        let isSame = try sum.floats() == expected
        #expect(isSame)
        let narrow = try TensorExpression.weighted(operands, by: weights, as: .bf16)
        #expect(narrow.type == .bf16 && narrow.shape == shape)
        #expect(try narrow.firstDifference(from: tensor("x", expected, shape).cast(to: .bf16)) == nil)
        // A part of it is what it is in the whole.
        let part = try sum.rows(300..<500)
        let isPart = try part.floats() == Array(expected[300 * width..<500 * width])
        #expect(isPart)
    }

    @Test func overflowsAreCounted() throws {
        let large = try tensor("a", [60000, 1, -60000], [3])
        let sum = try TensorExpression.weighted([large, large], by: [1, 1], as: .f16)
        var bytes = [UInt8](repeating: 0, count: 6)
        var span = bytes.mutableSpan
        var room = unsafe span.mutableBytes
        #expect(try sum.read(0..<6, into: &room) == 2)
    }

    @Test func oneTensorWithTheWeightOneIsItself() throws {
        let a = try tensor("a", [1, 2], [2])
        if case .leaf = try TensorExpression.weighted([a], by: [1], as: .f32).node {
        } else {
            Issue.record("it is no leaf")
        }
        #expect(try TensorExpression.weighted([a], by: [2], as: .f32).floats() == [2, 4])
        let scalar = try tensor("s", [3], [])
        #expect(try TensorExpression.weighted([scalar, scalar], by: [1, -2], as: .f32).floats() == [-3])
    }

    @Test func whatCannotBeAdded() throws {
        let a = try tensor("a", [1, 2], [2])
        let whole = try TensorExpression.stored(
            MemoryTensor(name: "n", type: .i32, shape: [2], bytes: [0, 0, 0, 0, 0, 0, 0, 0]))
        for (operands, weights, type) in [
            ([a, a], [1], ElementType.f32), ([], [], .f32),
            ([a, try a.reshaped(to: [1, 2])], [1, 1], .f32),
            ([a, whole], [1, 1], .f32), ([a, a], [1, 1], .i32), ([a, a], [1, .nan], .f32),
        ] as [([TensorExpression], [Float], ElementType)] {
            #expect(throws: UserFacingError.self) {
                try TensorExpression.weighted(operands, by: weights, as: type)
            }
        }
    }

    @Test func aManifestKeepsIt() throws {
        let leaves = try (0..<2).map {
            try Provenance.copied(file: $0, tensor: "w", offset: 8, type: .bf16, shape: [4, 2])
        }
        let sum = try Provenance.weighted(leaves, by: [0.1, -0.3], as: .f16)
        let manifest = Manifest(
            tool: "test", operations: [], sources: [.init(path: "a", bytes: 1), .init(path: "b", bytes: 1)],
            provenance: ["w": sum])
        let read = try Manifest(
            JSON(parsing: manifest.serialized(), file: "surgery.json"), file: "surgery.json")
        #expect(read == manifest)
    }
}
