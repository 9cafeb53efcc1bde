import Formats
import OrderedCollections
import TestSupport
import Testing

@testable import Surgery

@Suite("The mean of models")
struct AveragingTests {
    private let folder: TemporaryFolder

    init() throws { folder = try TemporaryFolder() }

    /// Sums by plain loops, in float32, rounded once.
    @Test(arguments: [ElementType.f32, .bf16], [nil, "0.5,0.25,0.25", "0.333,0.333,0.333", "2, -0.5,-0.5"])
    func sumsAndRoundsOnce(type: ElementType, weights: String?) throws {
        let first = try RandomModel.write("a", seed: 1, type: type, in: folder)
        // The others may be stored in another type.
        let others = [
            try RandomModel.write("b", seed: 2, type: .f32, in: folder),
            try RandomModel.write("c", seed: 3, type: .bf16, in: folder),
        ]
        let outcome = try first.applying(
            Averaging(with: [folder.path("b"), folder.path("c")], weights: weights))
        let given: [Float] =
            weights == "0.5,0.25,0.25"
            ? [0.5, 0.25, 0.25]
            : weights == "2, -0.5,-0.5" ? [2, -0.5, -0.5] : [Float](repeating: 1 / 3, count: 3)
        let all = try ([first] + others).map(RandomModel.numbers)
        var expected = all[0]
        for name in expected.keys {
            for index in expected[name]?.indices ?? 0..<0 {
                var sum: Float = 0
                for (model, weight) in zip(all, given) { sum += weight * (model[name]?[index] ?? .nan) }
                expected[name]?[index] = type == .bf16 ? roundedToBF16(sum) : sum
            }
        }
        let written = try RandomModel.write(outcome.checkpoint, "mean", in: folder)
        #expect(try RandomModel.numbers(written) == expected)
        #expect(written.tensors.values.allSatisfy { $0.type == type })
        #expect(try verify(written).isComplete)
        #expect(written.manifest?.operations.map(\.name) == ["average"])
    }

    @Test(arguments: [
        ("0.5,0.5", "there are 3 models, and so must be the weights"),
        ("2,1,1", "they make 4.0000 together, not 1"), ("0.5,half,0.25", "it is no list of numbers"),
        ("", "it is no list of numbers"), ("nan,1,0", "it is no list of numbers"),
    ])
    func refusesWeights(text: String, message: String) throws {
        let error = #expect(throws: UserFacingError.self) {
            try Averaging(with: ["b", "c"], weights: text).shares()
        }
        #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
    }

    @Test func refusesWhatIsNotAlike() throws {
        let first = try RandomModel.write("a", seed: 1, in: folder)
        _ = try RandomModel.write("deep", seed: 2, layers: 5, in: folder)
        _ = try RandomModel.write("wide", seed: 2, rows: 7, in: folder)
        for (name, message) in [
            ("deep", "it has a tensor 'model.layers.4.input_layernorm.weight' besides"),
            ("wide", "its tensor 'model.embed_tokens.weight' is [7, 4], not [6, 4]"),
        ] {
            let error = #expect(throws: UserFacingError.self) {
                try first.applying(Averaging(with: [folder.path(name)]))
            }
            #expect(error?.message.contains(message) == true, "\(error?.message ?? "")")
        }
        #expect(throws: UserFacingError.self) { try first.applying(Averaging(with: [])) }
    }
}
