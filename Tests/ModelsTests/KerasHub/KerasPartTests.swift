import Testing

@testable import Formats
@testable import Models

@Suite("Tensors in KerasHub's and Hugging Face's shapes")
struct KerasPartTests {
    /// A tensor that is brought over and back is the stored one again, not a computation that gives the same.
    @Test func everyFormIsUndone() throws {
        let heads = KerasHeads(query: 4, keyValue: 2)
        func numbers(_ shape: [Int], from first: Int) throws -> TensorExpression {
            let count = shape.reduce(1, *)
            return try .stored(
                MemoryTensor(name: "t", shape: shape, floats: (first..<first + count).map { Float($0) }))
        }
        let forms: [(KerasPart.Form, [[Int]], [Int])] = [
            (.same, [[3, 5]], [3, 5]), (.transposed, [[3, 5]], [5, 3]),
            (.heads(.query), [[6, 4, 3]], [12, 6]),
            (.heads(.keyValue), [[6, 2, 3]], [6, 6]), (.headsFirst(.keyValue), [[2, 6, 3]], [6, 6]),
            (.headBias(.query), [[4, 3]], [12]), (.output, [[4, 3, 6]], [6, 12]),
            (.plainOutput, [[4, 3, 6]], [12, 6]), (.fused, [[6, 4, 3], [6, 4, 3], [6, 4, 3]], [6, 36]),
            (.fusedBias, [[4, 3], [4, 3], [4, 3]], [36]),
            (.stackedHeads, [[6, 4, 3], [6, 2, 3], [6, 2, 3]], [24, 6]),
            (.stacked, [[6, 5], [6, 5]], [10, 6]),
            (.interleaved, [[6, 4, 3], [6, 4, 3], [6, 4, 3]], [36, 6]),
            (.interleavedBias, [[4, 3], [4, 3], [4, 3]], [36]),
        ]
        for (form, shapes, expected) in forms {
            let part = KerasPart(.query, [("t", "t")], form)
            var variables: [TensorExpression] = []
            for (index, shape) in shapes.enumerated() {
                variables.append(try numbers(shape, from: index * 1000))
            }
            let tensor = try part.tensor(of: variables)
            #expect(tensor.shape == expected, "\(form)")
            let back = try part.variables(of: tensor, heads: heads)
            #expect(back.map(\.shape) == shapes, "\(form)")
            for (one, other) in zip(back, variables) {
                #expect(try one.floats() == other.floats(), "\(form)")
                // Nothing is computed that need not be.
                if case .leaf = one.node { continue }
                Issue.record("\(form) becomes \(one.node)")
            }
            for one in try part.variables(of: tensor.cast(to: .bf16), heads: heads) {
                if case .made(.cast(.bf16), let operands) = one.node, case .leaf? = operands.first?.node {
                    continue
                }
                Issue.record("\(form) in another type becomes \(one.node)")
            }
        }
    }
}
